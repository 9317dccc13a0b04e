import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { divergence } from "../../src/train/divergence.js";
import { setTestBackend, testBackends } from "./support/tfjs-backends.js";

const LOGITS = [
  [1, -2, 0.5],
  [0.3, 4, -1],
] as const;
const OTHER = [
  [0, 1, 0.5],
  [3, 3, -3],
] as const;

function softmax(row: readonly number[], temperature: number): number[] {
  const exps = row.map((x) => Math.exp(x / temperature));
  const sum = exps.reduce((a, b) => a + b, 0);
  return exps.map((x) => x / sum);
}

function expected(logits: readonly (readonly number[])[], weights: readonly number[], tau: number): number {
  return (
    logits.reduce((total, row, n) => {
      const [p, q] = [softmax(row, tau), softmax(OTHER[n] ?? [], tau)];
      const kl = q.reduce((sum, each, k) => sum + each * Math.log(each / (p[k] as number)), 0);
      return total + (weights[n] as number) * kl;
    }, 0) / logits.length
  );
}

for (const backend of testBackends) {
  describe(`on ${backend.name}`, backend.options, () => {
    beforeAll(() => setTestBackend(backend.name));

    test.each([
      [1, [1, 1]],
      [5, [1, 0]],
      [0.5, [0, 2]],
    ])("with temperature %f and weights %o it is the formula's, and so is its gradient", (tau, weights) => {
      const value = (logits: tf.Tensor): tf.Scalar =>
        divergence(
          logits as tf.Tensor2D,
          { outputs: tf.tensor2d(OTHER.map((row) => [...row])), weights: tf.tensor1d(weights) },
          tau,
        );
      tf.tidy(() => {
        const logits = tf.tensor2d(LOGITS.map((row) => [...row]));
        expect(value(logits).dataSync()[0]).toBeCloseTo(expected(LOGITS, weights, tau), 5);
        const gradient = tf
          .grad((x) => tf.mul(value(x), 3))(logits)
          .dataSync();
        const h = 1e-4;
        LOGITS.flat().forEach((_, i) => {
          const moved = (by: number): number[][] =>
            LOGITS.map((row, n) => row.map((x, k) => (n * 3 + k === i ? x + by : x)));
          const slope = (expected(moved(h), weights, tau) - expected(moved(-h), weights, tau)) / (2 * h);
          expect(gradient[i]).toBeCloseTo(3 * slope, 4);
        });
      });
    });
  });
}
