// Folds the transpose before a Flatten into the weights of the Dense layers after it, so that no data has
// to move at run time.

import { sizeOf, transpose, type Tensor } from "../../base/tensor.js";
import { scalarActivation } from "../activations.js";
import type { Graph, Node, Value } from "../graph.js";
import {
  cloneGraph,
  consumers,
  inputOf,
  intAttribute,
  intsAttribute,
  outputOf,
  removeDeadNodes,
  valuesOf,
} from "../graph.js";

/**
 * `Gemm(Reshape(Transpose(x)), B [K, C]) = Gemm(Reshape(x), B')` with `B'[k, p] = B[k, c]`, where position p
 * of the flattened x is position c of its flattened transpose. Functions of one element may stand between
 * Reshape and Gemm.
 *
 * Needs the sizes behind the batch to be known, and all readers of the flattened value to be such Gemms
 * (transB = 1, constant B). What is annotated per row of B (axis 0) stays valid; a B quantized along its
 * columns is left alone. A second run finds nothing.
 */
export function foldFlattenTranspose(graph: Graph): Graph {
  const result = cloneGraph(graph);
  const permuted = new Map<string, Value>();
  for (const node of result.nodes) {
    if (node.op !== "Transpose" || node.domain !== "") continue;
    const permutation = intsAttribute(node, "perm");
    const rest = inputOf(node, 0).shape.slice(1);
    if (permutation?.[0] !== 0 || !rest.every((dim) => typeof dim === "number")) continue;
    const folds = readersToFold(result, node);
    if (!folds) continue;
    const order = permutation.slice(1).map((axis) => axis - 1);
    for (const { reshape, gemms } of folds) {
      reshape.inputs[0] = inputOf(node, 0);
      for (const gemm of gemms) permuteColumns(gemm, rest, order, permuted);
    }
  }
  removeDeadNodes(result);
  renameTaken(result, permuted);
  return result;
}

interface Fold {
  readonly reshape: Node;
  readonly gemms: readonly Node[];
}

/** All readers of the transpose with the Gemms behind them; null when one of them is something else. */
function readersToFold(graph: Graph, node: Node): Fold[] | null {
  const uses = consumers(graph);
  const output = outputOf(node);
  if (graph.outputs.includes(output)) return null;
  const size = sizeOf(output.shape.slice(1) as number[]);
  const folds: Fold[] = [];
  for (const reshape of uses.get(output) ?? []) {
    const flat = outputOf(reshape);
    if (reshape.op !== "Reshape" || flat.shape.length !== 2 || flat.shape[1] !== size) return null;
    if (flat.shape[0] !== output.shape[0]) return null;
    const gemms = gemmsBehind(graph, uses, flat);
    if (!gemms) return null;
    folds.push({ reshape, gemms });
  }
  return folds.length > 0 ? folds : null;
}

function gemmsBehind(graph: Graph, uses: ReadonlyMap<Value, readonly Node[]>, value: Value): Node[] | null {
  if (graph.outputs.includes(value)) return null;
  const gemms: Node[] = [];
  for (const reader of uses.get(value) ?? []) {
    if (reader.op === "Gemm") {
      const weight = reader.inputs[1];
      const whole = intAttribute(reader, "transB", 0) === 1 && intAttribute(reader, "transA", 0) === 0;
      if (!whole || inputOf(reader, 0) !== value || !weight?.constant || reader.inputs[2] === value)
        return null;
      if (weight.channelFactor?.axis === 1 || weight.quantization?.spec.axis === 1) return null;
      gemms.push(reader);
    } else if (scalarActivation(reader) && inputOf(reader, 0) === value) {
      const behind = gemmsBehind(graph, uses, outputOf(reader));
      if (!behind) return null;
      gemms.push(...behind);
    } else {
      return null;
    }
  }
  return gemms;
}

/** Puts the columns of B in the order of the value before the transpose; Gemms that share B go on doing so. */
function permuteColumns(
  gemm: Node,
  shape: readonly number[],
  order: readonly number[],
  permuted: Map<string, Value>,
): void {
  const weight = inputOf(gemm, 1);
  const constant = weight.constant as Tensor;
  const key = `${weight.name} ${shape.join()} ${order.join()}`;
  let value = permuted.get(key);
  if (!value) {
    const rows = constant.shape[0] as number;
    // B's columns are in the order of the transposed axes: undo the permutation.
    const transposed = {
      ...constant,
      shape: [rows, ...order.map((axis) => shape[axis] as number)],
    } as Tensor;
    const inverse = [0, ...shape.map((_, axis) => order.indexOf(axis) + 1)];
    value = { ...weight, constant: { ...transpose(transposed, inverse), shape: constant.shape } };
    permuted.set(key, value);
  }
  gemm.inputs[1] = value;
}

/** A weight that is still read in its old order as well keeps its name; the permuted one gets another. */
function renameTaken(graph: Graph, permuted: ReadonlyMap<string, Value>): void {
  const values = new Set(valuesOf(graph));
  for (const value of permuted.values()) {
    const { name } = value;
    const taken = (other: string): boolean =>
      [...values].some((each) => each !== value && each.name === other);
    for (let i = 1; taken(value.name); i++) value.name = `${name}:${i}`;
  }
}
