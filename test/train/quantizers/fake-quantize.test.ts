// fakeQuantize in tfjs against the arithmetic of src/quant (bit for bit), LSQ's gradients against their closed
// form and against finite differences of the surrogate that they belong to.

import * as tf from "@tensorflow/tfjs";
import * as fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { fakeQuantize as judge } from "../../../src/quant/affine.js";
import { activationSpec, qmax, qmin, type QuantSpec, weightSpec } from "../../../src/quant/spec.js";
import { useBackend } from "../../../src/train/backends/backends.js";
import {
  fakeQuantize,
  fakeQuantizeAsymmetric,
  fakeQuantizeRelu6,
} from "../../../src/train/quantizers/fake-quantize.js";
import { describeOnBackends } from "../support/backends.js";

/** The range of signed 3 bits and LSQ's factor 1. */
const threeBits = (v: tf.Tensor, s: tf.Tensor): tf.Tensor => fakeQuantize(v, s, { low: -4, high: 3 }, 1);
const asymmetric = (v: tf.Tensor, s: tf.Tensor, z: tf.Tensor): tf.Tensor =>
  fakeQuantizeAsymmetric(v, s, z, { low: 0, high: 7 }, 1);

const apart = (x: tf.Tensor, s: tf.Tensor): tf.Tensor =>
  fakeQuantize(tf.relu6(x), s, { low: 0, high: 15 }, 0.1);
const together = (x: tf.Tensor, s: tf.Tensor): tf.Tensor => fakeQuantizeRelu6(x, s, 15, 0.1);

const rangeOf = (spec: QuantSpec): { low: number; high: number } => ({ low: qmin(spec), high: qmax(spec) });

/** Numbers around ties and ends of the range too, in steps of the scale. */
const valuesIn = (scale: number): fc.Arbitrary<Float32Array> =>
  fc
    .array(
      fc.oneof(
        fc.integer({ min: -300, max: 300 }).map((n) => n / 2),
        fc.double({ min: -300, max: 300, noNaN: true }),
      ),
      {
        minLength: 24,
        maxLength: 24,
      },
    )
    .map((steps) => Float32Array.from(steps, (step) => step * scale));

