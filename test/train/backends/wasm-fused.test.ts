// The passes over activations of the WebAssembly backend, against the formulas in float32 arithmetic.

import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { useBackend } from "../../../src/train/backends/backends.js";
import {
  affineByChannel,
  biaffineByChannel,
  gridGradient,
  roundToGrid,
  wherePositive,
} from "../../../src/train/backends/wasm-fused.js";
import { sumByChannel } from "../../../src/train/backends/wasm-kernels/channel-sums.js";
import { random, tensorOf } from "./run-on.js";

const { fround } = Math;

/** Sizes around the sixteen elements of a round, with patterns that do not divide it, and one of many rounds. */
const SHAPES = [[1], [3], [15], [16], [17], [5, 3], [2, 3, 7], [4, 4, 12], [9, 16], [3, 5, 33], [70, 70, 3]];

/** x as it is, and what the tensors of the pass hold, which are then disposed of. */
function valuesOf(...tensors: tf.Tensor[]): Float32Array[] {
  return tensors.map((tensor) => {
    const values = tensor.dataSync<"float32">().slice();
    tensor.dispose();
    return values;
  });
}

beforeAll(async () => {
  await useBackend("wasm");
});

describe.each(SHAPES.map((shape) => ({ shape })))("on $shape", ({ shape }) => {
  const channels = shape.at(-1) as number;
  const [x, y, dy] = [random(shape, 1), random(shape, 2), random(shape, 3)];
  const [factor, slope, offset] = [4, 5, 6].map((seed) => random([channels], seed).data) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const at = (values: Float32Array, i: number): number => values[i % channels] as number;

  /** Runs with guards around, which no pass may write to, and sees that nothing is left over. */
  function guarded(pass: (x: tf.Tensor, y: tf.Tensor, dy: tf.Tensor) => tf.Tensor[]): Float32Array[] {
    const before = tf.ones([64]);
    const inputs = [x, y, dy].map(tensorOf) as [tf.Tensor, tf.Tensor, tf.Tensor];
    const after = tf.ones([64]);
    const { numTensors } = tf.memory();
    const tensors = pass(...inputs);
    expect(tf.memory().numTensors).toBe(numTensors + tensors.length);
    const results = valuesOf(...tensors);
    for (const guard of valuesOf(before, after)) expect(guard.every((each) => each === 1)).toBe(true);
    expect(valuesOf(...inputs)).toEqual([x.data, y.data, dy.data]);
    return results;
  }

  test("keeps where the other is positive", () => {
    expect(guarded((a, b) => [wherePositive(a, b)])).toEqual([
      x.data.map((v, i) => ((y.data[i] as number) > 0 ? v : 0)),
    ]);
  });

  test("multiplies and adds by channel, each rounded to float32", () => {
    const expected = x.data.map((v, i) => fround(fround(v * at(factor, i)) + at(offset, i)));
    expect(guarded((a) => [affineByChannel(a, factor, offset)])).toEqual([expected]);
  });

  test("combines two by channel", () => {
    const expected = x.data.map((v, i) => {
      const rest = fround(fround((y.data[i] as number) * at(slope, i)) + at(offset, i));
      return fround(fround(v * at(factor, i)) + rest);
    });
    expect(guarded((a, b) => [biaffineByChannel(a, factor, b, slope, offset)])).toEqual([expected]);
  });

  test("sums by channel", () => {
    const [sums, products] = [new Float64Array(channels), new Float64Array(channels)];
    x.data.forEach((v, i) => {
      sums[i % channels] = element(sums, i % channels) + v;
      products[i % channels] = element(products, i % channels) + v * (y.data[i] as number);
    });
    guarded((a, b) => {
      sumByChannel(a, null).forEach((sum, c) => expect(sum).toBeCloseTo(element(sums, c), 4));
      sumByChannel(a, b).forEach((sum, c) => expect(sum).toBeCloseTo(element(products, c), 4));
      return [];
    });
  });

  test("rounds to a grid as src/quant does: half to even, after a division in float32", () => {
    const scale = fround(0.3);
    const expected = x.data.map((v) => {
      const ratio = Math.min(Math.max(fround(v / scale), -2), 3);
      return fround(halfEven(ratio) * scale);
    });
    // -0 and 0 are one number.
    const [actual] = guarded((a) => [roundToGrid(a, scale, -2, 3)]) as [Float32Array];
    expect(actual.map((v) => v + 0)).toEqual(expected.map((v) => v + 0));
  });

  test("masks outside of the grid, and sums what moves the scale", () => {
    const [least, greatest] = [fround(-0.4), fround(0.6)];
    const inside = (v: number): boolean => v >= least && v <= greatest;
    const dv = dy.data.map((g, i) => (inside(x.data[i] as number) ? g : 0));
    const moved = dy.data.reduce(
      (sum, g, i) => sum + g * (y.data[i] as number) - (dv[i] as number) * (x.data[i] as number),
      0,
    );
    let sum = NaN;
    const [actual] = guarded((v, rounded, slopes) => {
      const result = gridGradient(slopes, v, rounded, least, greatest);
      sum = result.moved;
      return [result.dv];
    });
    expect(actual).toEqual(dv);
    expect(sum).toBeCloseTo(moved, 3);
  });
});

test("ties round to even, and what is not a number stays so", () => {
  const [rounded] = valuesOf(roundToGrid(tf.tensor1d([0.5, 1.5, 2.5, -0.5, -1.5, NaN, 1e9, -1e9]), 1, -2, 3));
  expect(Array.from(rounded as Float32Array, (v) => v + 0)).toEqual([0, 2, 2, 0, -2, NaN, 3, -2]);
});

function halfEven(value: number): number {
  const down = Math.floor(value);
  const rest = value - down;
  if (rest !== 0.5) return Math.round(value);
  return down % 2 === 0 ? down : down + 1;
}

function element(values: Float64Array, i: number): number {
  return values[i] as number;
}
