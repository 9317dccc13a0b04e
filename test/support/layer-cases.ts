// The frame of the layer oracles: one test a case, each over several seeds.

import * as tf from "@tensorflow/tfjs";
import { expect, test } from "vitest";
import { compareFloat, seeded, type CompareOptions } from "./layers-models.js";
import { compareQuantized, withHeads } from "./quantized-models.js";

/** Relative to the largest output: sums of a few hundred products in float32, in another order. */
const TOLERANCE = 2e-5;

/** Choices of one random model. */
export interface Chance {
  int(low: number, high: number): number;
  pick<T>(items: readonly T[]): T;
  /** Number in [0, 1) */
  number(): number;
}

export interface LayerCase {
  readonly title: string;
  readonly model: (chance: Chance) => tf.LayersModel;
  readonly options?: CompareOptions;
  readonly seeds?: number;
  readonly tolerance?: number;
  /** What of the quantized network can differ between runtimes, with the reason; nothing when absent. */
  readonly quantized?: QuantizedExpectation;
}

export interface QuantizedExpectation {
  /** Why the layer is no quantized network at all, and so is not tested as one. */
  readonly none?: string;
  readonly sqnrDb?: number;
}

export function chance(seed: number): Chance {
  const number = seeded(seed);
  return {
    number,
    int: (low, high) => low + Math.floor(number() * (high - low + 1)),
    pick: (items) => items[Math.floor(number() * items.length)] as never,
  };
}

export function testLayers(cases: readonly LayerCase[]): void {
  for (const each of cases) testQuantized(each);
  for (const { title, model, options, seeds, tolerance } of cases) {
    test(`${title} computes what tfjs computes`, async () => {
      for (let seed = 1; seed <= (seeds ?? 5); seed++) {
        const built = model(chance(seed * 7919));
        const { difference, magnitude } = await compareFloat(built, { seed, ...options });
        const config = JSON.stringify(built.layers.map((layer) => [layer.getClassName(), layer.getConfig()]));
        expect(magnitude, `seed ${seed}: all outputs are zero ${config}`).toBeGreaterThan(0);
        expect(difference / Math.max(1, magnitude), `seed ${seed} ${config}`).toBeLessThan(
          tolerance ?? TOLERANCE,
        );
        built.dispose();
      }
    });
  }
}

/** A model of these layers in a row; the first one carries the input's shape. */
export function row(...layers: readonly tf.layers.Layer[]): tf.Sequential {
  return tf.sequential({ layers: [...layers] });
}

/** Outputs are real sums in the end; see TOLERANCE. */
const OUTPUT_TOLERANCE = 1e-5;
/** Three 8-bit roundings in a row leave more than this of evenly spread inputs. */
const LEAST_SQNR_DB = 20;
/**
 * Computed in float between quantizers: sums and functions that runtimes order and approximate in their own
 * ways, so that a value next to a tie may round to the neighbouring integer, one step away.
 */
const FLOAT_BETWEEN_QUANTIZERS: ReadonlySet<string> = new Set([
  "Softmax",
  "LogSoftmax",
  "LayerNormalization",
  "AveragePool",
  "Resize",
  "ReduceMean",
  "ReduceL2",
  "ReduceSumSquare",
  "Sqrt",
  "Div",
]);

function testQuantized({ title, model, options, quantized = {} }: LayerCase): void {
  const { none, sqnrDb = LEAST_SQNR_DB } = quantized;
  if (none !== undefined) return;
  test(`${title}, quantized, has the same integers on every runtime and in both forms`, async () => {
    for (const [seed, bits] of [
      [1, 8],
      [2, 8],
      [3, 3],
    ] as const) {
      const built = withHeads(model(chance(seed * 7919)));
      const found = await compareQuantized(built, { bits, activationBits: bits }, { seed, ...options });
      const config = JSON.stringify(built.layers.map((layer) => [layer.getClassName(), layer.getConfig()]));
      const where = `seed ${seed}, ${bits} bits, ${config}`;
      expect(found.tensors, where).toBeGreaterThan(0);
      const inFloat = found.operators.some((op) => FLOAT_BETWEEN_QUANTIZERS.has(op));
      const beyond = found.mismatches.filter(({ steps }) => steps > (inFloat ? 1 : 0));
      expect(beyond, where).toEqual([]);
      expect(found.outputDifference, where).toBeLessThan(
        inFloat ? Number.POSITIVE_INFINITY : OUTPUT_TOLERANCE,
      );
      expect(found.sqnrDb, where).toBeGreaterThan(bits === 8 ? sqnrDb : Number.NEGATIVE_INFINITY);
      built.dispose();
    }
  });
}
