// Operators that move, select or repeat elements without changing them.

import * as tf from "@tensorflow/tfjs";
import { intAttribute, intsAttribute, stringAttribute } from "../../graph/graph.js";
import {
  aligned,
  allInputs,
  asIs,
  channelsFirstOrder,
  channelsLastOrder,
  commonShape,
  heldAxis,
  hold,
  inputAt,
  intsAt,
  invalid,
  type Op,
  optionalInts,
  permuted,
  spread,
  unsupported,
} from "./op.js";
import { everyNth } from "./window.js";

export const identity: Op = (node, inputs) => [inputAt(node, inputs, 0)];

/** 0 keeps the input's size, one -1 is worked out (ONNX Reshape). */
export const reshape: Op = (node, inputs, constants) => {
  const x = asIs(inputAt(node, inputs, 0));
  if (intAttribute(node, "allowzero", 0) !== 0) throw unsupported(node, "attribute allowzero");
  const shape = intsAt(node, constants, 1).map((dim, axis) => (dim === 0 ? (x.shape[axis] ?? 0) : dim));
  return [hold(tf.reshape(x, shape), "as-is")];
};

/** The axes before `axis` as one, and those from it on. */
export const flatten: Op = (node, inputs) => {
  const x = asIs(inputAt(node, inputs, 0));
  const axis = intAttribute(node, "axis", 1);
  const rows = x.shape.slice(0, axis).reduce((product, dim) => product * dim, 1);
  return [hold(tf.reshape(x, [rows, -1]), "as-is")];
};

export const squeeze: Op = (node, inputs, constants) => {
  const x = asIs(inputAt(node, inputs, 0));
  const axes = optionalInts(node, constants, 1)?.map((axis) => (axis < 0 ? axis + x.rank : axis));
  const shape = x.shape.filter((dim, axis) => !(axes ? axes.includes(axis) : dim === 1));
  return [hold(tf.reshape(x, shape), "as-is")];
};

export const unsqueeze: Op = (node, inputs, constants) => {
  const x = asIs(inputAt(node, inputs, 0));
  const listed = intsAt(node, constants, 1);
  const rank = x.rank + listed.length;
  const shape = [...x.shape];
  const axes = listed.map((axis) => (axis < 0 ? axis + rank : axis)).toSorted((a, b) => a - b);
  for (const axis of axes) shape.splice(axis, 0, 1);
  return [hold(tf.reshape(x, shape), "as-is")];
};

/** Between the two orders of axes only the name changes; every other transposition moves the elements. */
export const transpose: Op = (node, inputs) => {
  const { tensor, layout } = inputAt(node, inputs, 0);
  const { rank } = tensor;
  const permutation = intsAttribute(node, "perm") ?? tensor.shape.map((_, axis) => rank - 1 - axis);
  if (permutation.length !== rank) throw invalid(node, `perm has ${permutation.length} axes of ${rank}`);
  const places = channelsFirstOrder(rank);
  const order = layout === "channels-last" ? permutation.map((axis) => places[axis] as number) : permutation;
  const asLast = channelsLastOrder(rank).map((axis) => order[axis] as number);
  if (asLast.every((axis, i) => axis === i)) return [hold(tensor, "channels-last")];
  return [hold(permuted(tensor, order), "as-is")];
};

export const concat: Op = (node, inputs) => {
  const held = allInputs(node, inputs);
  const { tensors, layout } = aligned(held);
  const [first] = tensors as [tf.Tensor];
  if (tensors.some((tensor) => tensor.rank !== first.rank))
    throw invalid(node, "joins tensors of several ranks");
  const axis = heldAxis(node, { tensor: first, layout }, intAttribute(node, "axis", 0));
  return [{ tensor: tf.concat([...tensors], axis), layout }];
};

/** Starts, ends, axes and steps are constants; bounds beyond the end are clamped (ONNX Slice). */
export const slice: Op = (node, inputs, constants) => {
  const x = inputAt(node, inputs, 0);
  const starts = intsAt(node, constants, 1);
  const ends = intsAt(node, constants, 2);
  const axes = optionalInts(node, constants, 3) ?? starts.map((_, i) => i);
  const steps = optionalInts(node, constants, 4) ?? starts.map(() => 1);
  let y = x.tensor;
  axes.forEach((listed, i) => {
    const axis = heldAxis(node, x, listed);
    const size = y.shape[axis] as number;
    const step = steps[i] as number;
    if (step < 1) throw unsupported(node, `a step of ${step}`);
    const bound = (value: number): number => Math.min(Math.max(value < 0 ? value + size : value, 0), size);
    const start = bound(starts[i] as number);
    const length = bound(ends[i] as number) - start;
    if (length < 1) throw unsupported(node, "a slice of nothing");
    y = part(y, axis, start, length);
    if (step > 1) y = everyNth(y, axis, step, Math.ceil(length / step));
  });
  return [{ ...x, tensor: y }];
};

