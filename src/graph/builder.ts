// Builds a graph node by node. It gives unique names; shapes are the caller's, since the reader knows them.

import type { DType, Tensor } from "../base/tensor.js";
import { int64 } from "../base/tensor.js";
import type { Attribute, Dim, Graph, Node, Value } from "./graph.js";

/** One output of a node to be added. */
export interface OutputDeclaration {
  readonly name: string;
  readonly shape: readonly Dim[];
  /** float32 when absent */
  readonly dtype?: DType;
}

export class GraphBuilder {
  readonly graph: Graph;
  readonly #names = new Set<string>();
  /** Name -> the number that its next namesake tries first. */
  readonly #taken = new Map<string, number>();

  constructor(name: string) {
    this.graph = { name, inputs: [], outputs: [], nodes: [] };
  }

  /** `name`, or `name:1`, `name:2`... when it is taken. */
  uniqueName(name: string): string {
    let unique = name;
    let i = this.#taken.get(name) ?? 1;
    for (; this.#names.has(unique); i++) unique = `${name}:${i}`;
    this.#taken.set(name, i);
    this.#names.add(unique);
    return unique;
  }

  input(name: string, shape: readonly Dim[], dtype: DType = "float32"): Value {
    const value: Value = { name: this.uniqueName(name), dtype, shape };
    this.graph.inputs.push(value);
    return value;
  }

  constant(name: string, constant: Tensor): Value {
    return { name: this.uniqueName(name), dtype: constant.dtype, shape: constant.shape, constant };
  }

  /** A constant list of int64, as ONNX takes shapes, axes and pads. */
  ints(name: string, data: readonly number[]): Value {
    return this.constant(name, int64([data.length], data));
  }

  /** Adds a node with one output and returns that. */
  node(
    op: string,
    origin: string,
    inputs: readonly (Value | null)[],
    output: OutputDeclaration,
    attributes: Readonly<Record<string, Attribute>> = {},
    domain: "" | "qdg" = "",
  ): Value {
    const node: Node = { op, domain, attributes, inputs: [...inputs], outputs: [], origin };
    const value: Value = {
      name: this.uniqueName(output.name),
      dtype: output.dtype ?? "float32",
      shape: output.shape,
      producer: node,
    };
    node.outputs.push(value);
    this.graph.nodes.push(node);
    return value;
  }

  output(value: Value): void {
    this.graph.outputs.push(value);
  }
}
