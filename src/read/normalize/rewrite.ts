// How a normalizing pass goes through a graph: node by node, each kept, taken out or put into other words. Chooses nothing.

import type { DType, Tensor } from "../../base/tensor.js";
import {
  type Attribute,
  cloneGraph,
  consumers,
  type Dim,
  type Graph,
  type Node,
  removeDeadNodes,
  type Value,
  valuesOf,
} from "../../graph/graph.js";

/** What takes a node's place: a value that stood before it, or nodes of which the last computes its outputs. */
export type Rewritten = Value | readonly Node[] | null;

/** null keeps the node. */
export type RewriteRule = (node: Node, tools: RewriteTools) => Rewritten;

export interface RewriteTools {
  /** The one node that reads a value, and reads it once; null where there are others, or it is an output of the graph. */
  readonly onlyReader: (value: Value) => Node | null;
  /** Whether a node reads the value, or it is an output of the graph. */
  readonly isRead: (value: Value) => boolean;
  readonly constant: (name: string, tensor: Tensor) => Value;
  /** A value within what replaces a node; `name` follows that of `output`. */
  readonly inner: (output: Value, name: string, shape: readonly Dim[], dtype?: DType) => Value;
  /** A node with one output, of the origin of `like`. */
  readonly node: (
    like: Node,
    op: string,
    inputs: readonly (Value | null)[],
    output: Value,
    attributes?: Readonly<Record<string, Attribute>>,
    domain?: "" | "qdg",
  ) => Node;
}

/** The graph after one go; what nobody reads any more is gone. The given graph stays as it was. */
export function rewrite(graph: Graph, rule: RewriteRule): Graph {
  const result = cloneGraph(graph);
  const uses = consumers(result);
  const outputs = new Set(result.outputs);
  const names = new Set(valuesOf(result).map(({ name }) => name));
  const unique = (name: string): string => {
    let free = name;
    for (let i = 1; names.has(free); i++) free = `${name}:${i}`;
    names.add(free);
    return free;
  };
  const tools: RewriteTools = {
    onlyReader(value) {
      const [reader, ...others] = uses.get(value) ?? [];
      return reader && others.length === 0 && !outputs.has(value) ? reader : null;
    },
    isRead: (value) => uses.has(value) || outputs.has(value),
    constant: (name, tensor) => ({
      name: unique(name),
      dtype: tensor.dtype,
      shape: tensor.shape,
      constant: tensor,
    }),
    inner: (output, name, shape, dtype = "float32") => ({
      name: unique(`${output.name}/${name}`),
      dtype,
      shape,
    }),
    node(like, op, inputs, output, attributes = {}, domain = "") {
      const node: Node = {
        op,
        domain,
        attributes,
        inputs: [...inputs],
        outputs: [output],
        origin: like.origin,
      };
      output.producer = node;
      return node;
    },
  };
  const replaced = new Map<Value, Value>();
  const nodes: Node[] = [];
  for (const node of result.nodes) {
    node.inputs = node.inputs.map((input) => (input && replaced.get(input)) ?? input);
    const rewritten = rule(node, tools);
    if (rewritten === null) nodes.push(node);
    else if (!("name" in rewritten)) nodes.push(...rewritten);
    // An output of the graph keeps its name, and so the node that gives it.
    else if (node.outputs.some((output) => outputs.has(output))) nodes.push(node);
    else for (const output of node.outputs) replaced.set(output, rewritten);
  }
  result.nodes = nodes;
  removeDeadNodes(result);
  return result;
}
