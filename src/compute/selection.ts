// Operators that choose by value: the largest, where something holds, boxes that do not overlap.

import type { Tensor } from "../base/tensor.js";
import { int64, tensor } from "../base/tensor.js";
import { intAttribute } from "../graph/graph.js";
import type { Call, Kernel, NumberData } from "./kernel.js";
import {
  axisOf,
  float32At,
  inputAt,
  intsAt,
  invalid,
  newTensor,
  numbersAt,
  optionalInput,
  unsupported,
} from "./kernel.js";
import { around, stridesOf } from "./shapes.js";

/** Indices along one axis in the order of their values; of equal ones the first comes first. */
function ordered(x: NumberData, start: number, size: number, inner: number, largest: boolean): number[] {
  const at = (i: number): number => x[start + i * inner] as number;
  const sign = largest ? -1 : 1;
  return Array.from({ length: size }, (_, i) => i).sort((a, b) => sign * (at(a) - at(b)) || a - b);
}

/** The k largest or smallest along an axis, and where they are (ONNX TopK). */
export const topK: Kernel = (call) => {
  const x = inputAt(call, 0);
  const data = numbersAt(call, 0);
  const axis = axisOf(call, intAttribute(call.node, "axis", -1), x.shape.length);
  const [k = -1] = intsAt(call, 1);
  const [outer, size, inner] = around(x.shape, axis);
  if (k < 0 || k > size) throw invalid(call, `k: got ${k} of ${size}`);
  const largest = intAttribute(call.node, "largest", 1) === 1;
  const shape = x.shape.with(axis, k);
  const values = newTensor(call, x.dtype, shape) as Tensor;
  const indices = newTensor(call, "int64", shape);
  for (let o = 0; o < outer; o++) {
    for (let e = 0; e < inner; e++) {
      const start = o * size * inner + e;
      ordered(data, start, size, inner, largest)
        .slice(0, k)
        .forEach((i, rank) => {
          const to = (o * k + rank) * inner + e;
          values.data[to] = data[start + i * inner] as never;
          indices.data[to] = BigInt(i);
        });
    }
  }
  return [values, indices];
};

/** Where along an axis the largest or the smallest is, the first of several unless the last is asked for (ONNX ArgMax). */
export function argument(op: "ArgMax" | "ArgMin"): Kernel {
  return (call) => {
    const x = inputAt(call, 0);
    const data = numbersAt(call, 0);
    const axis = axisOf(call, intAttribute(call.node, "axis", 0), x.shape.length);
    const last = intAttribute(call.node, "select_last_index", 0) === 1;
    const keep = intAttribute(call.node, "keepdims", 1) === 1;
    const [outer, size, inner] = around(x.shape, axis);
    if (size === 0) throw invalid(call, "has nothing to choose from");
    const y = newTensor(call, "int64", keep ? x.shape.with(axis, 1) : x.shape.toSpliced(axis, 1));
    const sign = op === "ArgMax" ? 1 : -1;
    for (let o = 0; o < outer; o++) {
      for (let e = 0; e < inner; e++) {
        const at = (i: number): number => sign * (data[(o * size + i) * inner + e] as number);
        let best = 0;
        for (let i = 1; i < size; i++) if (at(i) > at(best) || (last && at(i) === at(best))) best = i;
        y.data[o * inner + e] = BigInt(best);
      }
    }
    return [y];
  };
}

/** Coordinates of all elements other than 0, `[rank, count]` (ONNX NonZero). */
export const nonZero: Kernel = (call) => {
  const x = inputAt(call, 0);
  const data = numbersAt(call, 0);
  const found: number[] = [];
  for (let i = 0; i < data.length; i++) if (data[i] !== 0) found.push(i);
  const strides = stridesOf(x.shape);
  const rows = x.shape.flatMap((dim, axis) =>
    found.map((i) => Math.floor(i / (strides[axis] as number)) % dim),
  );
  return [int64([x.shape.length, found.length], rows)];
};

/**
 * By their scores, boxes that overlap no better one by more than a threshold: rows of batch, class and box (ONNX
 * NonMaxSuppression with corners).
 */
export const nonMaxSuppression: Kernel = (call) => {
  if (intAttribute(call.node, "center_point_box", 0) !== 0) throw unsupported(call, "center_point_box 1");
  const boxes = float32At(call, 0);
  const scores = float32At(call, 1);
  const [batches = 0, classes = 0, count = 0] = inputAt(call, 1).shape;
  if (boxes.length !== batches * count * 4) throw invalid(call, "boxes and scores do not go together");
  const limit = optionalInput(call, 2) ? (intsAt(call, 2)[0] ?? 0) : 0;
  const overlap = numberAt(call, 3, 0);
  const least = numberAt(call, 4, Number.NEGATIVE_INFINITY);
  const rows: number[] = [];
  for (let b = 0; b < batches; b++) {
    for (let c = 0; c < classes; c++) {
      const start = (b * classes + c) * count;
      const kept: number[] = [];
      for (const i of ordered(scores, start, count, 1, true)) {
        if (kept.length >= limit) break;
        if (!((scores[start + i] as number) > least)) continue;
        const box = b * count;
        if (kept.some((j) => shared(boxes, box + i, box + j) > overlap)) continue;
        kept.push(i);
      }
      for (const i of kept) rows.push(b, c, i);
    }
  }
  return [int64([rows.length / 3, 3], rows)];
};

function numberAt(call: Call, index: number, otherwise: number): number {
  return optionalInput(call, index) ? Number(float32At(call, index)[0]) : otherwise;
}

type Span = readonly [low: number, high: number];

/** Area that two boxes share over the area that either covers; 0 where one is empty. */
function shared(boxes: Float32Array, i: number, j: number): number {
  const [yi, yj] = [spanOf(boxes, 4 * i), spanOf(boxes, 4 * j)];
  const [xi, xj] = [spanOf(boxes, 4 * i + 1), spanOf(boxes, 4 * j + 1)];
  const [first, second] = [lengthOf(yi) * lengthOf(xi), lengthOf(yj) * lengthOf(xj)];
  if (first <= 0 || second <= 0) return 0;
  const both = common(yi, yj) * common(xi, xj);
  return Math.fround(both / (first + second - both));
}

/** Of a box by two opposite corners, along the axis of its coordinate at `at`. */
function spanOf(boxes: Float32Array, at: number): Span {
  const [a, b] = [boxes[at] as number, boxes[at + 2] as number];
  return a < b ? [a, b] : [b, a];
}

function lengthOf([low, high]: Span): number {
  return high - low;
}

function common(a: Span, b: Span): number {
  return Math.max(0, Math.min(a[1], b[1]) - Math.max(a[0], b[0]));
}

/** Whether elements are not numbers, or infinite: of either sign, unless one is left out. */
export function kindOfNumber(op: "IsNaN" | "IsInf"): Kernel {
  return (call) => {
    const x = float32At(call, 0);
    const positive = intAttribute(call.node, "detect_positive", 1) === 1;
    const negative = intAttribute(call.node, "detect_negative", 1) === 1;
    const isIt = (value: number): boolean => {
      if (op === "IsNaN") return Number.isNaN(value);
      return (
        (positive && value === Number.POSITIVE_INFINITY) || (negative && value === Number.NEGATIVE_INFINITY)
      );
    };
    return [
      tensor(
        "bool",
        inputAt(call, 0).shape,
        Uint8Array.from(x, (value) => (isIt(value) ? 1 : 0)),
      ),
    ];
  };
}
