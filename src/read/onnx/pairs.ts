// QuantizeLinear and DequantizeLinear of a float network with quantizers in it (QDQ): taken out of the graph, and what they said kept.
// Decides nothing of where quantizers may stand.

import { QdgError } from "../../base/error.js";
import { float32, type Tensor } from "../../base/tensor.js";
import { RANGE_BY_DTYPE } from "../../compute/quantize.js";
import { kernelOf } from "../../compute/kernel.js";
import { ALL_OPERATORS } from "../../compute/operators.js";
import {
  cloneGraph,
  type Graph,
  inputOf,
  type Node,
  outputOf,
  removeDeadNodes,
  type Value,
} from "../../graph/graph.js";
import { kindOf } from "../../graph/node-kinds.js";
import type { LearnedQuantizer } from "../../quant/learned.js";
import { MAX_BITS, MIN_BITS } from "../../quant/spec.js";

/** A value between QuantizeLinear and DequantizeLinear, or a constant before the latter. */
export interface Pair {
  /** The value in real numbers, by its name in the graph without pairs. */
  readonly name: string;
  /** The node that messages name. */
  readonly origin: string;
  readonly quantizer: LearnedQuantizer;
}

export interface ConstantPair extends Pair {
  /** Axis of its scales; null for one scale. */
  readonly axis: number | null;
}

export interface WithoutPairs {
  readonly graph: Graph;
  readonly activations: readonly Pair[];
  readonly constants: readonly ConstantPair[];
}

/** How the integers of a value stand for it. */
interface Integers {
  readonly real: Value;
  readonly scale: number;
  readonly zeroPoint: number;
  readonly low: number;
  readonly high: number;
  readonly node: Node;
}

/**
 * The graph in real numbers: `DequantizeLinear(QuantizeLinear(x)) = x`, and of constant integers the numbers that they stand for.
 * Between the two integers may be clipped, which becomes a Clip, and moved.
 *
 * @param spelled names of values whose rounding stays: `s clip(round(x / s), qmin - z, qmax - z)` in float operators, the same numbers
 * @throws QdgError `unsupported-op` naming the node: integers of more than 8 bits or that something else reads, scales by channel or
 * computed, a value that is read with and without its rounding, or rounded in two ways
 */
export function withoutPairs(source: Graph, spelled: ReadonlySet<string>): WithoutPairs {
  return new Taking(cloneGraph(source), spelled).run();
}

class Taking {
  readonly #graph: Graph;
  readonly #spelled: ReadonlySet<string>;
  readonly #nodes: Node[] = [];
  readonly #integers = new Map<Value, Integers>();
  readonly #replaced = new Map<Value, Value>();
  readonly #rounded = new Map<string, Value>();
  readonly #activations = new Map<string, Pair>();
  readonly #constants: ConstantPair[] = [];
  /** Nodes but QuantizeLinear, by what they read in the file. */
  readonly #plainReaders = new Map<Value, Node>();
  /** Values with a quantizer, and the node that says so. */
  readonly #noted = new Map<Value, string>();

  constructor(graph: Graph, spelled: ReadonlySet<string>) {
    this.#graph = graph;
    this.#spelled = spelled;
  }

