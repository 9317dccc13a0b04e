// Shapes of what moves, selects or repeats elements.

import type { Dim, Node, Value } from "../graph/graph.js";
import { isUnknownRank, UNKNOWN_DIM } from "../graph/unknown-shape.js";
import {
  axesOf,
  axisOf,
  constants,
  ints,
  openShape,
  product,
  type Shape,
  type ShapeRule,
} from "./shape-facts.js";

export const MOVED_SHAPES: readonly (readonly [op: string, rule: ShapeRule])[] = [
  ["Concat", concat],
  ["DepthToSpace", (node, x) => blocks(node, x, 1)],
  ["Flatten", flatten],
  ["Gather", gather],
  ["GatherElements", (node) => node.inputs[1]?.shape],
  ["GatherND", gatherNd],
  ["OneHot", oneHot],
  ["Pad", pad],
  ["Reshape", reshape],
  ["Resize", resize],
  ["Slice", slice],
  ["SpaceToDepth", (node, x) => blocks(node, x, -1)],
  ["Split", split],
  ["Squeeze", squeeze],
  ["Tile", tile],
  ["TopK", topK],
  ["Transpose", transpose],
  ["Unsqueeze", unsqueeze],
];

function concat(node: Node, x: Shape): Shape | undefined {
  const axis = axisOf(node.attributes["axis"], x.length);
  if (axis === undefined) return undefined;
  let sum: Dim = 0;
  for (const input of node.inputs) {
    const size = input && !isUnknownRank(input.shape) ? input.shape[axis] : undefined;
    sum = typeof size === "number" && typeof sum === "number" ? sum + size : UNKNOWN_DIM;
  }
  return x.with(axis, sum);
}

function transpose(node: Node, x: Shape): Shape | undefined {
  const perm = ints(node, "perm") ?? x.map((_, axis) => x.length - 1 - axis);
  const shape = perm.map((axis) => x[axis]);
  return perm.length === x.length && shape.every((dim) => dim !== undefined) ? shape : undefined;
}

function flatten(node: Node, x: Shape): Shape | undefined {
  const axis = node.attributes["axis"] ?? 1;
  if (typeof axis !== "number" || Math.abs(axis) > x.length) return undefined;
  return [product(x.slice(0, axis)), product(x.slice(axis))];
}

function reshape(node: Node, x: Shape): Shape | undefined {
  const asked = constants(node, 1);
  if (!asked) return openShape(node, 1);
  // There a 0 is a size of zero, and says nothing of the input's.
  if (node.attributes["allowzero"] === 1 && asked.includes(0)) return undefined;
  const shape = asked.map((size, axis) => (size === 0 ? (x[axis] ?? UNKNOWN_DIM) : size));
  const free = shape.indexOf(-1);
  if (free < 0) return shape;
  // Dimensions that stay in place cancel out, so that a batch of unknown size does no harm.
  const from = x.filter((dim, axis) => dim !== shape[axis]);
  const to = shape.filter((dim, axis) => axis !== free && dim !== x[axis]);
  const [all, rest] = [product(from), product(to)];
  if (typeof all === "number" && typeof rest === "number") return shape.with(free, all / rest);
  const flat = flattened(node.inputs[0]);
  return shape.with(free, flat && flat.product === rest ? flat.open : UNKNOWN_DIM);
}

/** Of a list that was flattened, and read through a table since: the one open size of what it was, and the product of the others. */
function flattened(
  list: Value | null | undefined,
): { readonly open: string; readonly product: number } | undefined {
  let value = list;
  while (value?.producer?.op === "GatherElements" || value?.producer?.op === "Cast") {
    value = value.producer.inputs[value.producer.op === "Cast" ? 0 : 1];
  }
  const node = value?.producer;
  if (node?.op !== "Reshape" || constants(node, 1)?.join() !== "-1") return undefined;
  const shape = node.inputs[0]?.shape ?? [];
  const [open, ...others] = shape.filter((dim) => typeof dim === "string");
  const numbers = shape.filter((dim) => typeof dim === "number");
  if (open === undefined || others.length > 0 || isUnknownRank(shape)) return undefined;
  return { open, product: numbers.reduce((all, dim) => all * dim, 1) };
}

function squeeze(node: Node, x: Shape): Shape | undefined {
  const axes = axesOf(node, x.length);
  return axes && x.filter((_, axis) => !axes.includes(axis));
}

function unsqueeze(node: Node, x: Shape): Shape | undefined {
  const count = constants(node, 1)?.length ?? 0;
  const axes = axesOf(node, x.length + count);
  if (!axes) return undefined;
  const rest = [...x];
  return Array.from({ length: x.length + count }, (_, axis) =>
    axes.includes(axis) ? 1 : (rest.shift() ?? UNKNOWN_DIM),
  );
}

function gather(node: Node, x: Shape): Shape | undefined {
  const indices = node.inputs[1]?.shape;
  const axis = axisOf(node.attributes["axis"] ?? 0, x.length);
  if (!indices || isUnknownRank(indices) || axis === undefined) return undefined;
  return [...x.slice(0, axis), ...indices, ...x.slice(axis + 1)];
}

