// Runs a Graph node by node on tfjs's current backend, inside whatever tape or tidy the caller has open. It
// knows neither training nor quantization: both come in as hooks.

import * as tf from "@tensorflow/tfjs";
import { QdgError } from "../base/error.js";
import type { Tensor } from "../base/tensor.js";
import type { Graph, Node, Value } from "../graph/graph.js";
import type { HeldTensor } from "./ops/op.js";
import { OPS } from "./ops/ops.js";

export interface Hooks {
  /** The tensor of what no node computes, for one of its readers; null for what the operator reads on the host (shapes, axes). */
  constant(value: Value, reader: Node): HeldTensor | null;
  /** What a node computes, where the caller knows better than the operator; null to run the operator. */
  node?(node: Node, inputs: readonly (HeldTensor | null)[]): HeldTensor[] | null;
  /** What goes on in place of a value that was just computed, or fed. */
  after?(value: Value, held: HeldTensor): HeldTensor;
  /** Without gradients: what a node needs meanwhile is freed at once, and each value but these when its last reader has it. */
  readonly keepsOnly?: readonly Value[];
}

/**
 * The tensors of all values, by the graph's nodes in order, but those that were freed. Feeds are held in any layout.
 *
 * @throws QdgError `unsupported-layer` naming the layer whose operator is not known
 */
export function execute(
  graph: Graph,
  feeds: ReadonlyMap<Value, HeldTensor>,
  hooks: Hooks,
): Map<Value, HeldTensor> {
  const after = (value: Value, computed: HeldTensor): HeldTensor =>
    hooks.after?.(value, computed) ?? computed;
  const held = new Map<Value, HeldTensor>();
  for (const input of graph.inputs) {
    const feed = feeds.get(input);
    if (!feed) throw new QdgError("internal", input.name, "was not fed");
    held.set(input, after(input, feed));
  }
  const free = hooks.keepsOnly ? freeing(graph, held, hooks.keepsOnly) : null;
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((input) => {
      return input === null ? null : (held.get(input) ?? hooks.constant(input, node));
    });
    const compute = (): HeldTensor[] => {
      const outputs = hooks.node?.(node, inputs) ?? run(node, inputs);
      return outputs.map((result, index) => after(node.outputs[index] as Value, result));
    };
    const outputs = free ? tf.tidy(compute as () => never) : compute();
    node.outputs.forEach((output, index) => {
      const result = outputs[index];
      if (result) held.set(output, result);
    });
    free?.(node);
  }
  return held;
}

/** Frees what a node was the last to read, unless another value is the same tensor. */
function freeing(graph: Graph, held: Map<Value, HeldTensor>, kept: readonly Value[]): (node: Node) => void {
  const last = new Map<Value, Node>();
  for (const node of graph.nodes) for (const value of node.inputs) if (value) last.set(value, node);
  return (node) => {
    for (const value of new Set([...node.inputs, ...node.outputs])) {
      const tensor = value && held.get(value)?.tensor;
      // An output that nobody reads has no last reader.
      if (
        !tensor ||
        kept.includes(value) ||
        graph.inputs.includes(value) ||
        (last.get(value) ?? node) !== node
      )
        continue;
      held.delete(value);
      if (![...held.values()].some((other) => other.tensor === tensor)) tensor.dispose();
    }
  };
}

function run(node: Node, inputs: readonly (HeldTensor | null)[]): HeldTensor[] {
  const op = OPS[node.op];
  if (!op) {
    throw new QdgError(
      "unsupported-layer",
      `${node.origin} (${node.op})`,
      "cannot be trained; replace the layer, or quantize the trained model with qdg-export --calibration",
    );
  }
  return op(node, inputs, (index) => node.inputs[index]?.constant);
}

/** A constant of the graph as a tfjs tensor in the graph's order of axes; null for int64, which operators read on the host. */
export function constantTensor({ dtype, shape, data }: Tensor): HeldTensor | null {
  if (dtype === "float32") {
    return { tensor: tf.tensor(data as Float32Array, [...shape], "float32"), layout: "as-is" };
  }
  if (dtype !== "int8" && dtype !== "uint8" && dtype !== "int32") return null;
  const integers = Int32Array.from(data as ArrayLike<number>);
  return { tensor: tf.tensor(integers, [...shape], "int32"), layout: "as-is" };
}
