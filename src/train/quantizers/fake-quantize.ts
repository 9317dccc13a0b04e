// fakeQuantize of src/quant as a tfjs function with the gradients of LSQ and LSQ+. Its forward must give the
// very numbers of src/quant/affine.ts: a test compares them bit for bit.

import * as tf from "@tensorflow/tfjs";
import { gridGradients, roundToGrid } from "../kernels/fake-quantize.js";

/** Integers from the zero point: `low = qmin - zeroPoint`, `high = qmax - zeroPoint`. */
export interface Range {
  readonly low: number;
  readonly high: number;
}

/**
 * `y = s * clip(roundHalfEven(v / s), low, high)`, symmetric (zero point 0).
 *
 * Gradients (Esser et al. 2020, eq. 2 and 3): `dy/dv` is 1 inside the range and 0 outside; `dy/ds` is
 * `round(v/s) - v/s` inside, `low` or `high` outside, times `gradientScale`. As a sum over the elements of one
 * scale that is `(sum(dy * y) - sum(dv * v)) / s`, with dv the gradient that goes on: no slope is held.
 *
 * @param scale broadcasts against v: one number, or one an output channel
 */
export function fakeQuantize(
  v: tf.Tensor,
  scale: tf.Tensor,
  { low, high }: Range,
  gradientScale: number,
): tf.Tensor {
  const compute = tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [value, s, save] = args as [tf.Tensor, tf.Tensor, tf.GradSaveFunc];
    const single = s.size === 1;
    const y = single
      ? roundToGrid(value, s, low, high)
      : tf.mul(tf.clipByValue(tf.round(tf.div(value, s)), low, high), s);
    save([value, s, y]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]): tf.Tensor[] => {
      const [x, step, result] = saved as [tf.Tensor, tf.Tensor, tf.Tensor];
      if (single) {
        const { dv, moved } = gridGradients(dy, x, result, step, low, high);
        return [dv, tf.reshape(tf.mul(tf.div(moved, tf.reshape(step, [])), gradientScale), step.shape)];
      }
      const dv = maskOutside(dy, x, step, low, high);
      const moved = tf.sub(sumLike(dy, result, step), sumLike(dv, x, step));
      return [dv, tf.mul(tf.div(moved, step), gradientScale)];
    };
    return { value: y, gradFunc };
  });
  return compute(v, scale);
}

/**
 * `y = s * (clip(roundHalfEven(v / s) + z, qmin, qmax) - z)`, `z = clip(roundHalfEven(zeroPoint), qmin, qmax)`: LSQ+
 * (Bhalgat et al. 2020) with the offset held as the zero point that is deployed.
 *
 * Gradients as above; of z: 0 inside, `-s` outside, straight through its rounding.
 *
 * @param scale and zeroPoint: one number each
 */
export function fakeQuantizeAsymmetric(
  v: tf.Tensor,
  scale: tf.Tensor,
  zeroPoint: tf.Tensor,
  { low: qmin, high: qmax }: Range,
  gradientScale: number,
): tf.Tensor {
  const compute = tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [value, s, offset, save] = args as [tf.Tensor, tf.Tensor, tf.Tensor, tf.GradSaveFunc];
    const z = deployedZeroPoint(offset, { low: qmin, high: qmax }).dataSync<"float32">()[0] as number;
    // Clipping from the zero point: clip(q + z, qmin, qmax) - z.
    const [low, high] = [qmin - z, qmax - z];
    const y = roundToGrid(value, s, low, high);
    save([value, s, y]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]): tf.Tensor[] => {
      const [x, step, result] = saved as [tf.Tensor, tf.Tensor, tf.Tensor];
      const { dv, moved } = gridGradients(dy, x, result, step, low, high);
      const outside = tf.mul(tf.sub(tf.sum(dv), tf.sum(dy)), step);
      return [dv, tf.mul(tf.div(moved, step), gradientScale), tf.mul(outside, gradientScale)];
    };
    return { value: y, gradFunc };
  });
  return compute(v, scale, zeroPoint);
}

/** The integer that a learned zero point is deployed as. */
export function deployedZeroPoint(zeroPoint: tf.Tensor, { low, high }: Range): tf.Tensor {
  return tf.clipByValue(tf.round(zeroPoint), low, high);
}

/** dy where `low <= v / s <= high`, 0 elsewhere. */
function maskOutside(dy: tf.Tensor, v: tf.Tensor, s: tf.Tensor, low: number, high: number): tf.Tensor {
  const inside = tf.logicalAnd(tf.lessEqual(v, tf.mul(s, high)), tf.greaterEqual(v, tf.mul(s, low)));
  return tf.mul(dy, tf.cast(inside, "float32"));
}

/** `sum(a * b)` over the axes in which `like` has one element. */
function sumLike(a: tf.Tensor, b: tf.Tensor, like: tf.Tensor): tf.Tensor {
  const axes = like.shape.flatMap((size, axis) => (size === 1 ? [axis] : []));
  return like.rank === 0 ? tf.sum(tf.mul(a, b)) : tf.sum(tf.mul(a, b), axes, true);
}
