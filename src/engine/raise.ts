// From the graph of an integer file to the operations of the engine: what is bytes in the file is bytes here, patterns and
// spelled-out sums become one operation each, functions of one byte tables, and what is float32 at the end stays so.

import { sizeOf, type Tensor } from "../base/tensor.js";
import { foldedConstants } from "../compute/folded-constants.js";
import { type IntegerPattern, integerPatterns } from "../compute/integer-patterns.js";
import { type Operators, whereOf } from "../compute/kernel.js";
import { broadcastIndex, sameShape } from "../compute/shapes.js";
import { type Step, stepOf } from "../compute/step.js";
import { consumers, type Dim, type Graph, intsAttribute, type Node, type Value } from "../graph/graph.js";
import { resultShape } from "../onnx/result-shape.js";
import { type ByteFunction, ByteFunctions } from "./byte-functions.js";
import { type Bytes, newBytes } from "./bytes.js";
import { exactSum } from "./exact-sums.js";
import { fromTensor, lookUp, quantize, toTensor } from "./operations/conversions.js";
import { move } from "./operations/move.js";
import type { Limits, Operation } from "./operations/operation.js";
import { type Raising, refused } from "./raising.js";
import { raiseExactSum, raiseRealSum } from "./raise-exact-sums.js";
import { raiseMove } from "./raise-moves.js";
import { raisePattern, realWeightedSum } from "./raise-patterns.js";
import { raisePool } from "./raise-pools.js";

/** The operations of one sample, in order. */
export interface RaisedGraph {
  readonly operations: readonly Operation[];
  /** Whether the first axis of inputs and outputs is that of samples, of any number. */
  readonly batched: boolean;
}

/** Multiplications that a node of float32 may take in plain JavaScript. */
const MOST_REAL_PRODUCTS = 4e6;
const REAL_PRODUCTS: ReadonlySet<string> = new Set(["Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum"]);

/**
 * @param graph raised from a file; its shapes are made those of one sample
 * @param operators that are here for what is computed as it is written
 * @throws QdgError `unsupported-op` naming what the engine does not compute
 */
export function raise(graph: Graph, operators: Operators): RaisedGraph {
  return new GraphRaiser(graph, operators).raise();
}

class GraphRaiser implements Raising {
  readonly operators: Operators;
  readonly constants: ReadonlyMap<Value, Tensor>;
  readonly #uses: ReadonlyMap<Value, readonly Node[]>;
  readonly #graph: Graph;
  readonly #patterns: ReadonlyMap<Node, IntegerPattern>;
  readonly #functions: ByteFunctions;
  readonly #bytes = new Map<Value, Bytes>();
  readonly #limits = new Map<Bytes, Limits>();
  readonly #real = new Set<Value>();
  readonly #operations: Operation[] = [];
  readonly #batched: boolean;

  constructor(graph: Graph, operators: Operators) {
    this.#graph = graph;
    this.operators = operators;
    const { inputs, outputs } = graph;
    this.#batched = [...inputs, ...outputs].every(({ shape }) => typeof shape[0] === "string");
    this.constants = foldedConstants(graph, operators);
    this.#patterns = integerPatterns(graph, this.constants);
    this.#uses = consumers(graph);
    this.#functions = new ByteFunctions(this.constants, operators);
    settleShapes(graph, this.constants);
  }

