// Parts of tensors: slices with all masks of StridedSlice, splits, rows by index, and axes turned round.

import type { Dim } from "../../../graph/graph.js";
import { formatShape } from "../../dims.js";
import { heldAxis, rankOf } from "../../held.js";
import { type Emit, type OpCall, type OpFamily } from "../call.js";
import { rangeSize } from "../sizes.js";
import { type GraphTensor, shapeOfTensor } from "../tensors.js";
import { expanded, squeezed } from "./shaping.js";

/** Beyond the end of any axis, for ONNX. */
const END = 2 ** 31 - 1;

/** What is taken of one axis: from begin by step up to end, both as ONNX Slice has them. */
interface Span {
  readonly axis: number;
  readonly begin: number;
  readonly end: number;
  readonly step: number;
  readonly size: Dim;
}

/** The spans that are not the whole axis, as one Slice. */
function sliced(
  call: OpCall,
  { held, numbers }: GraphTensor,
  spans: readonly Span[],
  what: string,
): GraphTensor {
  if (spans.length === 0) return call.result(held.value, held.layout, numbers);
  const axes = spans.map(({ axis }) => heldAxis(held, axis));
  const shape = [...held.value.shape];
  spans.forEach(({ size }, i) => (shape[axes[i] as number] = size));
  const inputs = [
    held.value,
    call.ints(
      `${what}starts`,
      spans.map(({ begin }) => begin),
    ),
    call.ints(
      `${what}ends`,
      spans.map(({ end }) => end),
    ),
    call.ints(`${what}axes`, axes),
    call.ints(
      `${what}steps`,
      spans.map(({ step }) => step),
    ),
  ];
  const [span] = spans;
  const picked = numbers && span ? pick(numbers, span) : null;
  return call.result(call.node("Slice", inputs, what, shape), held.layout, picked);
}

function pick(numbers: readonly Dim[], { begin, step, size }: Span): readonly Dim[] | null {
  if (typeof size !== "number") return null;
  const first = begin < 0 ? begin + numbers.length : begin;
  return Array.from({ length: size }, (_, i) => numbers[first + i * step] as Dim);
}

/**
 * Counted from the end where negative, and held within the axis, as numpy does it. An end or a beginning that is the
 * axis's own open size is its end.
 */
function spanOf(
  call: OpCall,
  axis: number,
  size: Dim,
  begin: number | null,
  end: number | null,
  step: number,
): Span | null {
  if (step === 0) call.failModel("strides: got 0");
  if (typeof size !== "number") {
    const whole = (begin ?? 0) === 0 && end === null && step === 1;
    if (whole) return null;
    const [from, to] = [begin ?? 0, end];
    // A few from either end, of an axis that is taken to be as long.
    const few =
      step === 1 && to !== null && from >= 0 === to >= 0 && to > from
        ? to - from
        : step === 1 && to === null && from < 0
          ? -from
          : null;
    const left = few ?? call.unknownSize(`axis ${axis}`);
    const last = step > 0 ? END : -END;
    return { axis, begin: begin ?? (step > 0 ? 0 : END), end: end ?? last, step, size: left };
  }
  const clamp = (n: number, low: number, high: number): number =>
    Math.min(Math.max(n < 0 ? n + size : n, low), high);
  const [low, high] = step > 0 ? [0, size] : [-1, size - 1];
  const from = begin === null ? (step > 0 ? 0 : size - 1) : clamp(begin, low, high);
  const to = end === null ? (step > 0 ? size : -1) : clamp(end, low, high);
  if (from === 0 && to === size && step === 1) return null;
  // -1 would be the last one for ONNX: before the first one is far below.
  return { axis, begin: from, end: to < 0 ? -END : to, step, size: rangeSize(from, to, step) };
}

