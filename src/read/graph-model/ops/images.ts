// Images in another size, blocks of them moved between space, depth and batch.

import { float32, int64 } from "../../../base/tensor.js";
import type { Dim, Value } from "../../../graph/graph.js";
import { formatShape, plus, productDim, times } from "../../dims.js";
import { type Emit, type OpCall, type OpFamily } from "../call.js";
import { pairsOf } from "./shaping.js";

/** Where an output pixel's middle, or its corner, stands in the input. */
type Coordinates = "asymmetric" | "align_corners" | "half_pixel";

function coordinatesOf(call: OpCall): Coordinates {
  const align = call.attributes.boolean("align_corners", false);
  const half = call.attributes.boolean("half_pixel_centers", false);
  if (align && half) call.fail("align_corners and half_pixel_centers: got both, expected one of them");
  return align ? "align_corners" : half ? "half_pixel" : "asymmetric";
}

/** [N, C, H, W] to [N, C, h, w] */
function resized(call: OpCall, x: Value, attributes: Readonly<Record<string, string>>): Value {
  const asked = call.numbers(1, "size");
  const [h, w] = asked;
  if (asked.length !== 2 || h === undefined || w === undefined) {
    return call.failModel(`size: got ${formatShape(asked)}, expected height and width`);
  }
  const [n, c, ...space] = x.shape as readonly [Dim, Dim, ...Dim[]];
  const shape = [n, c, h, w];
  const factors = space.map((size, axis) => factorOf(size, asked[axis] as Dim));
  if (factors.every((factor) => factor !== null)) {
    const scales = call.constant("scales", float32([4], [1, 1, ...factors]));
    return call.node("Resize", [x, null, scales], "", shape, attributes);
  }
  // All four: ONNX Runtime moves transposes through a Resize, and does not heed `axes` then.
  const all = call.node("Shape", [x], "all", [4], {}, { dtype: "int64" });
  const outer = call.node("Slice", [all, call.ints("from", [0]), call.ints("to", [2])], "outer", [2]);
  const inner = call.cast(call.input(1).held.value, "int64", "inner");
  const sizes = call.node("Concat", [outer, inner], "sizes", [4], { axis: 0 });
  return call.node("Resize", [x, null, null, sizes], "", shape, attributes);
}

/**
 * The factor by which a size grows; null where nobody knows. In float32, and such that size times factor, rounded down, is the
 * size that is asked for.
 */
function factorOf(size: Dim, grown: Dim): number | null {
  if (size === grown) return 1;
  if (typeof size === "number") {
    if (typeof grown !== "number") return null;
    const factor = Math.fround(grown / size);
    return Math.floor(size * factor) === grown ? factor : Math.fround(factor * (1 + 2 ** -23));
  }
  for (let factor = 2; factor <= 16; factor++) if (times(size, factor) === grown) return factor;
  return null;
}

/** Between the four pixels around; beyond the border its pixels. */
const resizeBilinear: Emit = (call) => {
  const { value, layout } = call.real(0);
  const x = call.channelsFirst({ value, layout });
  const attributes = { mode: "linear", coordinate_transformation_mode: coordinatesOf(call) };
  return call.result(resized(call, x, attributes), "channels-first");
};

/**
 * The nearest pixel, rounded down, or half up between corners and middles. tfjs and ONNX Runtime divide sizes with other
 * roundings: where a position falls on the edge between two pixels and they disagree, rows are taken by their numbers.
 */