function part(x: tf.Tensor, axis: number, start: number, length: number): tf.Tensor {
  if (start === 0 && length === x.shape[axis]) return x;
  const starts = x.shape.map((_, i) => (i === axis ? start : 0));
  return tf.slice(x, starts, x.shape.with(axis, length));
}

/** Constant padding; negative pads cut (ONNX Pad). */
export const pad: Op = (node, inputs, constants) => {
  const x = inputAt(node, inputs, 0);
  const { rank } = x.tensor;
  const mode = stringAttribute(node, "mode", "constant");
  if (mode !== "constant") throw unsupported(node, `padding of mode "${mode}"`);
  const pads = intsAt(node, constants, 1);
  const axes = optionalInts(node, constants, 3) ?? x.tensor.shape.map((_, axis) => axis);
  if (pads.length !== 2 * axes.length) throw invalid(node, `got ${pads.length} pads for ${axes.length} axes`);
  if (node.inputs[2] && !constants(2)) throw unsupported(node, "a padding value that is computed");
  const value = Number(constants(2)?.data[0] ?? 0);
  const borders = Array.from({ length: rank }, (): [number, number] => [0, 0]);
  axes.forEach((axis, i) => {
    borders[heldAxis(node, x, axis)] = [pads[i] as number, pads[i + axes.length] as number];
  });
  let y = x.tensor;
  borders.forEach(([before, after], axis) => {
    const start = Math.max(0, -before);
    y = part(y, axis, start, (y.shape[axis] as number) - start - Math.max(0, -after));
  });
  const grown = borders.map(([before, after]): [number, number] => [Math.max(0, before), Math.max(0, after)]);
  if (grown.some(([before, after]) => before + after > 0)) y = tf.pad(y, grown, value);
  return [{ ...x, tensor: y }];
};

export const tile: Op = (node, inputs, constants) => {
  const x = inputAt(node, inputs, 0);
  const repeats = intsAt(node, constants, 1);
  if (repeats.length !== x.tensor.rank) throw invalid(node, `got ${repeats.length} repeats`);
  const held = x.tensor.shape.map(() => 1);
  repeats.forEach((times, axis) => (held[heldAxis(node, x, axis)] = times));
  return [{ ...x, tensor: tf.tile(x.tensor, held) }];
};

export const expand: Op = (node, inputs, constants) => {
  const x = asIs(inputAt(node, inputs, 0));
  return [hold(spread(x, commonShape(node, x.shape, intsAt(node, constants, 1))), "as-is")];
};

/**
 * Rows of x along `axis`. By constant indices: pieces of x put together, which has a gradient on every backend.
 * By computed indices: tfjs's gather; a table of one axis leaves the indices' order of axes as it is.
 */
export const gather: Op = (node, inputs, constants) => {
  const x = inputAt(node, inputs, 0);
  const axis = heldAxis(node, x, intAttribute(node, "axis", 0));
  const size = x.tensor.shape[axis] as number;
  const indices = constants(1);
  if (indices && indices.shape.length === 1) {
    const listed = Array.from(indices.data as ArrayLike<number | bigint>, Number);
    const rows = listed.map((index) => (index < 0 ? index + size : index));
    if (rows.length === 0 || rows.some((row) => !(row >= 0 && row < size))) {
      throw invalid(node, `indices [${listed.join(", ")}] of ${size} rows`);
    }
    const pieces = runs(rows).map(([start, length]) => part(x.tensor, axis, start, length));
    return [{ ...x, tensor: pieces.length === 1 ? (pieces[0] as tf.Tensor) : tf.concat(pieces, axis) }];
  }
  const index = inputAt(node, inputs, 1);
  if (x.tensor.rank === 1) return [{ ...index, tensor: tf.gather(x.tensor, tf.cast(index.tensor, "int32")) }];
  const own = intAttribute(node, "axis", 0);
  const table = asIs(x);
  return [hold(tf.gather(table, tf.cast(asIs(index), "int32"), own < 0 ? own + table.rank : own), "as-is")];
};

/** Ascending neighbours in a list of indices, as starts and lengths. */
function runs(rows: readonly number[]): [start: number, length: number][] {
  const found: [number, number][] = [];
  for (const row of rows) {
    const last = found.at(-1);
    if (last && last[0] + last[1] === row) last[1]++;
    else found.push([row, 1]);
  }
  return found;
}
