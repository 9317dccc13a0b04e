// What an operator's file is given: the tensors that a node reads, its attributes, and the graph to add to. A node whose
// inputs are all constants is computed here and now, so that shapes which a model spells out in operators are numbers.

import { QdgError } from "../../base/error.js";
import {
  boundedSize,
  type DType,
  float32,
  sizeOf,
  type Tensor,
  tensor,
  transpose,
} from "../../base/tensor.js";
import { kernelOf } from "../../compute/kernel.js";
import { ALL_OPERATORS } from "../../compute/operators.js";
import type { Attribute, Dim, Node, Value } from "../../graph/graph.js";
import { DATA_TYPE } from "../../onnx/data-type.js";
import type { LearnedQuantizer } from "../../quant/learned.js";
import { formatShape } from "../dims.js";
import type { GraphWriter } from "../graph-writer.js";
import { type Held, type Layout, permute, toAsIs, toChannelsFirst } from "../held.js";
import type { Attributes } from "./attributes.js";
import type { GraphNode } from "./graph-json.js";
import { constantOf, type GraphTensor, shapeOfTensor, tensorOf } from "./tensors.js";

/** What a node gives: its outputs in order. */
export type Emit = (call: OpCall) => GraphTensor | readonly GraphTensor[];

/** Operators by their TensorFlow names. */
export type OpFamily = Readonly<Record<string, Emit>>;

/** A larger tensor that constants alone decide stays a computation of the graph. */
const MOST_FOLDED = 2 ** 22;
const MOST_OUTPUTS = 10_000;

interface NodeOptions {
  readonly domain?: "" | "qdg";
  /** Of the first input when absent. */
  readonly dtype?: DType;
}

export class OpCall {
  readonly name: string;
  readonly op: string;
  readonly inputs: readonly GraphTensor[];
  readonly attributes: Attributes;
  readonly #writer: GraphWriter;

  constructor(
    { name, op }: Pick<GraphNode, "name" | "op">,
    inputs: readonly GraphTensor[],
    attributes: Attributes,
    writer: GraphWriter,
  ) {
    this.name = name;
    this.op = op;
    this.inputs = inputs;
    this.attributes = attributes;
    this.#writer = writer;
  }

  get where(): string {
    return `${this.name} (${this.op})`;
  }

  /** What ONNX or qdg cannot do. @throws QdgError `unsupported-op` */
  fail(what: string): never {
    throw new QdgError("unsupported-op", this.where, what);
  }

  /** Keeps the range that the node rounds a tensor to. */
  noteRange(value: Value, quantizer: LearnedQuantizer): void {
    this.#writer.ranges.push({ value, node: this.name, quantizer });
  }

  /** What contradicts itself. @throws QdgError `invalid-model` */
  failModel(what: string): never {
    throw new QdgError("invalid-model", this.where, what);
  }

  input(index: number): GraphTensor {
    const input = this.inputs[index] ?? this.failModel(`input ${index} is missing`);
    return input.list ? this.failModel(`input ${index}: got a list of tensors, expected a tensor`) : input;
  }

