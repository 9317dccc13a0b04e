// fakeQuantize of src/quant as a tfjs function with the gradients of LSQ and LSQ+. Its forward must give the
// very numbers of src/quant/affine.ts: a test compares them bit for bit.

import * as tf from "@tensorflow/tfjs";
import { clip, roundHalfEven } from "../../quant/affine.js";
import { gridGradients, rectifiedGradients, roundRectified, roundToGrid } from "../kernels/fake-quantize.js";
import { isNative } from "../kernels/native.js";
import { relu6 } from "../kernels/relu.js";

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
 * @param scale broadcasts against v: one number, or one an output channel (the axes of channels side by side)
 */
export function fakeQuantize(v: tf.Tensor, scale: tf.Tensor, range: Range, gradientScale: number): tf.Tensor {
  const compute = tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [value, s, save] = args as [tf.Tensor, tf.Tensor, tf.GradSaveFunc];
    const scales = s.dataSync<"float32">();
    const y =
      scales.length === 1
        ? roundToGrid(value, scales[0] as number, range.low, range.high)
        : roundChannels(value, scales, innerSize(value, s), range);
    save([value, y]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]): tf.Tensor[] => {
      const [x, result] = saved as [tf.Tensor, tf.Tensor];
      const { dv, moved } =
        scales.length === 1
          ? gradientsOfOne(dy, x, result, scales[0] as number, range)
          : channelGradients(dy, x, result, scales, innerSize(x, s), range);
      const ds = scales.map((step, k) => ((moved[k] as number) / step) * gradientScale);
      return [dv, tf.tensor(ds, s.shape, "float32")];
    };
    return { value: y, gradFunc };
  });
  return compute(v, scale);
}

/**
 * {@link fakeQuantize} of `v = min(max(x, 0), 6)` from 0 to `high`, values and gradients, in fewer passes: either the
 * quantizer clips before 6, or it clips nothing that has not been.
 *
 * @param scale one number
 */
export function fakeQuantizeRelu6(
  x: tf.Tensor,
  scale: tf.Tensor,
  high: number,
  gradientScale: number,
): tf.Tensor {
  const isOpen = high * (scale.dataSync<"float32">()[0] as number) >= 6;
  if (!isOpen) return fakeQuantize(x, scale, { low: 0, high }, gradientScale);
  if (!isNative()) return fakeQuantize(relu6(x), scale, { low: 0, high }, gradientScale);
  const compute = tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [value, s, save] = args as [tf.Tensor, tf.Tensor, tf.GradSaveFunc];
    const step = s.dataSync<"float32">()[0] as number;
    const v = tf.relu6(value);
    const y = roundRectified(v, step);
    save([v, y]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]): tf.Tensor[] => {
      const { dv, moved } = rectifiedGradients(dy, saved[0] as tf.Tensor, saved[1] as tf.Tensor);
      return [dv, tf.fill(s.shape, (moved / step) * gradientScale)];
    };
    return { value: y, gradFunc };
  });
  return compute(x, scale);
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
  range: Range,
  gradientScale: number,
): tf.Tensor {
  const compute = tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [value, s, offset, save] = args as [tf.Tensor, tf.Tensor, tf.Tensor, tf.GradSaveFunc];
    const step = s.dataSync<"float32">()[0] as number;
    const z = deployedZeroPoint(offset, range);
    // Clipping from the zero point: clip(q + z, qmin, qmax) - z.
    const around = { low: range.low - z, high: range.high - z };
    const y = roundToGrid(value, step, around.low, around.high);
    save([value, y]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]): tf.Tensor[] => {
      const [x, result] = saved as [tf.Tensor, tf.Tensor];
      const { dv, moved } = gradientsOfOne(dy, x, result, step, around);
      const outside = tf.mul(tf.sub(tf.sum(dv), tf.sum(dy)), step * gradientScale);
      return [
        dv,
        tf.fill(s.shape, ((moved[0] as number) / step) * gradientScale),
        tf.reshape(outside, offset.shape),
      ];
    };
    return { value: y, gradFunc };
  });
  return compute(v, scale, zeroPoint);
}

/** The integer that a learned zero point is deployed as. */
export function deployedZeroPoint(zeroPoint: tf.Tensor, { low, high }: Range): number {
  return clip(roundHalfEven(zeroPoint.dataSync<"float32">()[0] as number), low, high);
}

interface Gradients {
  readonly dv: tf.Tensor;
  /** `sum(dy y) - sum(dv v)` of each scale. */
  readonly moved: ArrayLike<number>;
}

function gradientsOfOne(dy: tf.Tensor, v: tf.Tensor, y: tf.Tensor, scale: number, range: Range): Gradients {
  const { dv, moved } = gridGradients(dy, v, y, scale, range.low, range.high);
  return { dv, moved: [moved] };
}

/** Elements side by side that share a scale. */
function innerSize(v: tf.Tensor, scale: tf.Tensor): number {
  const lastAxis = scale.shape.findLastIndex((size) => size > 1) - scale.rank;
  return v.shape.slice(v.rank + lastAxis + 1).reduce((product, size) => product * size, 1);
}

// Weights have a scale a channel. They are few beside the activations and stand in arrays, where the optimizer moves
// them: two loops take less than calling the dozen operators they would be.

function roundChannels(v: tf.Tensor, scales: Float32Array, inner: number, { low, high }: Range): tf.Tensor {
  const values = v.dataSync<"float32">();
  const y = new Float32Array(values.length);
  let k = 0;
  for (let start = 0; start < y.length; start += inner) {
    const scale = scales[k] as number;
    for (let i = start; i < start + inner; i++) {
      y[i] = clip(roundHalfEven(Math.fround((values[i] as number) / scale)), low, high) * scale;
    }
    k = k + 1 === scales.length ? 0 : k + 1;
  }
  return tf.tensor(y, v.shape, "float32");
}

/** dv: dy where `low s <= v <= high s`, 0 elsewhere. */
function channelGradients(
  dy: tf.Tensor,
  v: tf.Tensor,
  y: tf.Tensor,
  scales: Float32Array,
  inner: number,
  { low, high }: Range,
): Gradients {
  const [slopes, values, results] = [dy, v, y].map((each) => each.dataSync<"float32">()) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const least = scales.map((scale) => low * scale);
  const greatest = scales.map((scale) => high * scale);
  const dv = new Float32Array(values.length);
  const moved = new Float64Array(scales.length);
  let k = 0;
  for (let start = 0; start < dv.length; start += inner) {
    for (let i = start; i < start + inner; i++) {
      const slope = slopes[i] as number;
      const value = values[i] as number;
      const isInside = value >= (least[k] as number) && value <= (greatest[k] as number);
      if (isInside) dv[i] = slope;
      moved[k] = (moved[k] as number) + slope * ((results[i] as number) - (isInside ? value : 0));
    }
    k = k + 1 === scales.length ? 0 : k + 1;
  }
  return { dv: tf.tensor(dv, v.shape, "float32"), moved };
}