describeOnBackends((backend) => {
  beforeAll(() => useBackend(backend));
  afterAll(() => tf.disposeVariables());

  it("gives the numbers of src/quant bit for bit, one scale or one a channel", () => {
    const scales = fc.array(fc.float({ min: Math.fround(1e-4), max: 10, noNaN: true }), {
      minLength: 4,
      maxLength: 4,
    });
    fc.assert(
      fc.property(
        scales,
        fc.integer({ min: 2, max: 8 }),
        fc.boolean(),
        fc.gen(),
        (list, bits, perChannel, gen) => {
          const spec = weightSpec(bits, perChannel ? 1 : null);
          const scale = Float32Array.from(perChannel ? list : list.slice(0, 1));
          const x = gen(() => valuesIn(scale[0] as number));
          const params = { scale, zeroPoint: new Int32Array(scale.length) };
          const expected = judge(x, [6, 4], { spec, params });
          const got = tf.tidy(() =>
            fakeQuantize(
              tf.tensor(x, [6, 4]),
              tf.tensor(scale, perChannel ? [1, 4] : []),
              rangeOf(spec),
              1,
            ).dataSync(),
          );
          expect(withoutSignOfZero(got)).toEqual(withoutSignOfZero(expected));
        },
      ),
      { numRuns: 60 },
    );
  });

  it("takes the scales of any axis of channels: that of transposed convolutions is the last but one", () => {
    const x = Float32Array.from({ length: 24 }, (_, i) => Math.sin(i) * 2);
    const scale = Float32Array.of(0.3, 0.7, 0.11);
    const spec = weightSpec(4, 1);
    const expected = judge(x, [2, 3, 4], { spec, params: { scale, zeroPoint: new Int32Array(3) } });
    const [dv, ds] = tf.grads((v, s) => fakeQuantize(v, s, rangeOf(spec), 1))([
      tf.tensor(x, [2, 3, 4]),
      tf.tensor(scale, [1, 3, 1]),
    ]) as [tf.Tensor, tf.Tensor];
    const got = fakeQuantize(tf.tensor(x, [2, 3, 4]), tf.tensor(scale, [1, 3, 1]), rangeOf(spec), 1);
    expect(withoutSignOfZero(got.dataSync())).toEqual(withoutSignOfZero(expected));
    // A scale's gradient is its channel's alone.
    const slope = (i: number): number => {
      const s = scale[Math.floor(i / 4) % 3] as number;
      const isInside = dv.dataSync()[i] === 1;
      return ((expected[i] as number) - (isInside ? (x[i] as number) : 0)) / s;
    };
    const sums = [0, 0, 0];
    x.forEach((_, i) => (sums[Math.floor(i / 4) % 3] = (sums[Math.floor(i / 4) % 3] as number) + slope(i)));
    sums.forEach((sum, k) => expect(ds.dataSync()[k]).toBeCloseTo(sum, 4));
  });

  it.each([0.02, 0.399, 0.401, 1.7])(
    "takes a rectifier that ends at 6 with it, bit for bit, and both gradients: 4 bits of scale %d",
    (step) => {
      const inputs = [tf.randomUniform([400], -3, 9, "float32", 1), tf.scalar(step)];
      const dy = tf.randomNormal([400], 0, 1, "float32", 2);
      const [x, s] = inputs as [tf.Tensor, tf.Tensor];
      expect(withoutSignOfZero(together(x, s).dataSync())).toEqual(withoutSignOfZero(apart(x, s).dataSync()));
      const [dx, ds] = tf.grads(together)(inputs, dy) as [tf.Tensor, tf.Tensor];
      const [judgeX, judgeS] = tf.grads(apart)(inputs, dy) as [tf.Tensor, tf.Tensor];
      expect(withoutSignOfZero(dx.dataSync())).toEqual(withoutSignOfZero(judgeX.dataSync()));
      expect(ds.dataSync()[0]).toBeCloseTo(judgeS.dataSync()[0] as number, 2);
    },
  );

  it("gives the numbers of src/quant bit for bit with a zero point", () => {
    const spec = activationSpec(4, "asymmetric");
    fc.assert(
      fc.property(
        fc.float({ min: Math.fround(1e-4), max: 10, noNaN: true }),
        fc.double({ min: -3, max: 20, noNaN: true }),
        fc.gen(),
        (scale, offset, gen) => {
          const x = gen(() => valuesIn(scale));
          const zeroPoint = Math.min(Math.max(roundHalfEven(Math.fround(offset)), 0), 15);
          const params = { scale: Float32Array.of(scale), zeroPoint: Int32Array.of(zeroPoint) };
          const expected = judge(x, [24], { spec, params });
          const got = tf.tidy(() =>
            fakeQuantizeAsymmetric(
              tf.tensor(x),
              tf.scalar(scale),
              tf.scalar(offset),
              rangeOf(spec),
              1,
            ).dataSync(),
          );
          expect(withoutSignOfZero(got)).toEqual(withoutSignOfZero(expected));
        },
      ),
      { numRuns: 60 },
    );
  });

  it.each([
    ["signed 3 bits", weightSpec(3, null), -4, 3],
    ["unsigned 3 bits", activationSpec(3, "non-negative"), 0, 7],
  ] as const)("has LSQ's gradients, element by element: %s", (_, spec, low, high) => {
    const s = Math.fround(0.3);
    const steps = [-6.2, -4.4, -1.3, -0.2, 0.1, 1.49, 2.6, 3.4, 6.9, 9.7].filter(
      (step) => spec.signed || step >= 0,
    );
    for (const step of steps) {
      const v = Math.fround(step * s);
      const ratio = v / s;
      const inside = ratio > low && ratio < high;
      const slope = ratio <= low ? low : ratio >= high ? high : Math.round(ratio) - ratio;
      const [dv, ds] = gradients(v, s, rangeOf(spec), 0.25);
      expect(dv).toBe(inside ? 2 : 0);
      expect(ds).toBeCloseTo(2 * 0.25 * slope, 5);
    }
  });

  it("sums the gradient of each scale over its own channel", () => {
    const x = Float32Array.of(0.1, 0.52, -0.33, 2, -0.7, 0.24);
    const scale = Float32Array.of(0.25, 0.4);
    const dy = [1, -2, 3, 4, -5, 6];
    const expected = [0, 0];
    x.forEach((v, i) => {
      const k = i % 2;
      const ratio = v / (scale[k] as number);
      const slope = ratio < -4 ? -4 : ratio > 3 ? 3 : Math.round(ratio) - ratio;
      expected[k] = (expected[k] as number) + (dy[i] as number) * slope;
    });
    const got = tf.tidy(() => {
      const [, ds] = tf.grads(threeBits)(
        [tf.tensor(x, [3, 2]), tf.tensor(scale, [1, 2])],
        tf.tensor(dy, [3, 2]),
      );
      return (ds as tf.Tensor).dataSync();
    });
    expect(got[0]).toBeCloseTo(expected[0] as number, 5);
    expect(got[1]).toBeCloseTo(expected[1] as number, 5);
  });

  it("has the gradients of the surrogate that holds the rounding error still, by finite differences", () => {
    // y = s * (v/s + e) inside, with e = round(v/s) - v/s taken at the point: dy/dv = 1; and s * bound outside.
    const s = 0.2;
    const h = 1e-3;
    for (const v of [-1.5, -0.37, 0.11, 0.43, 1.2]) {
      const ratio = v / s;
      const error = Math.round(ratio) - ratio;
      const surrogate = (vv: number, ss: number): number => {
        if (ratio < -4) return ss * -4;
        if (ratio > 3) return ss * 3;
        // Straight through: the integer moves with v but not with s.
        return vv + ss * error;
      };
      const [dv, ds] = gradients(Math.fround(v), Math.fround(s), { low: -4, high: 3 }, 1);
      expect(dv / 2).toBeCloseTo((surrogate(v + h, s) - surrogate(v - h, s)) / (2 * h), 4);
      expect(ds / 2).toBeCloseTo((surrogate(v, s + h) - surrogate(v, s - h)) / (2 * h), 4);
    }
  });

  it("moves a zero point by what lies outside the range, and by nothing else", () => {
    const s = 0.5;
    const dy = [1, 2, 4];
    // z = 3 of 0..7: the range is -1.5..2.
    const [dv, ds, dz] = tf.tidy(() => {
      const inputs = [tf.tensor([0.6, -2, 3]), tf.scalar(s), tf.scalar(3.2)];
      return tf
        .grads(asymmetric)(inputs, tf.tensor(dy))
        .map((gradient) => Array.from(gradient.dataSync()));
    }) as [number[], number[], number[]];
    expect(dv).toEqual([1, 0, 0]);
    expect(dz[0]).toBeCloseTo(-s * (2 + 4), 5);
    expect(ds[0]).toBeCloseTo(1 * (1 - 1.2) + 2 * -3 + 4 * 4, 5);
  });
});

/** [dy/dv, dy/ds] for dy = 2. */
function gradients(
  v: number,
  s: number,
  range: { low: number; high: number },
  gradientScale: number,
): [number, number] {
  const f = (value: tf.Tensor, scale: tf.Tensor): tf.Tensor =>
    fakeQuantize(value, scale, range, gradientScale);
  const [dv, ds] = tf.tidy(() => {
    return tf
      .grads(f)([tf.tensor([v]), tf.scalar(s)], tf.tensor([2]))
      .map((gradient) => gradient.dataSync()[0] as number);
  });
  return [dv as number, ds as number];
}

function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** Nothing tells 0 from -0 once it is an integer. */
function withoutSignOfZero(values: ArrayLike<number>): number[] {
  return Array.from(values, (x) => x + 0);
}