const stridedSlice: Emit = (call) => {
  const { attributes } = call;
  const mask = (name: string): ((i: number) => boolean) => {
    const bits = attributes.int(name, 0);
    return (i) => (bits & (1 << i)) !== 0;
  };
  const [beginMask, endMask, ellipsis] = [mask("begin_mask"), mask("end_mask"), mask("ellipsis_mask")];
  const [newAxis, shrink] = [mask("new_axis_mask"), mask("shrink_axis_mask")];
  const begins = call.numbers(1, "begin");
  const ends = call.numbers(2, "end");
  const steps = call.known(3, "strides");
  const input = call.input(0);
  const shape = shapeOfTensor(input);
  const count = begins.length;
  const used = begins.filter((_, i) => !newAxis(i) && !ellipsis(i)).length;
  if (ends.length !== count || steps.length !== count || used > shape.length) {
    call.failModel(`got ${count} slices of ${formatShape(shape)}`);
  }
  const spans: Span[] = [];
  const taken: number[] = [];
  const added: number[] = [];
  let axis = 0;
  let position = 0;
  for (let i = 0; i < count; i++) {
    if (ellipsis(i)) {
      const after = begins.slice(i + 1).filter((_, k) => !newAxis(i + 1 + k)).length;
      const skipped = Math.max(0, shape.length - axis - after);
      axis += skipped;
      position += skipped;
      continue;
    }
    if (newAxis(i)) {
      added.push(position++);
      continue;
    }
    const size = shape[axis] as Dim;
    const bound = (dim: Dim, what: string): number | null => {
      if (typeof dim === "number") return dim;
      return dim === size
        ? null
        : call.fail(`${what}: depends on ${dim}; give the model's input a fixed size`);
    };
    if (shrink(i)) {
      const at = begins[i] as Dim;
      if (typeof at !== "number") return call.fail(`begin: depends on ${at}`);
      if (typeof size === "number" && (at >= size || at < -size)) {
        call.failModel(`begin: got ${at} for an axis of ${size}`);
      }
      const span = spanOf(call, axis, size, at, at === -1 ? null : at + 1, 1);
      if (span) spans.push({ ...span, size: 1 });
      taken.push(axis);
    } else {
      const begin = beginMask(i) ? null : bound(begins[i] as Dim, "begin");
      const end = endMask(i) ? null : bound(ends[i] as Dim, "end");
      const span = spanOf(call, axis, size, begin, end, steps[i] as number);
      if (span) spans.push(span);
      position++;
    }
    axis++;
  }
  const more = [taken.length > 0, added.length > 0];
  let result = sliced(call, input, spans, more.some(Boolean) ? "part" : "");
  if (more[0]) result = squeezed(call, result, taken, more[1] ? "rest" : "");
  return more[1] ? expanded(call, result, added, "") : result;
};

const slice: Emit = (call) => {
  const input = call.input(0);
  const shape = shapeOfTensor(input);
  const begins = call.known(1, "begin");
  const sizes = call.numbers(2, "size");
  if (begins.length !== shape.length || sizes.length !== shape.length) {
    call.failModel(`got ${begins.length} beginnings and ${sizes.length} sizes for ${formatShape(shape)}`);
  }
  const spans = shape.map((dim, axis) => {
    const [begin, size] = [begins[axis] as number, sizes[axis] as Dim];
    const whole = size === -1 || (size === dim && begin === 0);
    if (!whole && typeof size !== "number") return call.fail(`size: depends on ${size}`);
    const end = whole ? null : begin + (size as number);
    if (typeof dim === "number" && (begin < 0 || (end ?? dim) > dim)) {
      call.failModel(`takes ${size} from ${begin} of an axis of ${dim}`);
    }
    return spanOf(call, axis, dim, begin, end, 1);
  });
  return sliced(
    call,
    input,
    spans.filter((span) => span !== null),
    "",
  );
};

/** Along an axis, into parts of the given sizes. */
function splitInto(call: OpCall, index: number, tfjsAxis: number, sizes: readonly number[]): GraphTensor[] {
  const { held } = call.input(index);
  const axis = heldAxis(held, tfjsAxis);
  const shapes = sizes.map((size) => held.value.shape.with(axis, size));
  const names = sizes.map((_, i) => (i === 0 ? "" : `${i}`));
  const inputs = [held.value, call.ints("sizes", sizes)];
  const types = sizes.map(() => ({ dtype: held.value.dtype }));
  if (sizes.length === 1) return [call.input(index)];
  return call
    .nodes("Split", inputs, names, shapes, { axis }, types)
    .map((value) => call.result(value, held.layout));
}

function knownAxis(call: OpCall, index: number, axis: number): number {
  const size = call.shapeOf(index)[axis];
  return typeof size === "number" ? size : call.fail(`cuts the axis of open size ${size}`);
}

