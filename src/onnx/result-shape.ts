// Shapes of outputs where they follow simply from the inputs: for people who read a raised graph, and for counting.
// Nothing computes by them; what is not simple, or contradicts itself, is unknown (graph/unknown-shape.ts).

import type { Dim, Node } from "../graph/graph.js";
import { isUnknownRank, UNKNOWN_DIM, UNKNOWN_SHAPE } from "../graph/unknown-shape.js";
import { MOVED_SHAPES } from "./moved-shape.js";
import { axesOf, axisOf, constants, ints, openShape, type Shape, type ShapeRule } from "./shape-facts.js";

/** Operators whose outputs have the shape of their first input. */
const ELEMENTWISE =
  "Abs Acos Acosh Asin Asinh Atan Atanh BatchNormalization BitwiseNot Cast Ceil Celu Clip Cos Cosh CumSum " +
  "DequantizeLinear Dropout Elu Erf Exp EyeLike Floor Gelu GroupNormalization HardSigmoid HardSwish Hardmax " +
  "Identity InstanceNormalization IsInf IsNaN LRN LeakyRelu Log LogSoftmax LpNormalization " +
  "MeanVarianceNormalization Mish Neg Not PRelu QuantizeLinear Reciprocal Relu ReverseSequence Round " +
  "ScatterElements ScatterND Selu Shrink Sigmoid Sign Sin Sinh Softmax Softplus Softsign Sqrt Swish Tan " +
  "Tanh ThresholdedRelu Trilu";

/** Operators whose inputs are broadcast against each other. */
const BROADCAST =
  "Add And BitShift BitwiseAnd BitwiseOr BitwiseXor Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min Mod Mul " +
  "Or Pow Sub Sum Where Xor";

const REDUCE =
  "ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare ArgMax ArgMin";

const RULES: ReadonlyMap<string, ShapeRule> = new Map<string, ShapeRule>([
  ...ELEMENTWISE.split(" ").map((op): [string, ShapeRule] => [
    op,
    (_, x, index) => (index === 0 ? x : undefined),
  ]),
  ...BROADCAST.split(" ").map((op): [string, ShapeRule] => [op, broadcastAll]),
  ...REDUCE.split(" ").map((op): [string, ShapeRule] => [op, reduce]),
  ...MOVED_SHAPES,
  ["LayerNormalization", (_, x, index) => (index === 0 ? x : undefined)],
  ["Conv", conv],
  ["ConvInteger", conv],
  ["QLinearConv", (node, x) => window(node, x, node.inputs[3]?.shape)],
  ["ConvTranspose", convTranspose],
  ["MaxPool", pool],
  ["AveragePool", pool],
  ["LpPool", pool],
  ["GlobalLpPool", (_, x) => [...x.slice(0, 2), ...x.slice(2).map(() => 1)]],
  ["GridSample", gridSample],
  ["NonMaxSuppression", () => [UNKNOWN_DIM, 3]],
  ["NonZero", (_, x) => [x.length, UNKNOWN_DIM]],
  ["LSTM", recurrent],
  ["GRU", recurrent],
  ["RNN", recurrent],
  ["Einsum", einsum],
  ["Range", range],
  ["RoiAlign", roiAlign],
  ["GlobalAveragePool", (_, x) => [...x.slice(0, 2), ...x.slice(2).map(() => 1)]],
  ["GlobalMaxPool", (_, x) => [...x.slice(0, 2), ...x.slice(2).map(() => 1)]],
  ["Gemm", gemm],
  ["MatMul", matMul],
  ["MatMulInteger", matMul],
  ["Shape", shapeSizes],
  ["Size", () => []],
  ["Expand", (node, x) => broadcast(x, constants(node, 1) ?? openShape(node, 1))],
  ["ConstantOfShape", (node) => constants(node, 0) ?? openShape(node, 0)],
]);

/** How many of the sizes are asked for: those from `start` to `end`, which count from the end where negative. */
function shapeSizes(node: Node, x: Shape): Shape {
  const { start = 0, end = x.length } = node.attributes as { readonly start?: number; readonly end?: number };
  return [x.slice(start, end).length];
}

