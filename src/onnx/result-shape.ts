// Shapes of outputs where they follow simply from the inputs: for people who read a raised graph, and for counting.
// Nothing computes by them; what is not simple, or contradicts itself, is unknown (graph/unknown-shape.ts).

import type { Dim, Node } from "../graph/graph.js";
import { isUnknownRank, UNKNOWN_DIM, UNKNOWN_SHAPE } from "../graph/unknown-shape.js";

type Shape = readonly Dim[];

/** Operators whose outputs have the shape of their first input. */
const ELEMENTWISE =
  "Abs BatchNormalization BitwiseNot Cast Ceil Celu Clip Cos CumSum DequantizeLinear Dropout Elu Erf Exp Floor Gelu " +
  "HardSigmoid HardSwish Identity InstanceNormalization LeakyRelu Log LogSoftmax Mish Neg Not PRelu QuantizeLinear " +
  "Reciprocal Relu Round Selu Sigmoid Sign Sin Softmax Softplus Softsign Sqrt Swish Tanh ThresholdedRelu";

/** Operators whose inputs are broadcast against each other. */
const BROADCAST =
  "Add And BitShift BitwiseAnd BitwiseOr BitwiseXor Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min Mod Mul " +
  "Or Pow Sub Sum Where Xor";

const REDUCE =
  "ReduceL1 ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare ArgMax ArgMin";

type Rule = (node: Node, x: Shape, index: number) => Shape | undefined;

const RULES: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ...ELEMENTWISE.split(" ").map((op): [string, Rule] => [op, (_, x, index) => (index === 0 ? x : undefined)]),
  ...BROADCAST.split(" ").map((op): [string, Rule] => [op, broadcastAll]),
  ...REDUCE.split(" ").map((op): [string, Rule] => [op, reduce]),
  ["LayerNormalization", (_, x, index) => (index === 0 ? x : undefined)],
  ["Conv", conv],
  ["ConvInteger", conv],
  ["QLinearConv", (node, x) => window(node, x, node.inputs[3]?.shape)],
  ["ConvTranspose", convTranspose],
  ["MaxPool", pool],
  ["AveragePool", pool],
  ["GlobalAveragePool", (_, x) => [...x.slice(0, 2), ...x.slice(2).map(() => 1)]],
  ["GlobalMaxPool", (_, x) => [...x.slice(0, 2), ...x.slice(2).map(() => 1)]],
  ["Gemm", gemm],
  ["MatMul", matMul],
  ["MatMulInteger", matMul],
  ["Concat", concat],
  ["Transpose", transpose],
  ["Flatten", flatten],
  ["Reshape", reshape],
  ["Squeeze", squeeze],
  ["Unsqueeze", unsqueeze],
  ["Gather", gather],
  ["Pad", pad],
  ["Shape", (_, x) => [x.length]],
  ["Size", () => []],
  ["Expand", (node, x) => broadcast(x, constants(node, 1))],
  ["ConstantOfShape", (node) => constants(node, 0)],
]);

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
  const spatial = node.attributes["ceil_mode"] === 1 ? x.slice(2).map(() => UNKNOWN_DIM) : x.slice(2);
  return [...x.slice(0, 2), ...slide(node, spatial, kernel)];
}

/** `floor((size + pads - dilation * (kernel - 1) - 1) / stride) + 1` along each axis. */
function slide(node: Node, sizes: Shape, kernel: Shape): Dim[] {
  const strides = ints(node, "strides");
  const dilations = ints(node, "dilations");
  const pads = ints(node, "pads");
  const autoPad = node.attributes["auto_pad"] ?? "NOTSET";
  return sizes.map((size, axis) => {
    const k = kernel[axis];
    if (typeof size !== "number" || typeof k !== "number") return UNKNOWN_DIM;
    const stride = strides?.[axis] ?? 1;
    if (autoPad === "SAME_UPPER" || autoPad === "SAME_LOWER") return Math.ceil(size / stride);
    const padding = autoPad === "NOTSET" ? (pads?.[axis] ?? 0) + (pads?.[axis + sizes.length] ?? 0) : 0;
    return Math.floor((size + padding - (dilations?.[axis] ?? 1) * (k - 1) - 1) / stride) + 1;
  });
}

function convTranspose(node: Node, x: Shape): Shape | undefined {
  const w = node.inputs[1]?.shape;
  const autoPad = node.attributes["auto_pad"] ?? "NOTSET";
  if (!w || w.length !== x.length || node.attributes["output_shape"] || autoPad !== "NOTSET")
    return undefined;
  const group = node.attributes["group"] ?? 1;
  const channels = typeof w[1] === "number" && typeof group === "number" ? w[1] * group : UNKNOWN_DIM;
  const strides = ints(node, "strides");
  const dilations = ints(node, "dilations");
  const extra = ints(node, "output_padding");
  const pads = ints(node, "pads");
  const rank = x.length - 2;
  const spatial = x.slice(2).map((size, axis): Dim => {
    const k = w[axis + 2];
    if (typeof size !== "number" || typeof k !== "number") return UNKNOWN_DIM;
    const reach = (dilations?.[axis] ?? 1) * (k - 1) + 1 + (extra?.[axis] ?? 0);
    return (strides?.[axis] ?? 1) * (size - 1) + reach - (pads?.[axis] ?? 0) - (pads?.[axis + rank] ?? 0);
  });
  return [x[0] as Dim, channels, ...spatial];
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
  if (!asked || node.attributes["allowzero"] === 1) return undefined;
  const shape = asked.map((size, axis) => (size === 0 ? (x[axis] ?? UNKNOWN_DIM) : size));
  const free = shape.indexOf(-1);
  if (free < 0) return shape;
  // Dimensions that stay in place cancel out, so that a batch of unknown size does no harm.
  const from = x.filter((dim, axis) => dim !== shape[axis]);
  const to = shape.filter((dim, axis) => axis !== free && dim !== x[axis]);
  const [all, rest] = [product(from), product(to)];
  return shape.with(free, typeof all === "number" && typeof rest === "number" ? all / rest : UNKNOWN_DIM);
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
  if (pads?.length !== 2 * x.length || node.inputs[3]) return undefined;
  return x.map((dim, axis) => {
    const more = (pads[axis] as number) + (pads[axis + x.length] as number);
    if (more === 0) return dim;
    return typeof dim === "number" ? dim + more : UNKNOWN_DIM;
  });
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

function product(dims: Shape): Dim {
  let result = 1;
  for (const dim of dims) {
    if (typeof dim === "string") return dims.length === 1 ? dim : UNKNOWN_DIM;
    result *= dim;
  }
  return result;
}

function ints(node: Node, name: string): readonly number[] | undefined {
  const value = node.attributes[name];
  return Array.isArray(value) && value.every((item) => typeof item === "number") ? value : undefined;
}

/** The numbers of a constant int64 input. */
function constants(node: Node, input: number): readonly number[] | undefined {
  const tensor = node.inputs[input]?.constant;
  return tensor?.dtype === "int64" ? Array.from(tensor.data as BigInt64Array, Number) : undefined;
}

function axisOf(axis: unknown, rank: number): number | undefined {
  if (typeof axis !== "number") return undefined;
  const positive = axis < 0 ? axis + rank : axis;
  return positive >= 0 && positive < rank ? positive : undefined;
}

function axesOf(node: Node, rank: number): readonly number[] | undefined {
  const axes = constants(node, 1)?.map((axis) => axisOf(axis, rank));
  return axes?.every((axis) => axis !== undefined) ? axes : undefined;
}
