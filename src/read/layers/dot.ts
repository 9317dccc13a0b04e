// Dot: products of tensors of rank 2 and 3, sample by sample.

import type { Value } from "../../graph/graph.js";
import { formatShape } from "../dims.js";
import type { LayerCall, LayerDefinition } from "../layer.js";

/** tfjs-layers' epsilon under the root of a norm. */
const EPSILON = 1e-7;

export const dot: LayerDefinition = {
  className: "Dot",
  takesSeveral: true,

  /** Sums over axis `axes[0]` of the first and `axes[1]` of the second; `normalize` divides by norms before */
  prepare(config) {
    const given = config.intList("axes") ?? [];
    const axes = given.length === 1 ? [given[0], given[0]] : given;
    if (axes.length !== 2) config.wrong("axes", "one axis or two");
    const normalize = config.boolean("normalize", false);

    return (inputs, call) => {
      if (inputs.length !== 2) call.failModel(`got ${inputs.length} inputs, expected 2`);
      const operands = inputs.map((held, i) => {
        const x = call.asIs(held);
        const rank = x.shape.length;
        if (rank < 2 || rank > 3) call.fail(`got an input of rank ${rank}, tfjs has Dot for ranks 2 and 3`);
        const axis = (axes[i] ?? 0) < 0 ? (axes[i] ?? 0) + rank : (axes[i] ?? 0);
        if (axis < 1 || axis >= rank)
          call.fail(`axes: got ${axes[i]} at rank ${rank}, expected an axis but the batch`);
        const side = i === 0 ? "left" : "right";
        return { x: normalize ? unit(call, x, axis, side) : x, axis, side };
      });
      const [left, right] = operands;
      if (!left || !right) return call.failModel("got no inputs");
      const [a, b] = [left.x.shape[left.axis], right.x.shape[right.axis]];
      if (typeof a === "number" && typeof b === "number" && a !== b) {
        call.failModel(
          `shapes ${formatShape(left.x.shape)} and ${formatShape(right.x.shape)} do not go together`,
        );
      }
      const batch = left.x.shape[0] ?? 1;
      if (left.x.shape.length === 2 && right.x.shape.length === 2) {
        const products = call.node("Mul", [left.x, right.x], "products", left.x.shape);
        const axis = call.ints("axis", [1]);
        return {
          value: call.node("ReduceSum", [products, axis], "", [batch, 1], { keepdims: 1 }),
          layout: "as-is",
        };
      }
      // Rows of the left with columns of the right; a vector becomes one row, or one column.
      const rows = matrix(call, left, 2, "left");
      const columns = matrix(call, right, 1, "right");
      const shape = [batch, rows.shape[1] ?? 1, columns.shape[2] ?? 1];
      const vector = left.x.shape.length === 2 ? 1 : right.x.shape.length === 2 ? 2 : null;
      const product = call.node("MatMul", [rows, columns], vector === null ? "" : "product", shape);
      if (vector === null) return { value: product, layout: "as-is" };
      return { value: call.reshape(product, "", shape.toSpliced(vector, 1)), layout: "as-is" };
    };
  },
};

/** `x / sqrt(max(sum of x^2 along axis, epsilon))` */
function unit(call: LayerCall, x: Value, axis: number, side: string): Value {
  const kept = x.shape.map((dim, i) => (i === axis ? 1 : dim));
  const squares = call.node("Mul", [x, x], `${side}_squares`, x.shape);
  const axes = call.ints(`${side}_axis`, [axis]);
  const sum = call.node("ReduceSum", [squares, axes], `${side}_sum`, kept, { keepdims: 1 });
  const floor = call.node("Max", [sum, call.scalar("epsilon", EPSILON)], `${side}_floor`, kept);
  const norm = call.node("Sqrt", [floor], `${side}_norm`, kept);
  return call.node("Div", [x, norm], `${side}_unit`, x.shape);
}

/** The operand as [N, ., .] with the summed axis at `at`. */
function matrix(
  call: LayerCall,
  operand: { readonly x: Value; readonly axis: number },
  at: number,
  side: string,
): Value {
  const { x, axis } = operand;
  if (x.shape.length === 2) {
    const [batch, size] = x.shape as [number, number];
    return call.reshape(x, `${side}_matrix`, at === 2 ? [batch, 1, size] : [batch, size, 1]);
  }
  if (axis === at) return x;
  const [batch, second, third] = x.shape as [number, number, number];
  return call.node("Transpose", [x], `${side}_transposed`, [batch, third, second], { perm: [0, 2, 1] });
}
