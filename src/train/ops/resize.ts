// Resize by whole factors, as UpSampling2D layers have it.

import * as tf from "@tensorflow/tfjs";
import { type Node, stringAttribute } from "../../graph/graph.js";
import { channelsLast, type Constants, hold, inputAt, type Op, unsupported } from "./op.js";

/**
 * `y[p] = x[floor(p / factor)]` (nearest), or interpolated between neighbours and clamped at the end (linear), along
 * the spatial axes; asymmetric coordinates.
 *
 * @throws QdgError `unsupported-layer` for every other way to resize
 */
export const resize: Op = (node, inputs, constants) => {
  const x = channelsLast(inputAt(node, inputs, 0));
  const factors = factorsOf(node, constants, x.rank);
  const mode = stringAttribute(node, "mode", "nearest");
  if (stringAttribute(node, "coordinate_transformation_mode", "half_pixel") !== "asymmetric") {
    throw unsupported(node, "coordinates other than asymmetric ones");
  }
  if (mode === "nearest" && stringAttribute(node, "nearest_mode", "round_prefer_floor") === "floor") {
    return [
      hold(
        factors.reduce((y, factor, i) => repeated(y, i + 1, factor), x),
        "channels-last",
      ),
    ];
  }
  if (mode !== "linear" || x.rank !== 4) throw unsupported(node, `mode "${mode}" at rank ${x.rank}`);
  const [height, width] = factors.map((factor, i) => factor * (x.shape[i + 1] as number)) as [number, number];
  return [hold(tf.image.resizeBilinear(x as tf.Tensor4D, [height, width]), "channels-last")];
};

/** Factors of the spatial axes. */
function factorsOf(node: Node, constants: Constants, rank: number): number[] {
  const scales = Array.from((constants(2)?.data ?? []) as ArrayLike<number>, Number);
  const [batch, channels, ...factors] = scales;
  if (
    scales.length !== rank ||
    batch !== 1 ||
    channels !== 1 ||
    !factors.every((f) => Number.isInteger(f) && f > 0)
  ) {
    throw unsupported(node, `scales [${scales.join(", ")}]; expected whole factors of the space`);
  }
  return factors;
}

/** Each element `times` times in a row along an axis. */
function repeated(x: tf.Tensor, axis: number, times: number): tf.Tensor {
  if (times === 1) return x;
  const outer = x.shape.slice(0, axis + 1).reduce((product, dim) => product * dim, 1);
  const rows = tf.tile(tf.reshape(x, [outer, 1, -1]), [1, times, 1]);
  return tf.reshape(rows, x.shape.with(axis, times * (x.shape[axis] as number)));
}
