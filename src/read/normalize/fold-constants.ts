// Computes once what no input decides, shapes and what is computed from them among it, and tells the shapes of all values
// anew from those of the inputs.

import { errorText, QdgError } from "../../base/error.js";
import { int64, sizeOf, type Tensor } from "../../base/tensor.js";
import { kernelOf } from "../../compute/kernel.js";
import { ALL_OPERATORS } from "../../compute/operators.js";
import {
  cloneGraph,
  type Dim,
  type Graph,
  type Node,
  removeDeadNodes,
  type Value,
} from "../../graph/graph.js";
import { isUnknownRank, UNKNOWN_DIM } from "../../graph/unknown-shape.js";
import { resultShape } from "../../onnx/result-shape.js";
import { ShapeValues } from "./shape-values.js";

/** What grows to more elements than this is left to run time: a few bytes may ask for gigabytes. */
const MOST_GROWN = 2 ** 20;
/** Elements of all results together; from there on the rest is left to run time. */
const MOST_FOLDED = 2 ** 28;

/**
 * - A node whose inputs are all constants becomes its results, unless they are outputs of the graph.
 * - What is computed from sizes that are known becomes a constant.
 * - A Reshape to sizes of which one is open gets a constant list: 0 where a size stays, -1 for the open one.
 * - Shapes of values are those that follow from the inputs; where none follows, what the file declares.
 *
 * @param stays operators that are not computed, whatever they read
 */
export function foldConstants(graph: Graph, stays: ReadonlySet<string> = new Set()): Graph {
  const result = cloneGraph(graph);
  const outputs = new Set(result.outputs);
  const sizes = new ShapeValues();
  let folded = 0;
  result.nodes = result.nodes.filter((node) => {
    inferShapes(node);
    const isOutput = node.outputs.some((output) => outputs.has(output));
    const numbers = sizes.note(node);
    if (isOutput || stays.has(node.op)) return true;
    const computed = (numbers && sizesOf(node, numbers)) ?? (folded < MOST_FOLDED ? resultsOf(node) : null);
    if (computed) {
      for (const { data } of computed) folded += data.length;
      node.outputs.forEach((output, index) => becomeConstant(output, computed[index] as Tensor));
      return false;
    }
    if (node.op === "Reshape") simplifyReshape(node, sizes);
    return true;
  });
  removeDeadNodes(result);
  return result;
}

function inferShapes(node: Node): void {
  for (const [index, output] of node.outputs.entries()) {
    const inferred = resultShape(node, index);
    if (isUnknownRank(inferred)) continue;
    const declared = output.shape.length === inferred.length ? output.shape : [];
    output.shape = inferred.map((dim, axis) => (dim === UNKNOWN_DIM ? (declared[axis] ?? dim) : dim));
  }
}

/** null where the numbers do not fill the shape. */
function sizesOf({ outputs }: Node, numbers: readonly number[]): readonly Tensor[] | null {
  const [{ dtype, shape }] = outputs as [Value];
  const fixed = shape.filter((dim) => typeof dim === "number");
  if (fixed.length !== shape.length || sizeOf(fixed) !== numbers.length) return null;
  if (dtype === "int64") return [int64(fixed, numbers)];
  return [{ dtype: "int32", shape: fixed, data: Int32Array.from(numbers) }];
}

/** null for what is not computed here: an input that is no constant, an operator without a kernel, or too large a result. */
function resultsOf(node: Node): readonly Tensor[] | null {
  const inputs = node.inputs.map((input) => input && (input.constant ?? undefined));
  if (node.domain !== "" || inputs.includes(undefined) || node.inputs.length === 0) return null;
  const constants = inputs as readonly (Tensor | null)[];
  const given = constants.reduce((sum, constant) => sum + (constant?.data.length ?? 0), 0);
  const grown = node.outputs.map(({ shape }) => elementsOf(shape));
  if (grown.some((count) => count > Math.max(given, MOST_GROWN))) return null;
  try {
    return kernelOf(node, ALL_OPERATORS)({ node, inputs: constants });
  } catch (thrown) {
    if (thrown instanceof QdgError && thrown.code === "unsupported-op") return null;
    if (thrown instanceof QdgError) throw thrown;
    throw new QdgError("invalid-onnx", `${node.origin} (${node.op})`, errorText(thrown), { cause: thrown });
  }
}

function elementsOf(shape: readonly Dim[]): number {
  return isUnknownRank(shape) || shape.some((dim) => typeof dim === "string")
    ? Number.POSITIVE_INFINITY
    : sizeOf(shape as readonly number[]);
}

function becomeConstant(value: Value, constant: Tensor): void {
  value.constant = constant;
  value.shape = constant.shape;
  delete value.producer;
}

function simplifyReshape(node: Node, sizes: ShapeValues): void {
  const [x, list] = node.inputs;
  const wanted = sizes.of(list);
  if (!x || !list || list.constant || !wanted || node.attributes["allowzero"] === 1) return;
  const known = wanted.map((dim, axis) =>
    typeof dim === "string" && dim !== UNKNOWN_DIM && x.shape[axis] === dim ? 0 : dim,
  );
  const open = known.filter((dim) => typeof dim === "string");
  if (open.length > 1 || (open.length === 1 && known.includes(-1))) return;
  const numbers = known.map((dim) => (typeof dim === "number" ? dim : -1));
  const output = node.outputs[0] as Value;
  const constant = int64([numbers.length], numbers);
  node.inputs[1] = { name: `${output.name}/shape`, dtype: "int64", shape: constant.shape, constant };
  inferShapes(node);
}