const resizeNearest: Emit = (call) => {
  const x = call.channelsFirst(call.ranked(0, 4).held);
  const coordinates = coordinatesOf(call);
  const asked = call.numbers(1, "size");
  const space = x.shape.slice(2);
  call.bounded(asked);
  const rows = space.map((size, axis) => rowsOf(size, asked[axis] as Dim, coordinates));
  if (rows.some((each) => each !== null && !isExact(each, coordinates))) {
    const take = (value: Value, axis: number, what: string): Value => {
      const { taken } = rows[axis - 2] ?? call.fail("size: needs a fixed input size");
      const index = call.constant(`rows_${axis}`, int64([taken.length], taken));
      return call.node("Gather", [value, index], what, value.shape.with(axis, taken.length), { axis });
    };
    return call.result(take(take(x, 2, "height"), 3, ""), "channels-first");
  }
  const nearest = {
    mode: "nearest",
    nearest_mode: coordinates === "asymmetric" ? "floor" : "round_prefer_ceil",
  };
  return call.result(
    resized(call, x, { ...nearest, coordinate_transformation_mode: coordinates }),
    "channels-first",
  );
};

interface Rows {
  readonly from: number;
  /** The row that tfjs takes, for each of the output's. */
  readonly taken: readonly number[];
}

/** As tfjs computes them, in float64; null for sizes that are open. */
function rowsOf(size: Dim, grown: Dim, coordinates: Coordinates): Rows | null {
  if (typeof size !== "number" || typeof grown !== "number") return null;
  const align = coordinates === "align_corners";
  const [had, has] = align && grown > 1 ? [size - 1, grown - 1] : [size, grown];
  const taken = Array.from({ length: grown }, (_, i) => {
    const at = (had / has) * (coordinates === "half_pixel" ? i + 0.5 : i);
    return Math.max(0, Math.min(size - 1, align ? Math.round(at) : Math.floor(at)));
  });
  return { from: size, taken };
}

/** Whether the same rows come out in float32, as ONNX Runtime computes them. */
function isExact({ from, taken }: Rows, coordinates: Coordinates): boolean {
  const { fround } = Math;
  const scale = factorOf(from, taken.length) ?? 1;
  return taken.every((row, i) => {
    if (coordinates === "align_corners") {
      const at = taken.length === 1 ? 0 : fround(fround(i * (from - 1)) / (taken.length - 1));
      return Math.floor(at + 0.5) === row;
    }
    const at =
      coordinates === "half_pixel" ? fround(fround(fround(i + 0.5) / scale) - 0.5) : fround(i / scale);
    const found = coordinates === "half_pixel" ? Math.floor(at + 0.5) : Math.floor(at);
    return Math.max(0, Math.min(from - 1, found)) === row;
  });
}

/** Blocks of depth become blocks of space: `y[h b + i, w b + j, c] = x[h, w, (i b + j) C + c]` */
const depthToSpace: Emit = (call) => {
  call.attributes.choice("data_format", ["NHWC"], "NHWC");
  const block = call.attributes.int("block_size", 2);
  const x = call.channelsFirst(call.ranked(0, 4).held);
  const [n, channels, h, w] = x.shape as [Dim, Dim, Dim, Dim];
  const depth = typeof channels === "number" ? channels / block ** 2 : Number.NaN;
  if (!Number.isInteger(depth)) call.failModel(`block_size: got ${block} for ${channels} channels`);
  const shape = [n, depth, times(h, block), times(w, block)];
  return call.result(
    call.node("DepthToSpace", [x], "", shape, { blocksize: block, mode: "DCR" }),
    "channels-first",
  );
};

/** The sizes of blocks, one for each axis of space. */
function blocksOf(call: OpCall, rank: number): readonly number[] {
  const blocks = call.known(1, "block_shape");
  if (blocks.length === 0 || blocks.length >= rank || blocks.some((size) => size < 1)) {
    call.failModel(`block_shape: got ${formatShape(blocks)} for ${rank} axes`);
  }
  return blocks;
}

/** Space, padded, is cut in blocks; places of one number within their block become a batch of their own. */
const spaceToBatch: Emit = (call) => {
  const x = call.asIs(call.input(0).held);
  const blocks = blocksOf(call, x.shape.length);
  const pads = pairsOf(call, 2, blocks.length, "paddings");
  const rest = x.shape.length - 1 - blocks.length;
  const grown = padded(call, x, pads);
  const [batch, ...space] = grown.shape as readonly [Dim, ...Dim[]];
  const inner = blocks.map((size, i) => divided(call, space[i] as Dim, size));
  const last = space.slice(blocks.length);
  const split = call.reshape(grown, "blocks", [
    batch,
    ...blocks.flatMap((size, i) => [inner[i] as Dim, size]),
    ...last,
  ]);
  const at = blocks.map((_, i) => 2 * i + 1);
  const order = [...at.map((axis) => axis + 1), 0, ...at, ...tail(2 * blocks.length + 1, rest)];
  const moved = permuted(call, split, order);
  return call.result(call.reshape(moved, "", [productDim([...blocks, batch]), ...inner, ...last]));
};

