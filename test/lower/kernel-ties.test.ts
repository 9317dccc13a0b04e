// Property: where addAgrees and productAgrees say yes, the runtimes' formulas and the integers' meaning are the
// same number for every pair of operands. The formulas are models of the kernels; these run as well.

import * as fc from "fast-check";
import { expect, test } from "vitest";
import { type Tensor, tensor } from "../../src/base/tensor.js";
import { encodeModel } from "../../src/onnx/codec.js";
import { graphToModel } from "../../src/onnx/from-graph.js";
import { addAgrees, productAgrees } from "../../src/lower/kernel-ties.js";
import { clip, requantize, requantizeMultiplier, roundHalfEven } from "../../src/quant/affine.js";
import { activationSpec, type Quantization, qmin } from "../../src/quant/spec.js";
import { cpuRuntime } from "../../src/runtime/cpu.js";
import type { Runtime } from "../../src/runtime/runtime.js";
import { wasmRuntime } from "../../src/runtime/wasm.js";
import { Sketch } from "../runtime/sketch.js";

const f = Math.fround;
const params = (scale: number, zeroPoint: number) => ({
  scale: Float32Array.of(scale),
  zeroPoint: Int32Array.of(zeroPoint),
});

/** How runtimes add: `r` and `offset` with or without fused multiplication (CPU), real numbers (WebAssembly). */
const ADDS = ["plain", "fused", "real"] as const;

/** Pairs of stored integers for which kernel and meaning differ. */
function differences(
  scale: number,
  zeroX: number,
  scaleY: number,
  zeroY: number,
  kernel: (typeof ADDS)[number],
): number {
  const r = f(scale / scaleY);
  const offset = f(zeroY - f(f(r * zeroX) + f(r * zeroX)));
  const m = requantizeMultiplier(scale, 1, scaleY);
  const add = (a: number, b: number): number => {
    if (kernel === "real") return f(f(f(f(scale * (a - zeroX)) + f(scale * (b - zeroX))) / scaleY) + zeroY);
    const inner = kernel === "fused" ? f(r * b + offset) : f(f(r * b) + offset);
    return kernel === "fused" ? f(r * a + inner) : f(f(r * a) + inner);
  };
  let count = 0;
  for (let a = 0; a < 256; a++) {
    for (let b = a; b < 256; b++) {
      const got = clip(roundHalfEven(add(a, b)), 0, 255);
      if (got !== requantize(a + b - 2 * zeroX, m, zeroY, 0, 255)) count++;
    }
  }
  return count;
}

/** `q - zeroPoint` of all integers. */
function levels({ spec, params: { zeroPoint } }: Quantization): number[] {
  return Array.from({ length: 2 ** spec.bits }, (_, i) => qmin(spec) + i - (zeroPoint[0] as number));
}

/** The same for products to zero point 0, by real numbers, dividing or multiplying by the reciprocal. */
function productDifferences(a: Quantization, b: Quantization, scaleY: number, reciprocal: boolean): number {
  const [scaleA, scaleB] = [a.params.scale[0] as number, b.params.scale[0] as number];
  const m = requantizeMultiplier(scaleA, scaleB, scaleY);
  const inverse = f(1 / scaleY);
  let count = 0;
  for (const x of levels(a)) {
    for (const y of levels(b)) {
      const product = f(f(scaleA * x) * f(scaleB * y));
      const got = clip(roundHalfEven(reciprocal ? f(product * inverse) : f(product / scaleY)), 0, 255);
      if (got !== requantize(x * y, m, 0, 0, 255)) count++;
    }
  }
  return count;
}

const scales = fc.oneof(
  fc.double({ min: 0.01, max: 2, noNaN: true }).map(f),
  // Short fractions and powers of two meet ties.
  fc.integer({ min: 1, max: 64 }).map((n) => n / 16),
);
const byte = fc.integer({ min: 0, max: 255 });
/** How many times a scale the next one is: any number, or a power of two. */
const ratio = fc.oneof(fc.double({ min: 0.25, max: 16, noNaN: true }), fc.constantFrom(0.5, 1, 2, 4, 8));

function asymmetric(scale: number, zeroPoint: number, bits = 8): Quantization {
  return { spec: activationSpec(bits, "asymmetric"), params: params(scale, zeroPoint) };
}

test("where Add is left to the kernel, it computes the integers that the network means", () => {
  let agreed = 0;
  fc.assert(
    fc.property(scales, byte, ratio, byte, (scale, zeroX, times, zeroY) => {
      const scaleY = f(scale * times);
      if (!addAgrees(requantizeMultiplier(scale, 1, scaleY), asymmetric(scale, zeroX), zeroY)) return;
      agreed++;
      for (const kernel of ADDS)
        expect([kernel, differences(scale, zeroX, scaleY, zeroY, kernel)]).toEqual([kernel, 0]);
    }),
    { numRuns: 100, seed: 1 },
  );
  expect(agreed).toBeGreaterThan(20);
});

