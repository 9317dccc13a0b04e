// What an operator looks like where the axes of its operands stand in another order: one row an operator. Decides nothing.

import { float32, int64, type Tensor, transpose } from "../../base/tensor.js";
import { type Attribute, intAttribute, type Node, outputOf, type Value } from "../../graph/graph.js";
import { isUnknownRank } from "../../graph/unknown-shape.js";
import { axisOf, constants } from "../../onnx/shape-facts.js";

export interface Turned {
  /** Inputs that come with their axes in the other order. */
  readonly data: readonly number[];
  /** Whether the outputs leave so; else they are the same either way. */
  readonly turnsOutputs: boolean;
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** Constants in place of other inputs, by index. */
  readonly constants?: ReadonlyMap<number, () => Tensor>;
}

/** @param perm where each axis stands afterwards */
type Rule = (node: Node, perm: readonly number[]) => Turned | null;

const UNARY =
  "Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Cast Ceil Celu Clip Cos Cosh Dropout Elu Erf Exp Floor Gelu HardSigmoid " +
  "HardSwish Identity IsInf IsNaN LeakyRelu Log Mish Neg Not Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus " +
  "Softsign Sqrt Swish Tan Tanh ThresholdedRelu";

const BROADCAST =
  "Add And BitShift BitwiseAnd BitwiseOr BitwiseXor Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min Mod Mul Or " +
  "PRelu Pow Sub Sum Where Xor";

const REDUCE =
  "ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare";

const RULES: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ...UNARY.split(" ").map((op): [string, Rule] => [op, () => ALIKE]),
  ...BROADCAST.split(" ").map((op): [string, Rule] => [op, broadcast]),
  ...REDUCE.split(" ").map((op): [string, Rule] => [op, reduce]),
  ["ArgMax", argReduce],
  ["ArgMin", argReduce],
  ["BatchNormalization", (_, perm) => (perm[1] === 1 ? ALIKE : null)],
  ["Concat", concat],
  ["Expand", (node, perm) => byAxis(node, perm, 1)],
  ["Gather", gather],
  ["Hardmax", (node, perm) => alongAxis(node, perm, -1)],
  ["LogSoftmax", (node, perm) => alongAxis(node, perm, -1)],
  ["LpNormalization", (node, perm) => alongAxis(node, perm, -1)],
  ["Pad", pad],
  ["Resize", resize],
  ["Slice", slice],
  ["Softmax", (node, perm) => alongAxis(node, perm, -1)],
  ["Split", (node, perm) => alongAxis(node, perm, 0)],
  ["Squeeze", squeeze],
  ["Tile", (node, perm) => byAxis(node, perm, 1)],
]);

/** Nothing but the order of axes changes. */
const ALIKE: Turned = { data: [0], turnsOutputs: true };

/**
 * The node with axis a of its operands and results at `perm[a]`; null where it computes something else then, or nothing is known of it.
 * Operands that are turned have as many axes as `perm`, and results too where they are.
 */
export function turnedNode(node: Node, perm: readonly number[]): Turned | null {
  if (node.domain !== "" && node.op !== "Swish") return null;
  const turned = RULES.get(node.op)?.(node, perm);
  if (!turned || turned.data.length === 0) return null;
  const all = [
    ...turned.data.map((index) => node.inputs[index]),
    ...(turned.turnsOutputs ? node.outputs : []),
  ];
  const isFit = all.every((value) => value && hasRank(value, perm.length));
  return isFit && !turned.data.some((index) => node.inputs[index]?.constant) ? turned : null;
}

export function hasRank({ shape }: Value, rank: number): boolean {
  return shape.length === rank && !isUnknownRank(shape);
}

/** Where axis a stands at `perm[a]`: which axis stands at each place. */
export function inverse(perm: readonly number[]): readonly number[] {
  return perm.map((_, place) => perm.indexOf(place));
}

/** Operands with fewer axes are constants, which get the missing ones, or one number. */
function broadcast(node: Node, perm: readonly number[]): Turned | null {
  const data: number[] = [];
  const turned = new Map<number, () => Tensor>();
  for (const [index, input] of node.inputs.entries()) {
    if (!input || isUnknownRank(input.shape) || input.shape.length > perm.length) return null;
    if (input.shape.every((dim) => dim === 1)) continue;
    if (input.constant) turned.set(index, turnedConstant(input.constant, perm));
    else if (input.shape.length === perm.length) data.push(index);
    else return null;
  }
  return { data, turnsOutputs: true, constants: turned };
}

function turnedConstant(constant: Tensor, perm: readonly number[]): () => Tensor {
  const missing = perm.length - constant.shape.length;
  const shape = [...Array.from({ length: missing }, () => 1), ...constant.shape];
  return () => transpose({ ...constant, shape }, inverse(perm));
}

function alongAxis(node: Node, perm: readonly number[], otherwise: number): Turned | null {
  const axis = axisOf(node.attributes["axis"] ?? otherwise, perm.length);
  if (axis === undefined) return null;
  const attributes = { ...node.attributes, axis: perm[axis] as number };
  return { data: [0], turnsOutputs: true, attributes };
}

function concat(node: Node, perm: readonly number[]): Turned | null {
  const data = [...node.inputs.keys()].filter((index) => !node.inputs[index]?.constant);
  const turned = new Map<number, () => Tensor>();
  for (const [index, input] of node.inputs.entries())
    if (input?.constant) turned.set(index, turnedConstant(input.constant, perm));
  const along = alongAxis(node, perm, Number.NaN);
  return along && { ...along, data, constants: turned };
}

