// Decides where quantizers stand and which of them share a scale. Training and export both call this one
// function, so that training evaluates the very integers that every file computes.

import { QdgError } from "../base/error.js";
import { activationSpec, checkBits, type QuantSpec, weightSpec } from "../quant/spec.js";
import type { Graph, Node, Value } from "./graph.js";
import { consumers, inputOf, outputOf } from "./graph.js";
import {
  activationInputs,
  floatTail,
  isDepthwise,
  isNonNegative,
  kindOf,
  onlyRectifier,
} from "./node-kinds.js";
import { outputChannelAxis } from "./passes/fold-batch-norm.js";

export interface LayerBits {
  readonly weightBits?: number;
  readonly activationBits?: number;
}

/** What the user asked for. `layers` is by layer name and wins over the rest. */
export interface QuantizationConfig {
  readonly weightBits: number;
  readonly activationBits: number;
  /** Weights of the first and last weighted layers, and the activations that enter them. */
  readonly firstLastBits: number;
  readonly layers?: Readonly<Record<string, LayerBits>>;
  /** How a value that can be negative is held. */
  readonly signedActivations: "asymmetric" | "signed";
}

/** One quantizer: a scale (or one a channel) for all of `values`. */
export interface Placement {
  readonly role: "weight" | "activation";
  /**
   * The names a learned scale may be given under: of `values`, of what only moves their integers (a pooling
   * layer's output is the reshaped mean), and of a weight without the "@..." of its copies.
   */
  readonly ids: readonly string[];
  /** Activations that share the quantizer, or the one weight (and its copies of a shared layer). */
  readonly values: readonly Value[];
  readonly spec: QuantSpec;
  /** The layer that messages name. */
  readonly layer: string;
}

/** Bits before an activation that is not a ReLU: the extra rounding must be fine. */
const PRE_ACTIVATION_BITS = 8;
/** Bits of batch normalization that runs by itself: its bias is held in steps of the input's over the weight. */
const SCALING_BITS = 8;

/**
 * The rules, for the nodes before the float tail:
 * 1. Every weight is quantized: per output channel, per tensor for an Embedding's table. Batch normalization
 *    that runs by itself takes 8 bits.
 * 2. A computed value is quantized, after the rectifier that alone reads it, if there is one.
 * 3. A value that only moves (reshape, transpose, max pooling) keeps the integers of its source.
 * 4. Operands of Add, Maximum, Minimum, Average and Concatenate share one quantizer; the results of all
 *    but Add and Average share it too.
 * 5. Bits: `firstLastBits` for the graph's input, what enters the last weighted layers, and the weights of
 *    both; 8 for a value that only activations other than ReLU, and float layers, read; else as asked. Of values that share
 *    a quantizer the most bits win.
 * 6. Unsigned for values that are never negative.
 *
 * @returns weights in the order of the nodes, then activations in the order of their first value
 * @throws QdgError `invalid-quantization` for bits out of range or a layer that is not there
 */
export function placeQuantizers(graph: Graph, config: QuantizationConfig): Placement[] {
  checkConfig(graph, config);
  const tail = floatTail(graph);
  const weighted = graph.nodes.filter((node) => kindOf(node) === "weighted" || kindOf(node) === "lookup");
  const sums = new Set(weighted.filter((node) => !isScaling(node)));
  const last = lastOf(graph, sums);
  const outer = new Set([...firstOf(graph, sums), ...last]);
  return [...placeWeights(weighted, config, outer), ...placeActivations(graph, config, tail, last)];
}

function placeWeights(
  weighted: readonly Node[],
  config: QuantizationConfig,
  outer: ReadonlySet<Node>,
): Placement[] {
  const byId = new Map<string, Placement & { values: Value[] }>();
  for (const node of weighted) {
    const lookup = kindOf(node) === "lookup";
    const weight = inputOf(node, lookup ? 0 : 1);
    const id = idOf(weight);
    const known = byId.get(id);
    if (known) {
      if (!known.values.includes(weight)) known.values.push(weight);
      continue;
    }
    const asked = config.layers?.[node.origin]?.weightBits;
    const bits =
      asked ?? (isScaling(node) ? SCALING_BITS : outer.has(node) ? config.firstLastBits : config.weightBits);
    const spec = weightSpec(bits, lookup ? null : outputChannelAxis(node));
    byId.set(id, { role: "weight", ids: [id], values: [weight], spec, layer: node.origin });
  }
  return [...byId.values()];
}

