// Operators of two or more operands, element by element with broadcasting: arithmetic, comparison, choice.
// Each result is rounded once, so that integer-valued operands and their scales compute what every runtime does.

import * as tf from "@tensorflow/tfjs";
import { aligned, allInputs, commonShape, type HeldTensor, type Op, spread, withoutGradient } from "./op.js";

type Combine = (a: tf.Tensor, b: tf.Tensor) => tf.Tensor;

/** Add, Sub, Mul, Div: two operands. */
export function binary(combine: Combine): Op {
  return (node, inputs) => {
    const { tensors, layout } = aligned(allInputs(node, inputs).slice(0, 2));
    return [{ tensor: combine(tensors[0] as tf.Tensor, tensors[1] as tf.Tensor), layout }];
  };
}

/** Equal, Less: to bool; gradients stop here. */
export function comparison(compare: Combine): Op {
  return binary(withoutGradient((a: tf.Tensor, b: tf.Tensor) => compare(a, b)));
}

const not = withoutGradient((x: tf.Tensor) => tf.logicalNot(x));

/** Of bool (ONNX Not). */
export const logicalNot = (x: tf.Tensor): tf.Tensor => not(x);

/** Sum: any number of operands, from left to right. */
export function variadic(combine: Combine): Op {
  return (node, inputs) => {
    const { tensors, layout } = aligned(allInputs(node, inputs));
    return [{ tensor: tensors.reduce((result, operand) => combine(result, operand)), layout }];
  };
}

/** `sum / n`, the sum from left to right (ONNX Mean). */
export const mean: Op = (node, inputs, constants) => {
  const [sum] = variadic(tf.add)(node, inputs, constants) as [HeldTensor];
  return [{ ...sum, tensor: tf.div(sum.tensor, inputs.length) }];
};

/**
 * Max and Min, from left to right. tfjs's gradients of both do not sum over axes that were broadcast: what may have a
 * gradient is spread before, constants are not.
 */
export function extremum(combine: Combine): Op {
  return (node, inputs, constants) => {
    const { tensors, layout } = aligned(allInputs(node, inputs));
    const tensor = tensors.reduce((result, operand, index) => {
      const shape = commonShape(node, result.shape, operand.shape);
      return combine(spread(result, shape), constants(index) ? operand : spread(operand, shape));
    });
    return [{ tensor, layout }];
  };
}

/** `condition ? a : b` (ONNX Where). */
export const where: Op = (node, inputs) => {
  const { tensors, layout } = aligned(allInputs(node, inputs));
  const [condition, a, b] = tensors as [tf.Tensor, tf.Tensor, tf.Tensor];
  const shape = commonShape(node, condition.shape, commonShape(node, a.shape, b.shape));
  return [{ tensor: tf.where(condition, spread(a, shape), spread(b, shape)), layout }];
};