  /** The same node on other tensors. */
  with(inputs: readonly GraphTensor[]): OpCall {
    return new OpCall({ name: this.name, op: this.op }, inputs, this.attributes, this.#writer);
  }

  /** The elements of an input that is a TensorList. */
  list(index: number): readonly (GraphTensor | null)[] {
    const input = this.inputs[index] ?? this.failModel(`input ${index} is missing`);
    return input.list ?? this.failModel(`input ${index}: got a tensor, expected a list of tensors`);
  }

  /** The tfjs shape of an input. */
  shapeOf(index: number): readonly Dim[] {
    return shapeOfTensor(this.input(index));
  }

  /** An input of `rank` axes. */
  ranked(index: number, rank: number): GraphTensor {
    const input = this.input(index);
    const shape = shapeOfTensor(input);
    return shape.length === rank
      ? input
      : this.failModel(`input ${index}: got shape ${formatShape(shape)}, expected ${rank} axes`);
  }

  /** The integers of an input, some of which may be sizes that only run time knows. */
  numbers(index: number, what: string): readonly Dim[] {
    const { numbers } = this.input(index);
    return numbers ?? this.fail(`${what}: is computed from the data; qdg needs a constant`);
  }

  /** The integers of an input. */
  known(index: number, what: string): readonly number[] {
    const numbers = this.numbers(index, what);
    const name = numbers.find((number) => typeof number === "string");
    if (name === undefined) return numbers as readonly number[];
    return this.fail(`${what}: depends on the size ${name}; give the model's input a fixed size`);
  }

  /** The one number of a constant input. */
  number(index: number, what: string): number {
    const constant = constantOf(this.input(index));
    if (constant?.data.length === 1) return Number(constant.data[0]);
    return this.fail(`${what}: got no constant number; qdg needs one`);
  }

  /** A shape that is about to be counted through. @throws QdgError `unsupported-op` where that is more than a tensor may have */
  bounded(shape: readonly Dim[]): void {
    boundedSize(shape, "unsupported-op", this.where, "shape");
  }

  /** How many outputs a node may have: each is a value of the graph. */
  boundedCount(count: number): void {
    if (count > MOST_OUTPUTS) this.fail(`gives ${count} tensors, expected at most ${MOST_OUTPUTS}`);
  }

  /** An axis that a constant input names, counted from the front. */
  axis(index: number, rank: number): number {
    return this.axisOf(this.number(index, "axis"), rank);
  }

  axisOf(axis: number, rank: number): number {
    if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
      this.failModel(`axis: got ${axis}, expected ${-rank}..${rank - 1}`);
    }
    return axis < 0 ? axis + rank : axis;
  }

  /** Adds a node with one output. `what` is "" for the node's own result, else names a value within it. */
  node(
    op: string,
    inputs: readonly (Value | null)[],
    what: string,
    shape: readonly Dim[],
    attributes: Readonly<Record<string, Attribute>> = {},
    options: NodeOptions = {},
  ): Value {
    return this.nodes(op, inputs, [what], [shape], attributes, [options])[0] as Value;
  }