/** A depthwise convolution of one element a channel: batch normalization that could not fold. */
function isScaling(node: Node): boolean {
  return (
    isDepthwise(node) &&
    inputOf(node, 1)
      .shape.slice(2)
      .every((dim) => dim === 1)
  );
}

function placeActivations(
  graph: Graph,
  config: QuantizationConfig,
  tail: ReadonlySet<Node>,
  last: ReadonlySet<Node>,
): Placement[] {
  const uses = consumers(graph);
  const sources = integerSources(graph);
  const sourceOf = (value: Value): Value => sources.get(value) ?? value;
  const readersOf = new Map<Value, Node[]>();
  for (const [value, readers] of uses) {
    const source = sourceOf(value);
    readersOf.set(source, [
      ...(readersOf.get(source) ?? []),
      ...readers.filter((reader) => !isMoving(reader)),
    ]);
  }
  const group = new DisjointSets<Value>();
  const quantized: Value[] = [];
  const consider = (value: Value): void => {
    if (value.constant || value.dtype !== "float32" || sourceOf(value) !== value) return;
    if (onlyRectifier(graph, uses, value)) return;
    const readers = readersOf.get(value) ?? [];
    if (!readers.some((reader) => !tail.has(reader) && kindOf(reader) !== "lookup")) return;
    const produced = value.producer ? kindOf(value.producer) : "float";
    if (produced === "float" && readers.every((reader) => kindOf(reader) === "float")) return;
    quantized.push(value);
  };
  graph.inputs.forEach(consider);
  for (const node of graph.nodes) node.outputs.forEach(consider);

  const isQuantized = new Set(quantized);
  for (const node of graph.nodes) {
    const kind = kindOf(node);
    if (tail.has(node) || (kind !== "same-scale" && kind !== "shared-operands")) continue;
    const operands = activationInputs(node).map(sourceOf);
    const members = kind === "same-scale" ? [...operands, sourceOf(outputOf(node))] : operands;
    const present = members.filter((member) => isQuantized.has(member));
    present.forEach((member) => group.join(present[0] as Value, member));
  }

  const aliases = new Map<Value, Value[]>();
  for (const [moved, source] of sources) aliases.set(source, [...(aliases.get(source) ?? []), moved]);
  const nonNegative = nonNegativeValues(graph);
  const members = new Map<Value, Value[]>();
  for (const value of quantized) {
    const root = group.rootOf(value);
    const list = members.get(root);
    if (list) list.push(value);
    else members.set(root, [value]);
  }
  return [...members.values()].map((values) => {
    const bits = Math.max(
      ...values.map((value) => activationBits(value, readersOf.get(value) ?? [], config, last)),
    );
    const range = values.every((value) => nonNegative.has(value)) ? "non-negative" : config.signedActivations;
    const [lead] = values as [Value];
    return {
      role: "activation",
      ids: values.flatMap((value) => [idOf(value), ...(aliases.get(value) ?? []).map(idOf)]),
      values,
      spec: activationSpec(bits, range),
      layer: lead.producer?.origin ?? lead.name,
    };
  });
}

function activationBits(
  value: Value,
  readers: readonly Node[],
  config: QuantizationConfig,
  last: ReadonlySet<Node>,
): number {
  const asked = askedActivationBits(value, config);
  if (asked !== undefined) return asked;
  if (readers.length > 0 && readers.every(isFunction)) return PRE_ACTIVATION_BITS;
  if (!value.producer || readers.some((reader) => last.has(reader))) return config.firstLastBits;
  return config.activationBits;
}