/** The shape of output `index` of a node whose inputs have theirs. */
export function resultShape(node: Node, index: number): Shape {
  const x = node.inputs[0]?.shape;
  const rule = RULES.get(node.op);
  if (!rule || !x || isUnknownRank(x)) return UNKNOWN_SHAPE;
  const shape = rule(node, x, index);
  if (!shape || isUnknownRank(shape)) return UNKNOWN_SHAPE;
  // What would be negative or a fraction contradicts itself somewhere.
  return shape.map((dim) =>
    typeof dim === "number" && !(Number.isSafeInteger(dim) && dim >= 0) ? UNKNOWN_DIM : dim,
  );
}

function broadcastAll(node: Node): Shape | undefined {
  let shape: Shape | undefined = [];
  for (const input of node.inputs) if (input) shape = broadcast(shape, input.shape);
  return shape;
}

function broadcast(a: Shape | undefined, b: Shape | undefined): Shape | undefined {
  if (!a || !b || isUnknownRank(a) || isUnknownRank(b)) return undefined;
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis): Dim => {
    const p = a[axis - rank + a.length] ?? 1;
    const q = b[axis - rank + b.length] ?? 1;
    if (p === q || q === 1) return p;
    if (p === 1) return q;
    // A name against a size: the name must be that size, or 1.
    if (typeof p === "string" && typeof q === "string") return UNKNOWN_DIM;
    return typeof p === "number" ? p : q;
  });
}

function conv(node: Node, x: Shape): Shape | undefined {
  return window(node, x, node.inputs[1]?.shape);
}

function window(node: Node, x: Shape, w: Shape | undefined): Shape | undefined {
  if (!w || isUnknownRank(w) || w.length !== x.length || x.length < 3) return undefined;
  return [x[0] as Dim, w[0] as Dim, ...slide(node, x.slice(2), w.slice(2))];
}

function pool(node: Node, x: Shape): Shape | undefined {
  const kernel = ints(node, "kernel_shape");
  if (kernel?.length !== x.length - 2) return undefined;
  return [...x.slice(0, 2), ...slide(node, x.slice(2), kernel)];
}

/** `floor((size + pads - dilation * (kernel - 1) - 1) / stride) + 1` along each axis. */
function slide(node: Node, sizes: Shape, kernel: Shape): Dim[] {
  const strides = ints(node, "strides");
  const dilations = ints(node, "dilations");
  const pads = ints(node, "pads");
  const autoPad = node.attributes["auto_pad"] ?? "NOTSET";
  return sizes.map((size, axis) => {
    const k = kernel[axis];
    const stride = strides?.[axis] ?? 1;
    if (typeof k !== "number") return UNKNOWN_DIM;
    const isSame = autoPad === "SAME_UPPER" || autoPad === "SAME_LOWER";
    const padding = autoPad === "NOTSET" ? (pads?.[axis] ?? 0) + (pads?.[axis + sizes.length] ?? 0) : 0;
    const more = isSame ? 0 : padding - (dilations?.[axis] ?? 1) * (k - 1);
    if (typeof size !== "number") return stride === 1 && more === 0 ? size : UNKNOWN_DIM;
    if (isSame) return Math.ceil(size / stride);
    if (node.attributes["ceil_mode"] !== 1) return Math.floor((size + more - 1) / stride) + 1;
    const up = Math.ceil((size + more - 1) / stride) + 1;
    // A window that would begin behind the image is none.
    return (up - 1) * stride >= size + (pads?.[axis] ?? 0) ? up - 1 : up;
  });
}

function convTranspose(node: Node, x: Shape): Shape | undefined {
  const w = node.inputs[1]?.shape;
  const autoPad = node.attributes["auto_pad"];
  const isSame = autoPad === "SAME_UPPER" || autoPad === "SAME_LOWER";
  if (!w || w.length !== x.length) return undefined;
  const group = node.attributes["group"] ?? 1;
  const channels = typeof w[1] === "number" && typeof group === "number" ? w[1] * group : UNKNOWN_DIM;
  const strides = ints(node, "strides");
  const dilations = ints(node, "dilations");
  const extra = ints(node, "output_padding");
  const pads = ints(node, "pads");
  const rank = x.length - 2;
  const given = ints(node, "output_shape")?.slice(-rank);
  const spatial = x.slice(2).map((size, axis): Dim => {
    const k = w[axis + 2];
    if (given) return given[axis] ?? UNKNOWN_DIM;
    if (isSame && typeof size === "number") return size * (strides?.[axis] ?? 1);
    if (typeof size !== "number" || typeof k !== "number") return UNKNOWN_DIM;
    const reach = (dilations?.[axis] ?? 1) * (k - 1) + 1 + (extra?.[axis] ?? 0);
    return (strides?.[axis] ?? 1) * (size - 1) + reach - (pads?.[axis] ?? 0) - (pads?.[axis + rank] ?? 0);
  });
  return [x[0] as Dim, channels, ...spatial];
}