test("where Multiply is left to the kernel, it computes the integers that the network means", () => {
  let agreed = 0;
  const bits = fc.integer({ min: 2, max: 8 });
  const product = fc.tuple(scales, scales, ratio, bits, bits);
  fc.assert(
    fc.property(product, ([scaleA, scaleB, times, bitsA, bitsB]) => {
      const a = asymmetric(scaleA, (2 ** bitsA) >> 1, bitsA);
      const b = asymmetric(scaleB, 0, bitsB);
      const scaleY = f(scaleA * scaleB * times * 2 ** (bitsB - 1));
      if (!productAgrees(requantizeMultiplier(scaleA, scaleB, scaleY), a, b)) return;
      agreed++;
      expect(productDifferences(a, b, scaleY, false)).toBe(0);
      expect(productDifferences(a, b, scaleY, true)).toBe(0);
    }),
    { numRuns: 200, seed: 1 },
  );
  expect(agreed).toBeGreaterThan(20);
});

test("a half step at an odd zero point is not left to the kernel, which rounds the tie the other way", () => {
  const operand = asymmetric(0.5, 3);
  expect(differences(0.5, 3, 1, 1, "plain")).toBeGreaterThan(0);
  expect(addAgrees(0.5, operand, 1)).toBe(false);
  expect(addAgrees(0.5, operand, 2)).toBe(true);
});

test("a half step on scales that are no powers of two is not left to the kernels, which round before", () => {
  const scale = f(0.03);
  expect(differences(scale, 64, f(2 * scale), 64, "plain")).toBe(0);
  expect(differences(scale, 64, f(2 * scale), 64, "real")).toBeGreaterThan(0);
  expect(addAgrees(0.5, asymmetric(scale, 64), 64)).toBe(false);
  const [a, b] = [asymmetric(scale, 64), asymmetric(f(0.05), 0)];
  const scaleY = f(2 * f(scale * f(0.05)));
  expect(productDifferences(a, b, scaleY, false)).toBeGreaterThan(0);
  expect(productAgrees(requantizeMultiplier(scale, f(0.05), scaleY), a, b)).toBe(false);
  expect(productAgrees(0.5, asymmetric(1 / 32, 64), asymmetric(1 / 16, 0))).toBe(true);
});

test("the kernels themselves, over all pairs of bytes, do what is said of them", async () => {
  const scale = f(0.03);
  for (const [scaleA, scaleB, op] of [
    [scale, scale, "Add"],
    [scale, f(0.05), "Mul"],
  ] as const) {
    const scaleY = op === "Add" ? f(2 * scale) : f(2 * f(scale * scaleB));
    const m = requantizeMultiplier(scaleA, op === "Add" ? 1 : scaleB, scaleY);
    const meant = Uint8Array.from({ length: 65536 }, (_, i) => {
      const [x, y] = [(i >> 8) - 64, (i & 255) - 64];
      return requantize(op === "Add" ? x + y : x * y, m, op === "Add" ? 64 : 0, 0, 255);
    });
    const bytes = pairsModel(op, scaleA, scaleB, scaleY, op === "Add" ? 64 : 0);
    expect(await mismatches(cpuRuntime, bytes, meant)).toBe(0);
    // Where it is 0 one day, the runtime has changed, and the kernels can be trusted more often.
    expect(await mismatches(wasmRuntime, bytes, meant)).toBeGreaterThan(0);
  }
});

/** QuantizeLinear(op(DequantizeLinear(a), DequantizeLinear(b))), zero points of a and b 64. */
function pairsModel(op: string, scaleA: number, scaleB: number, scaleY: number, zeroY: number): Uint8Array {
  const sketch = new Sketch();
  const integers = new Uint8Array(65536);
  const a = sketch.input("a", tensor("uint8", [65536], integers));
  const b = sketch.input("b", tensor("uint8", [65536], integers));
  const sum = sketch.node(op, [sketch.dequantize(a, scaleA, 64), sketch.dequantize(b, scaleB, 64)]);
  const quantizer = [sum, sketch.real("s", scaleY), sketch.byte("z", zeroY)];
  const y = sketch.node("QuantizeLinear", quantizer, {}, "uint8", [65536]);
  sketch.builder.output(y);
  return encodeModel(
    graphToModel(sketch.builder.graph, { opset: 21, irVersion: 10, producerVersion: "test" }),
  );
}

function pairs(of: (i: number) => number): Tensor {
  return tensor(
    "uint8",
    [65536],
    Uint8Array.from({ length: 65536 }, (_, i) => of(i)),
  );
}

async function mismatches(runtime: Runtime, bytes: Uint8Array, meant: Uint8Array): Promise<number> {
  const session = await runtime.open({ bytes });
  const results = await session.run({ a: pairs((i) => i >> 8), b: pairs((i) => i & 255) });
  await session.dispose();
  const got = Object.values(results)[0]?.data as Uint8Array;
  return meant.filter((q, i) => q !== got[i]).length;
}
