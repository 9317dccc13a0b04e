// Products of matrices, and permutations of axes.

import { transpose } from "../../../base/tensor.js";
import type { Dim, Value } from "../../../graph/graph.js";
import { formatShape } from "../../dims.js";
import { permute, toChannelsFirst } from "../../held.js";
import { type Emit, type OpCall, type OpFamily, realConstant } from "../call.js";
import { broadcastShapes, constantOf } from "../tensors.js";
import { finishFused, readFused } from "./convolution.js";

/** `activation(a b + bias)`; a Gemm with the weight as [K, C] where b is one, as Dense layers are. */
function matMul(transposes: readonly [a: string, b: string]): Emit {
  return (call) => {
    const transposeA = call.attributes.boolean(transposes[0], false);
    const transposeB = call.attributes.boolean(transposes[1], false);
    call.attributes.ignore("grad_a", "grad_b", "grad_x", "grad_y");
    const fused = readFused(call);
    const [shapeA, shapeB] = [call.shapeOf(0), call.shapeOf(1)];
    if (shapeA.length < 2 || shapeB.length < 2) {
      call.failModel(`got shapes ${formatShape(shapeA)} and ${formatShape(shapeB)}, expected matrices`);
    }
    const a = turned(call, call.asIs(call.input(0).held), transposeA, "a_transposed");
    const [rows, inner] = a.shape.slice(-2) as [Dim, Dim];
    const [first, second] = shapeB.slice(-2) as [Dim, Dim];
    const [innerB, columns] = transposeB ? [second, first] : [first, second];
    if (typeof inner === "number" && typeof innerB === "number" && inner !== innerB) {
      call.failModel(`cannot multiply ${formatShape(shapeA)} and ${formatShape(shapeB)}`);
    }
    if (constantOf(call.input(1)) && shapeB.length === 2 && shapeA.length === 2) {
      const weight = realConstant(call, 1, "b");
      const kernel = call.constant("kernel", transposeB ? weight : transpose(weight, [1, 0]));
      const held = finishFused(call, fused, "as-is", columns, (what, bias) =>
        call.node("Gemm", bias ? [a, kernel, bias] : [a, kernel], what, [rows, columns], { transB: 1 }),
      );
      return call.result(held.value);
    }
    const b = turned(call, call.asIs(call.input(1).held), transposeB, "b_transposed");
    const batch = broadcastShapes([shapeA.slice(0, -2), shapeB.slice(0, -2)], call.where);
    const shape = [...batch, rows, columns];
    const held = finishFused(call, fused, "as-is", columns, (what, bias) => {
      const product = call.node("MatMul", [a, b], bias ? "product" : what, shape);
      return bias ? call.node("Add", [product, bias], what, shape) : product;
    });
    return call.result(held.value);
  };
}

/** With its last two axes swapped. */
function turned(call: OpCall, value: Value, turns: boolean, what: string): Value {
  if (!turns) return value;
  const rank = value.shape.length;
  const perm = [...Array.from({ length: rank - 2 }, (_, axis) => axis), rank - 1, rank - 2];
  return call.node("Transpose", [value], what, permute(value.shape, perm), { perm });
}

/** `y` has axis `perm[i]` of x as its axis i. A permutation that the layout holds anyway moves nothing. */
const transposeOp: Emit = (call) => {
  const perm = call.known(1, "perm");
  const { value, layout } = call.input(0).held;
  const rank = value.shape.length;
  if (perm.length !== rank || [...perm].sort((a, b) => a - b).some((axis, i) => axis !== i)) {
    call.failModel(`perm: got ${formatShape(perm)} for ${rank} axes`);
  }
  const held = layout === "channels-first" ? perm.map((axis) => toChannelsFirst(rank).indexOf(axis)) : perm;
  if (isIdentity(held)) return call.result(value);
  if (isIdentity(permute(held, toChannelsFirst(rank))) && rank > 2)
    return call.result(value, "channels-first");
  return call.result(call.node("Transpose", [value], "", permute(value.shape, held), { perm: held }));
};

function isIdentity(perm: readonly number[]): boolean {
  return perm.every((axis, i) => axis === i);
}

/** Letters that are summed over, as in numpy; ONNX has the same. */
const einsum: Emit = (call) => {
  const equation = call.attributes.text("equation", "").replaceAll(/\s/g, "");
  const [left = "", right] = equation.split("->");
  const terms = left.split(",");
  if (right === undefined || terms.length !== call.inputs.length || !/^[a-zA-Z,]*$/.test(left + right)) {
    call.fail(`equation: got ${JSON.stringify(equation)}, expected letters, as "ab,bc->ac"`);
  }
  const sizes = new Map<string, Dim>();
  const values = call.inputs.map(({ held }, i) => {
    const value = call.asIs(held);
    const term = terms[i] as string;
    if (term.length !== value.shape.length) {
      call.failModel(`equation: ${term} does not go with shape ${formatShape(value.shape)}`);
    }
    term.split("").forEach((letter, axis) => sizes.set(letter, value.shape[axis] as Dim));
    return value;
  });
  const shape = (right ?? "")
    .split("")
    .map((letter) => sizes.get(letter) ?? call.failModel(`equation: ${letter}`));
  return call.result(call.node("Einsum", values, "", shape, { equation }));
};

export const MATRIX_OPS: OpFamily = {
  MatMul: matMul(["transpose_a", "transpose_b"]),
  _FusedMatMul: matMul(["transpose_a", "transpose_b"]),
  BatchMatMul: matMul(["adj_x", "adj_y"]),
  BatchMatMulV2: matMul(["adj_x", "adj_y"]),
  Einsum: einsum,
  Transpose: transposeOp,
};