/** The other way round, and what is cropped goes. */
const batchToSpace: Emit = (call) => {
  const x = call.asIs(call.input(0).held);
  const blocks = blocksOf(call, x.shape.length);
  const crops = pairsOf(call, 2, blocks.length, "crops");
  const rest = x.shape.length - 1 - blocks.length;
  const [all, ...space] = x.shape as readonly [Dim, ...Dim[]];
  const batch = divided(
    call,
    all,
    blocks.reduce((a, b) => a * b, 1),
  );
  const last = space.slice(blocks.length);
  const split = call.reshape(x, "blocks", [...blocks, batch, ...space]);
  const count = blocks.length;
  const order = [count, ...blocks.flatMap((_, i) => [count + 1 + i, i]), ...tail(2 * count + 1, rest)];
  const moved = permuted(call, split, order);
  const whole = blocks.map((size, i) => times(space[i] as Dim, size));
  const isCropped = crops.some(([before, after]) => before + after > 0);
  const joined = call.reshape(moved, isCropped ? "whole" : "", [batch, ...whole, ...last]);
  if (!isCropped) return call.result(joined);
  const shape = [batch, ...whole.map((size, i) => plus(size, -sum(crops[i]))), ...last];
  const axes = blocks.map((_, i) => i + 1);
  const inputs = [
    joined,
    call.ints(
      "starts",
      crops.map(([before]) => before),
    ),
    call.ints(
      "ends",
      crops.map(([, after]) => (after === 0 ? 2 ** 31 - 1 : -after)),
    ),
    call.ints("axes", axes),
  ];
  return call.result(call.node("Slice", inputs, "", shape));
};

function sum(pair: readonly [number, number] | undefined): number {
  return pair ? pair[0] + pair[1] : 0;
}

function tail(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => first + i);
}

function padded(call: OpCall, x: Value, pairs: readonly (readonly [number, number])[]): Value {
  if (pairs.every((pair) => sum(pair) === 0)) return x;
  const around = (side: 0 | 1): number[] => x.shape.map((_, axis) => pairs[axis - 1]?.[side] ?? 0);
  const shape = x.shape.map((dim, axis) => plus(dim, sum(pairs[axis - 1])));
  const inputs = [x, call.ints("pads", [...around(0), ...around(1)]), call.scalar("zero", 0, x.dtype)];
  return call.node("Pad", inputs, "padded", shape);
}

function permuted(call: OpCall, x: Value, perm: readonly number[]): Value {
  const shape = perm.map((axis) => x.shape[axis] as Dim);
  return call.node("Transpose", [x], "moved", shape, { perm });
}

function divided(call: OpCall, size: Dim, by: number): Dim {
  if (by === 1) return size;
  if (typeof size !== "number") {
    // What was multiplied by as much before: `4*(N)`.
    const name = size.startsWith(`${by}*(`) && size.endsWith(")") ? size.slice(`${by}*(`.length, -1) : null;
    return name ?? call.fail(`cuts the open size ${size} in ${by}; give the model's input a fixed size`);
  }
  return Number.isInteger(size / by) ? size / by : call.failModel(`cuts ${size} in ${by}`);
}

export const IMAGE_OPS: OpFamily = {
  BatchToSpaceND: batchToSpace,
  DepthToSpace: depthToSpace,
  ResizeBilinear: resizeBilinear,
  ResizeNearestNeighbor: resizeNearest,
  SpaceToBatchND: spaceToBatch,
};