  raise(): RaisedGraph {
    // In the order of the file, so that nothing is far from what it needs.
    const read = new Set(this.#graph.outputs);
    for (const node of this.#graph.nodes) for (const input of node.inputs) if (input) read.add(input);
    for (const output of this.#graph.nodes.flatMap((node) => node.outputs)) {
      const taken = output.dtype !== "uint8" || this.constants.has(output) || !read.has(output);
      if (!taken && !this.#isNarrowed(output)) this.bytesOf(output);
    }
    for (const output of this.#graph.outputs) this.#tensorOf(output);
    return { operations: this.#operations, batched: this.#batched };
  }

  bytesOf(value: Value): Bytes {
    const known = this.#bytes.get(value);
    if (known) return known;
    const made = this.#raiseBytes(value);
    this.#bytes.set(value, made);
    return made;
  }

  bytesAlong(value: Value, channelAxis: number): Bytes {
    return this.spread(value, channelAxis, this.shapeOf(value));
  }

  spread(value: Value, channelAxis: number, shape: readonly number[]): Bytes {
    const bytes = this.bytesOf(value);
    if (bytes.channelAxis === channelAxis && sameShape(bytes.shape, shape)) return bytes;
    const index = broadcastIndex(this.shapeOf(value), shape);
    const moved = newBytes(value.name, shape, channelAxis);
    this.add(move(value.name, [bytes], { source: new Int32Array(index.length), index }, moved));
    return moved;
  }

  create(value: Value, channelAxis: number, limits?: Limits): Bytes {
    const bytes = newBytes(value.name, this.shapeOf(value), channelAxis);
    if (limits) this.#limits.set(bytes, limits);
    return bytes;
  }

  alias(value: Value, channelAxis: number, { storage }: Bytes): Bytes {
    return { name: value.name, shape: this.shapeOf(value), channelAxis, storage };
  }

  add(operation: Operation): void {
    this.#operations.push(operation);
  }

  shapeOf(value: Value): readonly number[] {
    return value.shape as readonly number[];
  }

  /** A value that a Clip alone reads: the Clip's operation computes it. */
  #isNarrowed(value: Value): boolean {
    const uses = this.#uses.get(value);
    return uses?.length === 1 && uses[0]?.op === "Clip" && !this.#graph.outputs.includes(value);
  }

  #raiseBytes(value: Value): Bytes {
    const constant = this.constants.get(value);
    if (constant) return this.#constantBytes(value, constant);
    const node = value.producer;
    if (!node) return this.#inputBytes(value);
    const pattern = this.#patterns.get(node);
    if (pattern) return raisePattern(pattern, this);
    if (node.op === "Clip" && this.#isNarrowed(node.inputs[0] as Value)) {
      const narrowed = this.#narrow(node);
      if (narrowed) return narrowed;
    }
    if (node.op === "QuantizeLinear") {
      const sum = exactSum(node, this.constants, this.#functions);
      const raised = sum && raiseExactSum(sum, node, this);
      if (raised) return raised;
    }
    const found = this.#functions.through(node);
    if (found) return this.#lookUp(found, node);
    const moved = raiseMove(node, value, this) ?? raisePool(node, value, this);
    if (moved) return moved;
    if (node.op === "QuantizeLinear") return this.#quantize(node, value);
    throw refused(whereOf(node), `${node.op} of integers`);
  }

  #constantBytes(value: Value, constant: Tensor): Bytes {
    const bytes = newBytes(value.name, constant.shape, this.#channelAxisOf(constant.shape, []));
    this.add(fromTensor(value.name, () => constant, bytes));
    return bytes;
  }

  #inputBytes(value: Value): Bytes {
    const bytes = this.create(value, this.#channelAxisOf(this.shapeOf(value), this.#uses.get(value) ?? []));
    this.add(fromTensor(value.name, (tensors) => tensors.get(value) as Tensor, bytes));
    return bytes;
  }

  /** A Clip as narrower limits of the operation before it. */
  #narrow(node: Node): Bytes | null {
    const bytes = this.bytesOf(node.inputs[0] as Value);
    const limits = this.#limits.get(bytes);
    const [low, high] = node.inputs.slice(1).map((input) => input && this.constants.get(input));
    if (!limits || (low && low.data.length !== 1) || (high && high.data.length !== 1)) return null;
    if (low) limits.low = Math.max(limits.low, Number(low.data[0]));
    if (high) limits.high = Math.min(limits.high, Number(high.data[0]));
    return bytes;
  }

  #lookUp({ source, table }: ByteFunction, node: Node): Bytes {
    const x = this.bytesOf(source);
    if (table.dtype !== "uint8") throw refused(whereOf(node), `a table of ${table.dtype}`);
    const output = node.outputs[0] as Value;
    // Of x's shape, whatever the output's: the order of the elements is the same.
    const y = newBytes(output.name, x.shape, x.channelAxis);
    this.add(lookUp(whereOf(node), x, table.data as Uint8Array, y));
    return y;
  }

  #quantize(node: Node, value: Value): Bytes {
    const [x, scale, zero] = node.inputs;
    const scales = scale && this.constants.get(scale);
    const zeros = zero ? this.constants.get(zero) : null;
    if (!x || scales?.data.length !== 1 || zeros === undefined || (zeros && zeros.data.length !== 1)) {
      throw refused(whereOf(node), "quantization with several scales");
    }
    this.#tensorOf(x);
    const limits = { low: 0, high: 255, zeroPoint: zeros ? Number(zeros.data[0]) : 0 };
    const y = this.create(
      value,
      this.#channelAxisOf(this.shapeOf(value), this.#uses.get(value) ?? []),
      limits,
    );
    this.add(quantize(whereOf(node), x, Number(scales.data[0]), y, limits));
    return y;
  }

  /** Where its reader looks for channels: last before a product of matrices or a Transpose from there, else second. */
  #channelAxisOf(shape: readonly number[], readers: readonly Node[]): number {
    const last = shape.length - 1;
    if (shape[0] !== 1) return last;
    for (const reader of readers) {
      if (reader.op === "Transpose" && intsAttribute(reader, "perm")?.[1] === last) return last;
      const next = reader.outputs[0] && this.#uses.get(reader.outputs[0]);
      if (next?.some((each) => each.op === "MatMul")) return last;
    }
    return Math.min(1, last);
  }