const split: Emit = (call) => {
  const axis = call.axis(0, call.shapeOf(1).length);
  const count = call.attributes.int("num_split", 1);
  const size = knownAxis(call, 1, axis);
  call.boundedCount(count);
  if (count < 1 || size % count !== 0) call.failModel(`num_split: got ${count} for an axis of ${size}`);
  return splitInto(call, 1, axis, Array<number>(count).fill(size / count));
};

const splitV: Emit = (call) => {
  call.attributes.ignore("num_split");
  const axis = call.axis(2, call.shapeOf(0).length);
  const sizes = [...call.known(1, "size_splits")];
  const size = knownAxis(call, 0, axis);
  const open = sizes.indexOf(-1);
  if (open >= 0) sizes[open] = size - sizes.filter((_, i) => i !== open).reduce((a, b) => a + b, 0);
  if (sizes.some((n) => n < 0) || sizes.reduce((a, b) => a + b, 0) !== size) {
    call.failModel(`size_splits: got ${formatShape(sizes)} for an axis of ${size}`);
  }
  return splitInto(call, 0, axis, sizes);
};

/** The tensors along an axis, without it. */
const unpack: Emit = (call) => {
  const input = call.input(0);
  const shape = shapeOfTensor(input);
  const axis = call.axisOf(call.attributes.int("axis", 0), shape.length);
  call.attributes.ignore("num");
  const size = knownAxis(call, 0, axis);
  call.boundedCount(size);
  return Array.from({ length: size }, (_, i) => {
    const span = spanOf(call, axis, size, i, i + 1, 1);
    const part = sliced(call, input, span ? [span] : [], `part_${i}`);
    return squeezed(call, part, [axis], i === 0 ? "" : `${i}`);
  });
};

/** Rows of x by index, along an axis; a negative index is an error in TensorFlow and counts from the end in ONNX. */
const gather: Emit = (call) => {
  const input = call.input(0);
  const batchDims = call.attributes.int("batch_dims", 0);
  if (batchDims !== 0) call.fail(`batch_dims: got ${batchDims}, expected 0`);
  const shape = shapeOfTensor(input);
  const axis = call.inputs.length > 2 ? call.axis(2, shape.length) : 0;
  const x = call.asIs(input.held);
  const { value } = call.input(1).held;
  const indices = call.cast(call.asIs(call.input(1).held), "int32", "indices");
  const result = [...shape.slice(0, axis), ...value.shape, ...shape.slice(axis + 1)];
  const wanted = call.input(1).numbers;
  const numbers =
    input.numbers && wanted?.every((i) => typeof i === "number" && i >= 0 && i < (input.numbers?.length ?? 0))
      ? wanted.map((i) => (input.numbers as readonly Dim[])[i as number] as Dim)
      : null;
  return call.result(call.node("Gather", [x, indices], "", result, { axis }), "as-is", numbers);
};

const gatherNd: Emit = (call) => {
  const x = call.asIs(call.input(0).held);
  const indices = call.cast(call.asIs(call.input(1).held), "int64", "indices");
  const depth = indices.shape.at(-1);
  if (typeof depth !== "number" || depth > x.shape.length) return call.failModel("indices: last axis");
  const shape = [...indices.shape.slice(0, -1), ...x.shape.slice(depth)];
  return call.result(call.node("GatherND", [x, indices], "", shape));
};

/** Axes from the last element to the first. */
const reverse: Emit = (call) => {
  const input = call.input(0);
  const rank = rankOf(input.held);
  const axes = call.known(1, "axis").map((axis) => call.axisOf(axis, rank));
  const shape = shapeOfTensor(input);
  const spans = axes.map((axis): Span => {
    return { axis, begin: END, end: -END, step: -1, size: shape[axis] as Dim };
  });
  const result = sliced(call, { held: input.held, numbers: null }, spans, "");
  return input.numbers && axes.length > 0
    ? call.result(result.held.value, "as-is", [...input.numbers].reverse())
    : result;
};

export const SLICING_OPS: OpFamily = {
  Gather: gather,
  GatherNd: gatherNd,
  GatherV2: gather,
  ReverseV2: reverse,
  Slice: slice,
  Split: split,
  SplitV: splitV,
  StridedSlice: stridedSlice,
  Unpack: unpack,
};