function pad(node: Node, x: Shape): Shape | undefined {
  const pads = constants(node, 1);
  const axes = node.inputs[3] ? axesOf(node, x.length, 3) : x.map((_, axis) => axis);
  if (!axes || pads?.length !== 2 * axes.length) return undefined;
  return x.map((dim, axis) => {
    const at = axes.indexOf(axis);
    if (at < 0) return dim;
    const more = (pads[at] as number) + (pads[at + axes.length] as number);
    if (more === 0) return dim;
    return typeof dim === "number" ? dim + more : UNKNOWN_DIM;
  });
}

function slice(node: Node, x: Shape): Shape | undefined {
  const starts = constants(node, 1);
  const ends = constants(node, 2);
  const axes = node.inputs[3] ? constants(node, 3) : starts?.map((_, axis) => axis);
  const steps = node.inputs[4] ? constants(node, 4) : starts?.map(() => 1);
  if (!starts || !ends || !axes || !steps) return axes ? without(x, axes) : undefined;
  const shape = [...x];
  for (const [i, listed] of axes.entries()) {
    const axis = axisOf(listed, x.length);
    const step = steps[i];
    if (axis === undefined || !step) return undefined;
    const size = x[axis] as Dim;
    const [start = 0, end = 0] = [starts[i], ends[i]];
    if (typeof size !== "number") {
      // From the beginning to beyond any end is all of it.
      if (start !== 0 || step !== 1 || end < 2 ** 31 - 1) shape[axis] = UNKNOWN_DIM;
      continue;
    }
    const [low, high] = step > 0 ? [0, size] : [-1, size - 1];
    const bound = (value: number): number => Math.min(Math.max(value < 0 ? value + size : value, low), high);
    shape[axis] = Math.max(0, Math.ceil((bound(end) - Math.max(bound(start), 0)) / step));
  }
  return shape;
}

function without(x: Shape, axes: readonly number[]): Shape {
  const open = new Set(axes.map((axis) => axisOf(axis, x.length)));
  return x.map((dim, axis) => (open.has(axis) ? UNKNOWN_DIM : dim));
}

/** `num_outputs` parts of equal size, the last one smaller, where no sizes are given. */
function split(node: Node, x: Shape, index: number): Shape | undefined {
  const axis = axisOf(node.attributes["axis"] ?? 0, x.length);
  if (axis === undefined) return undefined;
  const sizes = constants(node, 1);
  if (node.inputs[1]) return x.with(axis, sizes?.[index] ?? UNKNOWN_DIM);
  const size = x[axis];
  const asked = node.attributes["num_outputs"];
  const count = typeof asked === "number" ? asked : node.outputs.length;
  if (typeof size !== "number" || typeof asked !== "number") return x.with(axis, UNKNOWN_DIM);
  const each = Math.ceil(size / count);
  return x.with(axis, Math.max(0, Math.min(each, size - index * each)));
}

function tile(node: Node, x: Shape): Shape | undefined {
  const repeats = constants(node, 1);
  return repeats?.length === x.length ? x.map((dim, axis) => times(dim, repeats[axis] as number)) : undefined;
}

function times(dim: Dim, factor: number): Dim {
  if (factor === 1) return dim;
  return typeof dim === "number" ? dim * factor : UNKNOWN_DIM;
}

function resize(node: Node, x: Shape): Shape | undefined {
  if ((node.attributes["keep_aspect_ratio_policy"] ?? "stretch") !== "stretch")
    return x.map(() => UNKNOWN_DIM);
  const axes = ints(node, "axes")?.map((axis) => axisOf(axis, x.length)) ?? x.map((_, axis) => axis);
  const sizes = node.inputs[3] ? constants(node, 3) : undefined;
  const scales = node.inputs[2]?.constant?.data;
  return x.map((dim, axis) => {
    const at = axes.indexOf(axis);
    if (at < 0) return dim;
    if (node.inputs[3]) return sizes?.[at] ?? UNKNOWN_DIM;
    const scale = scales?.[at];
    if (typeof scale !== "number") return UNKNOWN_DIM;
    return typeof dim === "number" ? Math.floor(dim * scale) : times(dim, scale);
  });
}

function topK(node: Node, x: Shape): Shape | undefined {
  const axis = axisOf(node.attributes["axis"] ?? -1, x.length);
  return axis === undefined ? undefined : x.with(axis, constants(node, 1)?.[0] ?? UNKNOWN_DIM);
}

function oneHot(node: Node, x: Shape): Shape | undefined {
  const axis = axisOf(node.attributes["axis"] ?? -1, x.length + 1);
  const depth = node.inputs[1]?.constant?.data[0];
  return axis === undefined
    ? undefined
    : x.toSpliced(axis, 0, depth === undefined ? UNKNOWN_DIM : Number(depth));
}

function gatherNd(node: Node, x: Shape): Shape | undefined {
  const indices = node.inputs[1]?.shape;
  const batch = node.attributes["batch_dims"] ?? 0;
  if (!indices || isUnknownRank(indices) || typeof batch !== "number") return undefined;
  const depth = indices.at(-1);
  return typeof depth === "number" ? [...indices.slice(0, -1), ...x.slice(batch + depth)] : undefined;
}

/** Blocks of a number of pixels each way move between channels and space: into space for 1, into channels for -1. */
function blocks(node: Node, x: Shape, direction: 1 | -1): Shape | undefined {
  const size = node.attributes["blocksize"];
  if (typeof size !== "number" || size < 1 || x.length !== 4) return undefined;
  const [n, c, h, w] = x as [Dim, Dim, Dim, Dim];
  const side = size ** direction;
  return [n, times(c, size ** (-2 * direction)), times(h, side), times(w, side)];
}