/** [N, C] of x, the space of the grid. */
function gridSample(node: Node, x: Shape): Shape | undefined {
  const grid = node.inputs[1]?.shape;
  return grid && !isUnknownRank(grid) ? [...x.slice(0, 2), ...grid.slice(1, -1)] : undefined;
}

function roiAlign(node: Node, x: Shape): Shape | undefined {
  const [height = 1, width = 1] = [node.attributes["output_height"], node.attributes["output_width"]];
  const rois = node.inputs[1]?.shape[0];
  return [rois ?? UNKNOWN_DIM, x[1] as Dim, height as number, width as number];
}

/** All hidden states [T, directions, N, H], then the last ones without T. */
function recurrent(node: Node, x: Shape, index: number): Shape | undefined {
  const hidden = node.attributes["hidden_size"];
  if (typeof hidden !== "number" || (node.attributes["layout"] ?? 0) !== 0 || x.length !== 3)
    return undefined;
  const last = [node.attributes["direction"] === "bidirectional" ? 2 : 1, x[1] as Dim, hidden];
  return index === 0 ? [x[0] as Dim, ...last] : last;
}

/** By the letters of its output, where it has one and the equation has no ellipsis. */
function einsum(node: Node): Shape | undefined {
  const equation = node.attributes["equation"];
  if (typeof equation !== "string" || equation.includes(".")) return undefined;
  const [operands = "", result] = equation.replaceAll(" ", "").split("->");
  if (result === undefined) return undefined;
  const sizes = new Map<string, Dim>();
  for (const [i, letters] of operands.split(",").entries()) {
    Array.from(letters, (letter, axis) => sizes.set(letter, node.inputs[i]?.shape[axis] ?? UNKNOWN_DIM));
  }
  return Array.from(result, (letter) => sizes.get(letter) ?? UNKNOWN_DIM);
}

function range(node: Node): Shape {
  const [start, limit, delta] = node.inputs.map((input) => input?.constant?.data[0]);
  if (start === undefined || limit === undefined || delta === undefined) return [UNKNOWN_DIM];
  return [Math.max(0, Math.ceil((Number(limit) - Number(start)) / Number(delta)))];
}

function gemm(node: Node, x: Shape): Shape | undefined {
  const b = node.inputs[1]?.shape;
  if (x.length !== 2 || b?.length !== 2) return undefined;
  return [
    x[node.attributes["transA"] === 1 ? 1 : 0] as Dim,
    b[node.attributes["transB"] === 1 ? 0 : 1] as Dim,
  ];
}

function matMul(node: Node, x: Shape): Shape | undefined {
  const b = node.inputs[1]?.shape;
  if (!b || isUnknownRank(b) || x.length < 2 || b.length < 2) return undefined;
  const batch = broadcast(x.slice(0, -2), b.slice(0, -2));
  return batch && [...batch, x.at(-2) as Dim, b.at(-1) as Dim];
}

function reduce(node: Node, x: Shape): Shape | undefined {
  const isArg = node.op.startsWith("Arg");
  const single = axisOf(node.attributes["axis"] ?? 0, x.length);
  const all = x.map((_, axis) => axis);
  let axes: readonly number[] | undefined;
  if (isArg) axes = single === undefined ? undefined : [single];
  else axes = node.inputs[1] ? axesOf(node, x.length) : all;
  if (!axes || node.attributes["noop_with_empty_axes"] === 1) return undefined;
  if (axes.length === 0) axes = all;
  const reduced = axes;
  if (node.attributes["keepdims"] === 0) return x.filter((_, axis) => !reduced.includes(axis));
  return x.map((dim, axis) => (reduced.includes(axis) ? 1 : dim));
}