  /** Sees to it that a run has the tensor of a value. */
  #tensorOf(value: Value): void {
    if (this.#real.has(value) || this.constants.has(value)) return;
    this.#real.add(value);
    const node = value.producer;
    if (!node) return;
    const found = this.#functions.of(value);
    if (found) {
      const x = this.bytesOf(found.source);
      this.add(toTensor(value.name, x, found.table, value, this.shapeOf(value)));
      return;
    }
    const pattern = this.#patterns.get(node);
    if (pattern?.kind === "weighted" && !pattern.target) {
      realWeightedSum(pattern, value, this);
      return;
    }
    if (raiseRealSum(node, value, this.#functions, this)) return;
    this.#step(node);
  }

  /** A node of float32, as it is written. */
  #step(node: Node): void {
    if (REAL_PRODUCTS.has(node.op)) {
      const products = productsOf(node);
      if (products > MOST_REAL_PRODUCTS) throw refused(whereOf(node), `${products} products of float32`);
    }
    for (const output of node.outputs) this.#real.add(output);
    for (const input of node.inputs) if (input) this.#tensorOf(input);
    const constants = node.inputs.map((input) => {
      const constant = input && this.constants.get(input);
      // A copy: what a run holds must not hold the bytes of the whole file.
      return constant ? { ...constant, data: constant.data.slice() } : null;
    });
    this.add(asWritten(stepOf(node, this.operators), constants));
  }
}

/** @param constants of the inputs, null for those that a run computes */
function asWritten({ node, inputs, outputs, run }: Step, constants: readonly (Tensor | null)[]): Operation {
  return {
    where: whereOf(node),
    reads: [],
    writes: null,
    prepare: () => (tensors) => {
      const results = run(inputs.map((input, i) => input && (constants[i] ?? tensors.get(input) ?? null)));
      outputs.forEach((output, i) => tensors.set(output, results[i] as Tensor));
    },
  };
}

/** Every shape for one sample, told from those of the inputs. */
function settleShapes(graph: Graph, constants: ReadonlyMap<Value, Tensor>): void {
  for (const input of graph.inputs) {
    input.shape = input.shape.map((dim, axis) => (axis === 0 && typeof dim === "string" ? 1 : dim));
    requireNumbers(input.name, input.shape);
  }
  for (const node of graph.nodes) {
    for (const [index, output] of node.outputs.entries()) {
      const constant = constants.get(output);
      if (constant) output.constant = constant;
      output.shape = constant ? constant.shape : resultShape(node, index);
      requireNumbers(whereOf(node), output.shape);
    }
  }
}

function requireNumbers(where: string, shape: readonly Dim[]): void {
  if (shape.every((dim) => typeof dim === "number")) return;
  throw refused(where, `a shape [${shape.join(", ")}] that only a run tells`);
}

function productsOf(node: Node): number {
  const [x, w] = node.inputs;
  const elements = sizeOf((node.outputs[0]?.shape ?? []) as number[]);
  if (node.op === "MatMul") return elements * Number(x?.shape.at(-1));
  return elements * (sizeOf((w?.shape ?? []) as number[]) / Number(w?.shape[0] ?? 1));
}