/** Of the layer that gives the value or, where a rectifier does, of the layer that it rectifies. */
function askedActivationBits(value: Value, { layers = {} }: QuantizationConfig): number | undefined {
  const { producer } = value;
  const asked = layers[producer?.origin ?? value.name]?.activationBits;
  if (asked !== undefined || !producer || kindOf(producer) !== "rectifier") return asked;
  const rectified = inputOf(producer, 0).producer;
  return rectified && layers[rectified.origin]?.activationBits;
}

function isFunction(node: Node): boolean {
  return kindOf(node) === "unary" || kindOf(node) === "float";
}

/** A layer whose result holds the integers of its input. Concat and its like compute, then share a scale. */
function isMoving(node: Node): boolean {
  return kindOf(node) === "rearranging";
}

/** For each value that only moves integers, the value that they come from. */
export function integerSources(graph: Graph): Map<Value, Value> {
  const sources = new Map<Value, Value>();
  for (const node of graph.nodes) {
    if (!isMoving(node)) continue;
    const input = inputOf(node, 0);
    for (const output of node.outputs) sources.set(output, sources.get(input) ?? input);
  }
  return sources;
}

/** Values that are never below 0, whatever the input. */
export function nonNegativeValues(graph: Graph): Set<Value> {
  const found = new Set<Value>();
  for (const node of graph.nodes) {
    if (isNonNegative(node, (value) => found.has(value))) node.outputs.forEach((output) => found.add(output));
  }
  return found;
}

/** The name a quantizer is known by: copies of a shared weight ("conv/kernel@bn_2") are one. Layers may hold "@". */
function idOf(value: Value): string {
  const [, original] = (value.constant && /^(.+?\/\w+)@/.exec(value.name)) || [];
  return original ?? value.name;
}

/** Weighted nodes that no other weighted node comes before. */
function firstOf(graph: Graph, weighted: ReadonlySet<Node>): Set<Node> {
  const first = new Set<Node>();
  const later = new Set<Value>();
  for (const node of graph.nodes) {
    const isLater = node.inputs.some((input) => input !== null && later.has(input));
    if (weighted.has(node) && !isLater) first.add(node);
    if (weighted.has(node) || isLater) node.outputs.forEach((output) => later.add(output));
  }
  return first;
}

/** Weighted nodes that no other weighted node comes after. */
function lastOf(graph: Graph, weighted: ReadonlySet<Node>): Set<Node> {
  const last = new Set<Node>();
  const earlier = new Set<Value>();
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i] as Node;
    const isEarlier = node.outputs.some((output) => earlier.has(output));
    if (weighted.has(node) && !isEarlier) last.add(node);
    if (weighted.has(node) || isEarlier) node.inputs.forEach((input) => input && earlier.add(input));
  }
  return last;
}

function checkConfig(graph: Graph, config: QuantizationConfig): void {
  checkBits(config.weightBits, "weight bits");
  checkBits(config.activationBits, "activation bits");
  checkBits(config.firstLastBits, "first and last bits");
  const origins = new Set([
    ...graph.nodes.map((node) => node.origin),
    ...graph.inputs.map((input) => input.name),
  ]);
  for (const [layer, bits] of Object.entries(config.layers ?? {})) {
    if (!origins.has(layer)) {
      throw new QdgError(
        "invalid-quantization",
        layer,
        `bits are given for a layer that the model lacks; its layers are ${[...origins].slice(0, 8).join(", ")}...`,
      );
    }
    if (bits.weightBits !== undefined) checkBits(bits.weightBits, `${layer} weightBits`);
    if (bits.activationBits !== undefined) checkBits(bits.activationBits, `${layer} activationBits`);
  }
}

/** Elements in sets that can be joined (union-find without ranks: sets are small). */
class DisjointSets<T> {
  readonly #parents = new Map<T, T>();

  rootOf(element: T): T {
    let root = element;
    for (let parent = this.#parents.get(root); parent !== undefined; parent = this.#parents.get(root))
      root = parent;
    return root;
  }

  join(a: T, b: T): void {
    const rootA = this.rootOf(a);
    const rootB = this.rootOf(b);
    if (rootA !== rootB) this.#parents.set(rootB, rootA);
  }
}