  /** The same for several outputs. */
  nodes(
    op: string,
    inputs: readonly (Value | null)[],
    what: readonly string[],
    shapes: readonly (readonly Dim[])[],
    attributes: Readonly<Record<string, Attribute>> = {},
    options: readonly NodeOptions[] = [],
  ): Value[] {
    for (const shape of shapes) this.bounded(shape);
    const domain = options[0]?.domain ?? "";
    const node: Node = { op, domain, attributes, inputs: [...inputs], outputs: [], origin: this.name };
    const folded = fold(node, shapes);
    if (folded) return folded.map((each, i) => this.constant(what[i] ?? `${i}`, each));
    const { builder } = this.#writer;
    node.outputs = shapes.map((shape, i) => ({
      name: builder.uniqueName(this.#valueName(what[i] ?? `${i}`)),
      dtype: options[i]?.dtype ?? inputs[0]?.dtype ?? "float32",
      shape,
      producer: node,
    }));
    builder.graph.nodes.push(node);
    return node.outputs;
  }

  constant(what: string, value: Tensor): Value {
    return this.#writer.builder.constant(this.#valueName(what), value);
  }

  /** A list of int64, as ONNX takes shapes, axes and pads. */
  ints(what: string, list: readonly number[]): Value {
    return this.#writer.builder.ints(this.#valueName(what), list);
  }

  scalar(what: string, x: number, dtype: DType = "float32"): Value {
    const data = dtype === "float32" ? Float32Array.of(x) : dtype === "bool" ? Uint8Array.of(x) : null;
    return this.constant(
      what,
      data ? tensor(dtype, [], data as never) : tensor("int32", [], Int32Array.of(x)),
    );
  }

  cast(value: Value, dtype: DType, what: string): Value {
    if (value.dtype === dtype) return value;
    return this.node("Cast", [value], what, value.shape, { to: DATA_TYPE[dtype] }, { dtype });
  }

  /** An input as float32, in the layout that it has. */
  real(index: number): Held {
    const { value, layout } = this.input(index).held;
    return { value: this.cast(value, "float32", `real_${index}`), layout };
  }

  /** The tensor in tfjs's own order of axes. */
  asIs(held: Held): Value {
    // Nothing moves where the space is one point.
    if (held.layout === "channels-first" && isPoint(held.value)) {
      const shape = permute(held.value.shape, toAsIs(held.value.shape.length));
      return this.reshape(held.value, `${held.value.name}/channels_last`, shape);
    }
    return this.#writer.asIs(held);
  }

  /** The tensor with its channels on axis 1; below rank 3 it is that already. */
  channelsFirst(held: Held): Value {
    const { constant, name, shape } = held.value;
    if (held.layout === "channels-first" || shape.length < 3) return held.value;
    if (!constant) return this.#writer.channelsFirst(held);
    const moved = transpose(constant, toChannelsFirst(shape.length));
    return this.#writer.builder.constant(`${name}/channels_first`, moved);
  }

  inLayout(held: Held, layout: Layout): Value {
    return layout === "as-is" ? this.asIs(held) : this.channelsFirst(held);
  }

  /** Reshape to `shape`, of which one size at most is a name that the input does not have at the same axis. */
  reshape(x: Value, what: string, shape: readonly Dim[]): Value {
    const target = shape.map((dim, axis) => (typeof dim === "number" ? dim : dim === x.shape[axis] ? 0 : -1));
    // One that stays may as well be worked out; then no size of 0 is taken for "as it was".
    const names = target.filter((size) => size < 1);
    if (names.length === 1 && !shape.includes(0))
      target.splice(
        target.findIndex((size) => size < 1),
        1,
        -1,
      );
    if (target.filter((size) => size === -1).length > 1 || shape.includes(0)) {
      this.fail(
        `cannot reshape ${formatShape(x.shape)} to ${formatShape(shape)}: one size only can be left open; ` +
          "give the model's input a fixed size",
      );
    }
    return this.node("Reshape", [x, this.ints(`${what || "result"}_shape`, target)], what, shape);
  }

  /** A result. Numbers that are all known become a constant. */
  result(value: Value, layout: Layout = "as-is", numbers: readonly Dim[] | null = null): GraphTensor {
    if (numbers && !value.constant && numbers.every((number) => typeof number === "number")) {
      const data = Int32Array.from(numbers);
      const shape = value.shape as readonly number[];
      const known = this.#writer.builder.constant(`${value.name}/known`, tensor("int32", shape, data));
      return tensorOf({ value: known, layout: "as-is" });
    }
    return tensorOf({ value, layout: value.shape.length < 3 ? "as-is" : layout }, numbers);
  }

  /** A size that only run time knows; no other has its name. */
  unknownSize(what: string): string {
    return this.#writer.builder.uniqueName(`size of ${this.name}${what && ` ${what}`}`);
  }

  #valueName(what: string): string {
    return what === "" ? this.name : `${this.name}/${what}`;
  }
}

/** Whether all axes after [N, C] have size 1. */
function isPoint({ shape }: Value): boolean {
  return shape.length > 2 && shape.slice(2).every((dim) => dim === 1);
}

/** What the node computes, where constants alone decide it and the operator is one that is computed here. */
function fold(node: Node, shapes: readonly (readonly Dim[])[]): readonly Tensor[] | null {
  const inputs = node.inputs.map((input) => input && (input.constant ?? undefined));
  if (inputs.some((input) => input === undefined) || inputs.every((input) => input === null)) return null;
  if (!shapes.every((shape) => isSmall(shape))) return null;
  try {
    return kernelOf(node, ALL_OPERATORS)({ node, inputs: inputs as (Tensor | null)[] });
  } catch (thrown) {
    if (thrown instanceof QdgError && thrown.code === "unsupported-op") return null;
    throw thrown;
  }
}

function isSmall(shape: readonly Dim[]): boolean {
  return shape.every((dim) => typeof dim === "number") && sizeOf(shape) <= MOST_FOLDED;
}

/** A constant float32 tensor. */
export function realConstant(call: OpCall, index: number, what: string): Tensor<"float32"> {
  const constant = constantOf(call.input(index));
  if (constant?.dtype === "float32") return constant as Tensor<"float32">;
  return call.fail(`${what}: is computed from the data; qdg needs a constant`);
}

/** `[size]` ones or zeros. */
export function filled(size: number, x: number): Tensor<"float32"> {
  return float32([size], new Float32Array(size).fill(x));
}
