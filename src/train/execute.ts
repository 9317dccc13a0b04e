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
}

/**
 * The tensors of all values, by the graph's nodes in order. Feeds are held in any layout.
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
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((input) => {
      return input === null ? null : (held.get(input) ?? hooks.constant(input, node));
    });
    const outputs = hooks.node?.(node, inputs) ?? run(node, inputs);
    node.outputs.forEach((output, index) => {
      const result = outputs[index];
      if (result) held.set(output, after(output, result));
    });
  }
  return held;
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

/** @throws QdgError `unsupported-layer` naming the nodes whose operators training does not know */
export function checkOperators({ name, nodes }: Graph): void {
  const unknown = nodes.filter(({ op }) => !Object.hasOwn(OPS, op));
  if (unknown.length === 0) return;
  const listed = unknown.slice(0, 5).map(({ origin, op }) => `${origin} (${op})`);
  const more = unknown.length > listed.length ? ` and ${unknown.length - listed.length} more` : "";
  throw new QdgError(
    "unsupported-layer",
    name,
    `training does not compute ${listed.join(", ")}${more}; quantize the trained model with qdg-export --calibration`,
  );
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
