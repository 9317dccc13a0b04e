import { describe, expect, test } from "vitest";
import { correctBias } from "../../src/quant/bias-correction.js";
import { gaussian } from "../support/arbitrary.js";

const noise = (w: Float32Array, seed: number) => {
  const errors = gaussian(w.length, seed, 0.1);
  return w.map((x, i) => x + (errors[i] as number));
};
const mean = (x: ArrayLike<number>) => Array.from(x).reduce((sum, value) => sum + value, 0) / x.length;

describe("bias correction", () => {
  test("makes the mean of a Gemm's outputs what it was", () => {
    const [N, C, K] = [50, 7, 3];
    const w = gaussian(K * C, 1);
    const wq = noise(w, 2);
    const x = gaussian(N * C, 3).map((value) => value + 0.8);
    const bias = gaussian(K, 4);
    const meanX = Float32Array.from({ length: C }, (_, c) => mean(x.filter((_value, i) => i % C === c)));
    const corrected = correctBias({ op: "Gemm", shape: [K, C] }, bias, w, wq, meanX, "fc");
    const outputs = (weights: Float32Array, b: Float32Array, k: number) =>
      Array.from({ length: N }, (_, n) => {
        let sum = b[k] as number;
        for (let c = 0; c < C; c++) sum += (weights[k * C + c] as number) * (x[n * C + c] as number);
        return sum;
      });
    for (let k = 0; k < K; k++) {
      const wanted = mean(outputs(w, bias, k));
      expect(mean(outputs(wq, corrected, k))).toBeCloseTo(wanted, 4);
      expect(Math.abs(mean(outputs(wq, bias, k)) - wanted)).toBeGreaterThan(1e-3);
    }
  });

  test.each([
    { group: 1, K: 4, C: 6 },
    { group: 2, K: 4, C: 6 },
    { group: 6, K: 12, C: 6 },
  ])("follows the formula for a Conv of $group groups", ({ group, K, C }) => {
    const perGroup = C / group;
    const shape = [K, perGroup, 3, 2];
    const w = gaussian(K * perGroup * 6, 1);
    const wq = noise(w, 2);
    const meanX = gaussian(C, 3);
    const bias = gaussian(K, 4);
    const corrected = correctBias({ op: "Conv", shape, group }, bias, w, wq, meanX, "conv");
    for (let k = 0; k < K; k++) {
      let expected = bias[k] as number;
      const firstInput = Math.floor(k / (K / group)) * perGroup;
      for (let c = 0; c < perGroup; c++) {
        for (let tap = 0; tap < 6; tap++) {
          const i = (k * perGroup + c) * 6 + tap;
          expected -= ((wq[i] as number) - (w[i] as number)) * (meanX[firstInput + c] as number);
        }
      }
      expect(corrected[k]).toBeCloseTo(expected, 5);
    }
  });

  test("makes the mean of a ConvTranspose's outputs what it was, whatever its strides", () => {
    // One dimension, constant inputs: far from the border the mean over positions is exact.
    const [C, K, R, stride, length] = [2, 3, 5, 2, 40];
    const w = gaussian(C * K * R, 1);
    const wq = noise(w, 2);
    const meanX = Float32Array.of(1.5, -0.5);
    const bias = gaussian(K, 4);
    const layer = { op: "ConvTranspose", shape: [C, K, R], strides: [stride] } as const;
    const corrected = correctBias(layer, bias, w, wq, meanX, "up");
    const meanOf = (weights: Float32Array, b: Float32Array, k: number) => {
      const y = new Float64Array((length - 1) * stride + R).fill(b[k] as number);
      for (let c = 0; c < C; c++) {
        for (let at = 0; at < length; at++) {
          for (let r = 0; r < R; r++) {
            const to = at * stride + r;
            y[to] = (y[to] as number) + (weights[(c * K + k) * R + r] as number) * (meanX[c] as number);
          }
        }
      }
      return mean(y.slice(20, 60));
    };
    for (let k = 0; k < K; k++) {
      expect(meanOf(wq, corrected, k)).toBeCloseTo(meanOf(w, bias, k), 4);
    }
  });

  test("changes nothing where the weights are exact, and never what it was given", () => {
    const w = gaussian(6, 1);
    const bias = Float32Array.of(1, 2);
    const meanX = Float32Array.of(3, 4, 5);
    const gemm = { op: "Gemm", shape: [2, 3] } as const;
    expect(correctBias(gemm, bias, w, w.slice(), meanX, "fc")).toEqual(bias);
    correctBias(gemm, bias, w, noise(w, 9), meanX, "fc");
    expect([...bias]).toEqual([1, 2]);
  });

  test("refuses means of another number of channels, and means that are not finite", () => {
    const w = new Float32Array(6);
    const gemm = { op: "Gemm", shape: [2, 3] } as const;
    const correct = (means: number[]) => () =>
      correctBias(gemm, new Float32Array(2), w, w, Float32Array.from(means), "fc");
    expect(correct([1, 2])).toThrow("2 means for Gemm weights [2, 3]");
    expect(correct([1, 2, NaN])).toThrow("[invalid-data]");
  });
});