  run(): WithoutPairs {
    const outputs = new Set(this.#graph.outputs);
    for (const node of this.#graph.nodes) {
      if (node.op !== "QuantizeLinear") {
        for (const input of node.inputs) if (input) this.#plainReaders.set(input, node);
      }
      node.inputs = node.inputs.map((input) => input && (this.#replaced.get(input) ?? input));
      this.#take(node, outputs);
    }
    this.#graph.nodes = this.#nodes;
    removeDeadNodes(this.#graph);
    for (const [real, origin] of this.#noted) this.#checkReaders(real, origin);
    return {
      graph: this.#graph,
      activations: [...this.#activations.values()],
      constants: this.#constants,
    };
  }

  #take(node: Node, outputs: ReadonlySet<Value>): void {
    const [x] = node.inputs;
    const integers = x && this.#integers.get(x);
    if (node.op === "QuantizeLinear" && x && !x.constant) {
      this.#integers.set(outputOf(node), this.#quantized(node, x));
    } else if (node.op === "DequantizeLinear" && x?.constant) {
      this.#constant(node, x.constant);
    } else if (integers && node.op === "DequantizeLinear") {
      this.#pass(node, this.#rounding(node, integers), outputs);
    } else if (integers && node.op === "Clip") {
      this.#integers.set(outputOf(node), clipped(node, integers));
    } else if (integers && kindOf(node) === "rearranging" && node.op !== "Pad") {
      this.#move(node, integers);
    } else {
      const read = node.inputs.find((input) => input && this.#integers.has(input));
      if (read) {
        fail(
          node,
          `reads the integers of ${this.#integers.get(read)?.real.name}, expected DequantizeLinear between`,
        );
      }
      this.#nodes.push(node);
    }
  }

  #quantized(node: Node, real: Value): Integers {
    const { dtype } = outputOf(node);
    const range = RANGE_BY_DTYPE[dtype];
    if (!range || range[1] - range[0] >= 2 ** MAX_BITS)
      return fail(node, `gives ${dtype}, expected integers of ${MIN_BITS} to ${MAX_BITS} bits`);
    return { real, ...parametersOf(node), low: range[0], high: range[1], node };
  }

  /** What moves integers moves the numbers that they stand for. */
  #move(node: Node, integers: Integers): void {
    const { dtype: _, ...rest } = outputOf(node);
    const real: Value = { ...rest, dtype: "float32" };
    const moved: Node = {
      ...node,
      inputs: [this.#rounding(node, integers), ...node.inputs.slice(1)],
      outputs: [real],
    };
    real.producer = moved;
    this.#nodes.push(moved);
    this.#rounded.set(keyOf({ ...integers, real }), real);
    this.#integers.set(outputOf(node), { ...integers, real });
  }

  /** The value that rounded numbers are read from: the value itself where a quantizer is to stand there. */
  #rounding(reader: Node, integers: Integers): Value {
    const { real, node } = integers;
    if (reader.op === "DequantizeLinear") {
      const own = parametersOf(reader);
      if (own.scale !== integers.scale || own.zeroPoint !== integers.zeroPoint) {
        fail(
          reader,
          `has scale ${own.scale} and zero point ${own.zeroPoint}, expected those of ${node.origin}: ${integers.scale} and ${integers.zeroPoint}`,
        );
      }
    }
    const key = keyOf(integers);
    const known = this.#rounded.get(key);
    if (known) return known;
    const value = this.#spelled.has(real.name) ? this.#spell(integers) : this.#note(integers);
    this.#rounded.set(key, value);
    return value;
  }

  #note(integers: Integers): Value {
    const { real, node, scale, zeroPoint, low, high } = integers;
    const signed = low < 0;
    const bits = bitsFor(low, high);
    const [qmin, qmax] = signed ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1];
    let value = real;
    if (low !== qmin || high !== qmax) {
      const bound = (q: number, name: string): Value =>
        this.#number(`${real.name}/${name}`, (q - zeroPoint) * scale);
      const limits = [bound(low, "low"), bound(high, "high")];
      value = this.#add(node, "Clip", [real, ...limits], `${real.name}/clipped`);
    }
    const quantizer: LearnedQuantizer = {
      bits,
      signed,
      scale: Float32Array.of(scale),
      ...(zeroPoint === 0 ? {} : { zeroPoint: Int32Array.of(zeroPoint) }),
    };
    const before = this.#noted.get(real);
    if (before !== undefined)
      fail(node, `rounds ${real.name} otherwise than ${before} does, expected one quantizer of a value`);
    this.#noted.set(real, node.origin);
    this.#activations.set(value.name, { name: value.name, origin: node.origin, quantizer });
    return value;
  }

  #spell({ real, node, scale, zeroPoint, low, high }: Integers): Value {
    const name = (what: string): string => `${real.name}/${what}`;
    const step = this.#number(name("scale"), scale);
    const ratio = this.#add(node, "Div", [real, step], name("steps"));
    const whole = this.#add(node, "Round", [ratio], name("whole"));
    const limits = [this.#number(name("low"), low - zeroPoint), this.#number(name("high"), high - zeroPoint)];
    const within = this.#add(node, "Clip", [whole, ...limits], name("within"));
    return this.#add(node, "Mul", [within, step], name("rounded"));
  }

  #add(like: Node, op: string, inputs: readonly Value[], name: string): Value {
    const value: Value = { name, dtype: "float32", shape: inputs[0]?.shape ?? [] };
    const node: Node = {
      op,
      domain: "",
      attributes: {},
      inputs: [...inputs],
      outputs: [value],
      origin: like.origin,
    };
    value.producer = node;
    this.#nodes.push(node);
    return value;
  }

  #number(name: string, x: number): Value {
    const constant = float32([], [Math.fround(x)]);
    return { name, dtype: "float32", shape: [], constant };
  }

