// CropAndResize: boxes cut out of images, each brought to one size. ONNX has no operator for it, so it is spelled out: where
// rows and columns of each crop stand, the pixels around, and what lies between them.

import { float32 } from "../../../base/tensor.js";
import type { Dim, Value } from "../../../graph/graph.js";
import { formatShape, productDim } from "../../dims.js";
import { type Emit, type OpCall, type OpFamily } from "../call.js";

/** Rows, or columns, of all crops. */
interface Positions {
  /** The ones before and after each position, [M, size] int32; one and the same for the nearest pixel. */
  readonly low: Value;
  readonly high: Value;
  /** How far between the two, [M, size]; null for the nearest pixel. */
  readonly share: Value | null;
  /** Whether the position is within the image, [M, size]. */
  readonly isInside: Value;
}

/**
 * Position i of `size` stands at `start (n - 1) + i (end - start) (n - 1) / (size - 1)`, where n is the side of the image,
 * and in the middle where there is one position alone. Outside of the image stands the extrapolation value.
 */
function positionsOf(
  call: OpCall,
  boxes: Value,
  axis: 0 | 1,
  n: number,
  size: number,
  nearest: boolean,
): Positions {
  const what = axis === 0 ? "rows" : "columns";
  const count = boxes.shape[0] as Dim;
  const shape = [count, size];
  const corner = (at: number, name: string): Value => {
    const index = call.ints(`${what}_${name}_at`, [at]);
    return call.node("Gather", [boxes, index], `${what}_${name}`, [count, 1], { axis: 1 });
  };
  const part = (i: number): number => (size === 1 ? 0.5 : i / (size - 1));
  const weights = (of: (share: number) => number): Float32Array =>
    Float32Array.from({ length: size }, (_, i) => (n - 1) * of(part(i)));
  const from = call.constant(
    `${what}_from`,
    float32(
      [1, size],
      weights((share) => 1 - share),
    ),
  );
  const to = call.constant(
    `${what}_to`,
    float32(
      [1, size],
      weights((share) => share),
    ),
  );
  const first = call.node("Mul", [corner(axis, "start"), from], `${what}_before`, shape);
  const second = call.node("Mul", [corner(axis + 2, "end"), to], `${what}_after`, shape);
  const at = call.node("Add", [first, second], what, shape);
  const bool = { dtype: "bool" } as const;
  const last = call.scalar(`${what}_last`, n - 1);
  const zero = call.scalar(`${what}_zero`, 0);
  const above = call.node("GreaterOrEqual", [at, zero], `${what}_above`, shape, {}, bool);
  const below = call.node("LessOrEqual", [at, last], `${what}_below`, shape, {}, bool);
  const isInside = call.node("And", [above, below], `${what}_inside`, shape);
  const pixel = (value: Value, name: string): Value => {
    const clipped = call.node("Clip", [value, zero, last], `${what}_${name}_clipped`, shape);
    return call.cast(clipped, "int32", `${what}_${name}`);
  };
  if (nearest) {
    const half = call.node("Add", [at, call.scalar(`${what}_half`, 0.5)], `${what}_moved`, shape);
    const low = pixel(call.node("Floor", [half], `${what}_rounded`, shape), "nearest");
    return { low, high: low, share: null, isInside };
  }
  const floor = call.node("Floor", [at], `${what}_floor`, shape);
  const share = call.node("Sub", [at, floor], `${what}_share`, shape);
  const ceil = call.node("Ceil", [at], `${what}_ceil`, shape);
  return { low: pixel(floor, "low"), high: pixel(ceil, "high"), share, isInside };
}

const cropAndResize: Emit = (call) => {
  const image = call.asIs(call.ranked(0, 4).held);
  const boxes = call.asIs(call.ranked(1, 2).held);
  const owner = call.ranked(2, 1).held.value;
  const [height, width] = call.known(3, "crop_size");
  const method = call.attributes.choice("method", ["bilinear", "nearest"], "bilinear");
  const outside = call.attributes.number("extrapolation_value", 0);
  const [n, h, w, c] = image.shape as readonly [Dim, Dim, Dim, Dim];
  const count = boxes.shape[0] as Dim;
  if (height === undefined || width === undefined || boxes.shape[1] !== 4) {
    return call.failModel(
      `got boxes of shape ${formatShape(boxes.shape)}, expected [count, 4], and a size of two`,
    );
  }
  if (typeof h !== "number" || typeof w !== "number" || typeof c !== "number") {
    return call.fail(
      `image: has the open sizes ${formatShape(image.shape)}; give the model's input a fixed size`,
    );
  }
  call.bounded([count, height, width, c]);
  const nearest = method === "nearest";
  const rows = positionsOf(call, boxes, 0, h, height, nearest);
  const columns = positionsOf(call, boxes, 1, w, width, nearest);
  const pixels = call.reshape(image, "pixels", [productDim([n, h * w]), c]);
  const first = call.node(
    "Mul",
    [call.reshape(owner, "images", [count, 1]), call.scalar("area", h * w, "int32")],
    "first",
    [count, 1],
  );
  const stride = call.scalar("stride", w, "int32");
  const shape = [count, height, width];
  const crop = (row: Value, column: Value, what: string): Value => {
    const start = call.node("Mul", [row, stride], `${what}_row_start`, [count, height]);
    const line = call.node("Add", [start, first], `${what}_line`, [count, height]);
    const along = call.reshape(line, `${what}_lines`, [count, height, 1]);
    const across = call.reshape(column, `${what}_columns`, [count, 1, width]);
    const index = call.node("Add", [along, across], `${what}_index`, shape);
    return call.node("Gather", [pixels, index], what, [...shape, c], { axis: 0 });
  };
  const between = (a: Value, b: Value, share: Value, what: string): Value => {
    const difference = call.node("Sub", [b, a], `${what}_difference`, [...shape, c]);
    const moved = call.node("Mul", [difference, share], `${what}_moved`, [...shape, c]);
    return call.node("Add", [a, moved], what, [...shape, c]);
  };
  const value = (): Value => {
    if (!rows.share || !columns.share) return crop(rows.low, columns.low, "nearest");
    const across = call.reshape(columns.share, "across", [count, 1, width, 1]);
    const down = call.reshape(rows.share, "down", [count, height, 1, 1]);
    const top = between(crop(rows.low, columns.low, "a"), crop(rows.low, columns.high, "b"), across, "top");
    const bottom = between(
      crop(rows.high, columns.low, "c"),
      crop(rows.high, columns.high, "d"),
      across,
      "bottom",
    );
    return between(top, bottom, down, "value");
  };
  const isRow = call.reshape(rows.isInside, "is_row", [count, height, 1, 1]);
  const isColumn = call.reshape(columns.isInside, "is_column", [count, 1, width, 1]);
  const isInside = call.node("And", [isRow, isColumn], "is_inside", [count, height, width, 1]);
  const border = call.scalar("border", outside);
  const real = { dtype: "float32" } as const;
  return call.result(call.node("Where", [isInside, value(), border], "", [...shape, c], {}, real));
};

export const CROP_OPS: OpFamily = { CropAndResize: cropAndResize };
