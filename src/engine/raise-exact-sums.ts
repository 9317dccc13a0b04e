// Operations of sums that a file spells out in float32.

import { whereOf } from "../compute/kernel.js";
import { intAttribute, type Node, type Value } from "../graph/graph.js";
import type { ByteFunctions } from "./byte-functions.js";
import type { Bytes } from "./bytes.js";
import { type Centred, centred, type ExactSum, wholeWeights } from "./exact-sums.js";
import type { Limits } from "./operations/operation.js";
import { totalOfPositions } from "./operations/pools.js";
import { integerAdd, product } from "./operations/two-images.js";
import { type Part, realSum, undivided, type WeightedSum, weightedSum } from "./operations/weighted-sum.js";
import { factorsOf, operandsOf, type Raising } from "./raising.js";
import { transposedParts } from "./transposed.js";
import { inputAxisOf, outputAxisOf, reducesPositions, weightsByOutput, windowsOf } from "./raise-patterns.js";

const WEIGHTED: ReadonlySet<string> = new Set(["Conv", "ConvTranspose", "Gemm", "MatMul"]);

/** The bytes of a quantizer that rounds an exact sum; null for a sum of another kind. */
export function raiseExactSum(sum: ExactSum, quantizer: Node, raising: Raising): Bytes | null {
  const zero = quantizer.inputs[2] && raising.constants.get(quantizer.inputs[2]);
  const zeroPoint = zero ? Number(zero.data[0]) : 0;
  const limits: Limits = { low: sum.rectified ? zeroPoint : 0, high: 255, zeroPoint };
  const output = quantizer.outputs[0] as Value;
  switch (sum.node.op) {
    case "ReduceSum":
      return total(sum, output, limits, raising);
    case "Add":
      return addition(sum, output, limits, raising);
    case "Mul":
      return multiplication(sum, output, limits, raising);
    default:
      return weighted(sum, output, limits, raising);
  }
}

function total(
  { node, operands, multiplier }: ExactSum,
  output: Value,
  limits: Limits,
  raising: Raising,
): Bytes | null {
  const [operand] = operands;
  if (!operand || multiplier.length !== 1) return null;
  if (!reducesPositions(node, operand.source, raising)) return null;
  const x = raising.bytesAlong(operand.source, 1);
  const y = raising.create(output, 1, limits);
  const where = whereOf(node);
  raising.add(
    totalOfPositions({ where, x, zeroX: operand.zeroPoint, multiplier: multiplier[0] as number }, y, limits),
  );
  return y;
}

function addition(
  { node, operands, multiplier }: ExactSum,
  output: Value,
  limits: Limits,
  raising: Raising,
): Bytes | null {
  const [a, b] = operands;
  if (!a || !b || multiplier.length !== 1) return null;
  const [left, right] = operandsOf(raising, [a.source, b.source], output);
  const y = raising.create(output, left.channelAxis, limits);
  const offset = -(a.zeroPoint + b.zeroPoint);
  const sum = { where: whereOf(node), a: left, b: right, offset, multiplier: multiplier[0] as number };
  raising.add(integerAdd(sum, y, limits));
  return y;
}

function multiplication(
  { node, operands, multiplier }: ExactSum,
  output: Value,
  limits: Limits,
  raising: Raising,
): Bytes | null {
  const [a, b] = operands;
  if (!a || !b || multiplier.length !== 1) return null;
  const [left, right] = factorsOf(raising, [a.source, b.source], output);
  const y = raising.create(output, left.channelAxis, limits);
  const asked = {
    where: whereOf(node),
    a: left,
    b: right,
    zeroA: a.zeroPoint,
    zeroB: b.zeroPoint,
    multiplier: multiplier[0] as number,
    zeroPointFirst: false,
  };
  raising.add(product(asked, y, limits));
  return y;
}

function weighted(sum: ExactSum, output: Value, limits: Limits, raising: Raising): Bytes | null {
  const { node, operands, multiplier } = sum;
  const whole = operands[0] && wholeSum(node, operands[0], multiplier, raising);
  if (!whole) return null;
  const y = raising.create(output, outputAxisOf(node, output), limits);
  raising.add(weightedSum(partsOf(node, whole), y, limits));
  return y;
}

/** A product of whole numbers that stays float32: `fl(acc)`. Whether it is one. */
export function raiseRealSum(node: Node, value: Value, functions: ByteFunctions, raising: Raising): boolean {
  if (!WEIGHTED.has(node.op)) return false;
  const operand = node.inputs[0] && centred(node.inputs[0], functions);
  const whole = operand && wholeSum(node, operand, Float32Array.of(1), raising);
  if (!whole) return false;
  raising.add(realSum(partsOf(node, whole), value, raising.shapeOf(value), outputAxisOf(node, value)));
  return true;
}

function partsOf(node: Node, sum: WeightedSum): Part[] {
  return node.op === "ConvTranspose" ? transposedParts(sum) : undivided(sum);
}

/** @param multiplier one, or one an output channel @returns null where weights are no integers times powers of two */
function wholeSum(
  node: Node,
  operand: Centred,
  multiplier: Float32Array,
  raising: Raising,
): WeightedSum | null {
  const stored = node.inputs[1] && raising.constants.get(node.inputs[1]);
  const offset = node.inputs[2] ? raising.constants.get(node.inputs[2]) : null;
  if (stored?.dtype !== "float32" || offset === undefined || (offset && offset.dtype !== "float32"))
    return null;
  const { weights, K } = weightsByOutput(node, stored);
  const whole = wholeWeights(weights as Float32Array, offset ? (offset.data as Float32Array) : null, K);
  if (!whole || (multiplier.length !== 1 && multiplier.length !== K)) return null;
  const { shape } = operand.source;
  // Of volumes and of several images it runs in float32.
  if (node.op === "ConvTranspose" && (shape[0] !== 1 || shape.length > 4)) return null;
  const x = raising.bytesAlong(operand.source, inputAxisOf(node, operand.source));
  return {
    where: whereOf(node),
    zeroX: operand.zeroPoint,
    ...windowsOf(node, x, stored.shape, operand.zeroPoint, raising),
    group: intAttribute(node, "group", 1),
    weights: whole.weights,
    bias: whole.bias,
    multiplier: whole.factor.map((factor, k) =>
      Math.fround((multiplier[multiplier.length > 1 ? k : 0] as number) / factor),
    ),
  };
}