/** Whether the axes that are left keep their order. */
function keepsOrder(perm: readonly number[], gone: readonly number[]): boolean {
  const left = perm.filter((_, axis) => !gone.includes(axis));
  return left.every((place, i) => i === 0 || place > (left[i - 1] as number));
}

function reduce(node: Node, perm: readonly number[]): Turned | null {
  const keeps = intAttribute(node, "keepdims", 1) === 1;
  if (!node.inputs[1]) {
    return intAttribute(node, "noop_with_empty_axes", 0) === 0 ? { data: [0], turnsOutputs: keeps } : null;
  }
  const axes = places(constants(node, 1), perm.length);
  if (!axes || axes.length === 0 || (!keeps && !keepsOrder(perm, axes))) return null;
  return { data: [0], turnsOutputs: keeps, constants: new Map([[1, listOf(axes, perm)]]) };
}

function argReduce(node: Node, perm: readonly number[]): Turned | null {
  const keeps = intAttribute(node, "keepdims", 1) === 1;
  const turned = alongAxis(node, perm, 0);
  const axis = axisOf(node.attributes["axis"] ?? 0, perm.length);
  if (!turned || axis === undefined || (!keeps && !keepsOrder(perm, [axis]))) return null;
  return { ...turned, turnsOutputs: keeps };
}

/** Of a list of indices the axis stays; of one index it goes. */
function gather(node: Node, perm: readonly number[]): Turned | null {
  const indices = node.inputs[1]?.constant;
  const turned = alongAxis(node, perm, 0);
  const axis = axisOf(node.attributes["axis"] ?? 0, perm.length);
  if (!indices || indices.shape.length > 1 || !turned || axis === undefined) return null;
  const stays = indices.shape.length === 1;
  return stays || keepsOrder(perm, [axis]) ? { ...turned, turnsOutputs: stays } : null;
}

function squeeze(node: Node, perm: readonly number[]): Turned | null {
  const axes = places(constants(node, 1), perm.length);
  if (!axes || !keepsOrder(perm, axes)) return null;
  return { data: [0], turnsOutputs: false, constants: new Map([[1, listOf(axes, perm)]]) };
}

/** A list with a number for each axis. */
function byAxis(node: Node, perm: readonly number[], input: number): Turned | null {
  const list = constants(node, input);
  if (list?.length !== perm.length) return null;
  return { data: [0], turnsOutputs: true, constants: new Map([[input, () => reordered(list, perm)]]) };
}

function reordered(list: readonly number[], perm: readonly number[]): Tensor {
  return int64(
    [list.length],
    inverse(perm).map((axis) => list[axis] as number),
  );
}

function pad(node: Node, perm: readonly number[]): Turned | null {
  const rank = perm.length;
  if (node.inputs[3]) {
    const axes = places(constants(node, 3), rank);
    return axes && { data: [0], turnsOutputs: true, constants: new Map([[3, listOf(axes, perm)]]) };
  }
  const pads = constants(node, 1);
  if (pads?.length !== 2 * rank) return null;
  const both = (): Tensor =>
    int64(
      [2 * rank],
      [pads.slice(0, rank), pads.slice(rank)].flatMap((side) =>
        inverse(perm).map((axis) => side[axis] as number),
      ),
    );
  return { data: [0], turnsOutputs: true, constants: new Map([[1, both]]) };
}

function slice(node: Node, perm: readonly number[]): Turned | null {
  const starts = constants(node, 1);
  const axes = places(node.inputs[3] ? constants(node, 3) : starts?.map((_, axis) => axis), perm.length);
  return axes && { data: [0], turnsOutputs: true, constants: new Map([[3, listOf(axes, perm)]]) };
}

/** Only into the order that runtimes have kernels for: the first two axes keep their size. */
function resize(node: Node, perm: readonly number[]): Turned | null {
  const [x, roi, scales, sizes] = node.inputs;
  const list = sizes ? constants(node, 3) : Array.from((scales?.constant?.data ?? []) as Float32Array);
  const isPlain = !roi || roi.constant?.data.length === 0;
  if (!x || !isPlain || list?.length !== perm.length || node.attributes["axes"] !== undefined) return null;
  const stays = (axis: number): boolean =>
    sizes ? list[axis] === x.shape[axis] && x.shape[axis] === outputOf(node).shape[axis] : list[axis] === 1;
  const order = inverse(perm);
  if (!order.slice(0, 2).every(stays)) return null;
  const turned = (): Tensor =>
    sizes
      ? reordered(list, perm)
      : float32(
          [list.length],
          order.map((axis) => list[axis] as number),
        );
  return { data: [0], turnsOutputs: true, constants: new Map([[sizes ? 3 : 2, turned]]) };
}

function places(axes: readonly number[] | undefined, rank: number): readonly number[] | null {
  const found = axes?.map((axis) => axisOf(axis, rank));
  return found?.every((axis) => axis !== undefined) ? found : null;
}

function listOf(axes: readonly number[], perm: readonly number[]): () => Tensor {
  return () =>
    int64(
      [axes.length],
      axes.map((axis) => perm[axis] as number),
    );
}
