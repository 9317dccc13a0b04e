// Writes tables of integers in the operator that ONNX Runtime is quick at. Its Gather copies each element as a block of bytes: 10 to
// 20 times the time of GatherElements, on the CPU and in WebAssembly (1.30). The integers are the same.

import { type DType, int64, sizeOf } from "../../base/tensor.js";
import type { Attribute, Dim, Graph, Node, Value } from "../graph.js";
import { cloneGraph, inputOf, intAttribute, outputOf, removeDeadNodes, valuesOf } from "../graph.js";
import { UNKNOWN_DIM } from "../unknown-shape.js";

/** An activation has no more integers. */
const MOST_ROWS = 256;

/**
 * `Gather(table, i)` of a table of one axis is `Reshape(GatherElements(table, Reshape(i, [-1])), shape of i)`.
 *
 * Bytes of images go through it with their channels last: between the integer kernels of two convolutions, which ONNX Runtime gives
 * that order, the transposes cancel. It cancels none over a Gather, or a Reshape.
 */
export function flatTables(graph: Graph): Graph {
  const result = cloneGraph(graph);
  const names = new Set(valuesOf(result).map(({ name }) => name));
  const kernels = result.nodes.filter((node) => node.op === "Conv" && readsBytes(node));
  const imageRanks = new Set(kernels.map((node) => outputOf(node).shape.length));
  result.nodes = result.nodes.flatMap((node) => {
    if (!isTable(node)) return [node];
    return new Flattening(node, names).write(imageRanks.has(inputOf(node, 1).shape.length));
  });
  removeDeadNodes(result);
  return result;
}

function readsBytes(node: Node): boolean {
  return node.inputs[0]?.producer?.op === "DequantizeLinear";
}

function isTable(node: Node): boolean {
  if (node.op !== "Gather" || node.domain !== "" || intAttribute(node, "axis", 0) !== 0) return false;
  const [table, index] = node.inputs;
  const rows = table?.constant;
  return rows?.shape.length === 1 && rows.data.length <= MOST_ROWS && index?.producer?.op === "Cast";
}

class Flattening {
  readonly #node: Node;
  readonly #names: Set<string>;
  readonly #nodes: Node[] = [];

  constructor(node: Node, names: Set<string>) {
    this.#node = node;
    this.#names = names;
  }

  /** The nodes in the place of the Gather; `isImage`: bytes are turned on the way. */
  write(isImage: boolean): Node[] {
    const output = outputOf(this.#node);
    const table = inputOf(this.#node, 0);
    const index = inputOf(this.#node, 1);
    const { shape } = index;
    const last = shape.map((_, place) => (place === 0 ? 0 : (place % (shape.length - 1)) + 1));
    const turns = isImage && shape.length > 2 && table.dtype === "uint8";
    const before = turns ? this.#turned(index, last) : index;
    if (before.shape.length === 1) {
      this.#add("GatherElements", [table, before], output);
      return this.#nodes;
    }
    const flat = this.#inner([flatSize(before.shape)], index.dtype);
    this.#add("Reshape", [before, this.#list([-1])], flat);
    const read = this.#inner(flat.shape, table.dtype);
    this.#add("GatherElements", [table, flat], read);
    const back = turns ? this.#inner(before.shape, table.dtype) : output;
    this.#add("Reshape", [read, this.#shapeOf(before)], back);
    if (turns) {
      this.#add("Transpose", [back], output, { perm: last.map((_, axis) => last.indexOf(axis)) });
    }
    return this.#nodes;
  }

  /** Turned as bytes, which are a fourth of what indices are. */
  #turned(index: Value, perm: readonly number[]): Value {
    const cast = index.producer as Node;
    const bytes = inputOf(cast, 0);
    const shape = perm.map((axis) => index.shape[axis] as Dim);
    const turned = this.#inner(shape, bytes.dtype);
    this.#add("Transpose", [bytes], turned, { perm });
    const wide = this.#inner(shape, index.dtype);
    this.#add("Cast", [turned], wide, cast.attributes);
    return wide;
  }

  /** Sizes as numbers where one at most is open. */
  #shapeOf(value: Value): Value {
    const { shape } = value;
    const sizes = shape.map((dim) => (typeof dim === "number" ? dim : -1));
    if (sizes.filter((size) => size === -1).length <= 1) return this.#list(sizes);
    const list = this.#inner([shape.length], "int64");
    this.#add("Shape", [value], list);
    return list;
  }

  #list(numbers: readonly number[]): Value {
    const constant = int64([numbers.length], numbers);
    return { name: this.#name(), dtype: "int64", shape: constant.shape, constant };
  }

  #inner(shape: readonly Dim[], dtype: DType): Value {
    return { name: this.#name(), dtype, shape };
  }

  #add(
    op: string,
    inputs: readonly Value[],
    output: Value,
    attributes: Readonly<Record<string, Attribute>> = {},
  ): void {
    const node: Node = {
      op,
      domain: "",
      attributes,
      inputs: [...inputs],
      outputs: [output],
      origin: this.#node.origin,
    };
    output.producer = node;
    this.#nodes.push(node);
  }

  /** Short: a file has many. */
  #name(): string {
    let number = this.#names.size;
    while (this.#names.has(`_t${number.toString(36)}`)) number++;
    const name = `_t${number.toString(36)}`;
    this.#names.add(name);
    return name;
  }
}

function flatSize(shape: readonly Dim[]): Dim {
  return shape.every((dim) => typeof dim === "number") ? sizeOf(shape) : UNKNOWN_DIM;
}