  /** An output of the graph keeps its name. */
  #pass(node: Node, value: Value, outputs: ReadonlySet<Value>): void {
    const output = outputOf(node);
    if (!outputs.has(output)) return void this.#replaced.set(output, value);
    const identity: Node = { ...node, op: "Identity", attributes: {}, inputs: [value], outputs: [output] };
    output.producer = identity;
    this.#nodes.push(identity);
  }

  #constant(node: Node, integers: Tensor): void {
    const scale = node.inputs[1]?.constant;
    const zero = node.inputs[2];
    if (!scale || (zero && !zero.constant))
      return fail(node, "has a computed scale or zero point, expected constants");
    const inputs = node.inputs.map((input) => input?.constant ?? null);
    const [constant] = kernelOf(node, ALL_OPERATORS)({ node, inputs });
    const value: Value = { ...outputOf(node), shape: constant?.shape ?? [], ...(constant && { constant }) };
    delete value.producer;
    this.#replaced.set(outputOf(node), value);
    const range = RANGE_BY_DTYPE[integers.dtype];
    // Biases, and what no quantizer of ours holds: numbers like any other.
    if (!range || range[1] - range[0] >= 2 ** MAX_BITS) return;
    // Unsigned integers around their middle are signed ones around 0.
    const middle = range[0] < 0 ? 0 : (range[1] + 1) / 2;
    const zeros = Array.from((zero?.constant?.data ?? [0]) as ArrayLike<number>, (z) => z - middle);
    let [low, high] = [-1, 0];
    for (const q of integers.data as ArrayLike<number> & Iterable<number>) {
      low = Math.min(low, q - middle);
      high = Math.max(high, q - middle);
    }
    const axis = (node.attributes["axis"] as number | undefined) ?? 1;
    this.#constants.push({
      name: value.name,
      origin: node.origin,
      axis: scale.data.length === 1 ? null : axis < 0 ? axis + integers.shape.length : axis,
      quantizer: {
        bits: bitsFor(low, high),
        signed: true,
        scale: Float32Array.from(scale.data as Float32Array),
        ...(zeros.every((z) => z === 0) ? {} : { zeroPoint: Int32Array.from(zeros) }),
      },
    });
  }

  /** @throws QdgError where a value with a quantizer is read otherwise too: what reads it would be given integers */
  #checkReaders(real: Value, origin: string): void {
    const reader = this.#plainReaders.get(real);
    if (!reader) return;
    fail(
      reader,
      `reads ${real.name} without the rounding of ${origin}, expected all that read it to read it rounded`,
    );
  }
}

function clipped(node: Node, integers: Integers): Integers {
  const bound = (index: number, otherwise: number): number => {
    const input = node.inputs[index];
    if (!input) return otherwise;
    if (!input.constant) return fail(node, "has a computed bound, expected a constant");
    return Number(input.constant.data[0]);
  };
  const low = Math.max(integers.low, bound(1, integers.low));
  return { ...integers, low, high: Math.min(integers.high, bound(2, integers.high)) };
}

function parametersOf(node: Node): { readonly scale: number; readonly zeroPoint: number } {
  const scale = inputOf(node, 1).constant;
  const zero = node.inputs[2];
  if (!scale || (zero && !zero.constant))
    return fail(node, "has a computed scale or zero point, expected constants");
  if (scale.data.length !== 1) {
    return fail(node, `has ${scale.data.length} scales, expected one for the whole activation`);
  }
  return { scale: Number(scale.data[0]), zeroPoint: Number(zero?.constant?.data[0] ?? 0) };
}

/** The fewest that hold both. */
function bitsFor(low: number, high: number): number {
  for (let bits = MIN_BITS; bits < MAX_BITS; bits++) {
    const [qmin, qmax] = low < 0 ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1];
    if (low >= qmin && high <= qmax) return bits;
  }
  return MAX_BITS;
}

function keyOf({ real, scale, zeroPoint, low, high }: Integers): string {
  return `${scale} ${zeroPoint} ${low} ${high} ${real.name}`;
}

function fail(node: Node, what: string): never {
  throw new QdgError(
    "unsupported-op",
    `${node.origin} (${node.op})`,
    `${what}; give the float model that the file was made from, with --bits`,
  );
}
