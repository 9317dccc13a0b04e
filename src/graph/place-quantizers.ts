// Decides where quantizers stand and which of them share a scale. Training and export both call this one
// function, so that training evaluates the very integers that every file computes.

import { activationSpec, type QuantSpec, weightSpec } from "../quant/spec.js";
import type { Graph, Node, Value } from "./graph.js";
import { consumers, inputOf, outputOf } from "./graph.js";
import { integerSources, residualValues } from "./integer-sources.js";
import {
  activationInputs,
  floatTail,
  isNonNegative,
  isScaling,
  kindOf,
  onlyRectifier,
  REQUANTIZE,
} from "./node-kinds.js";
import { outputChannelAxis } from "./passes/fold-batch-norm.js";
import { bitsOf, checkRecipe, type LayerRole, type Recipe, type Subject } from "./recipe.js";

/** Where one quantizer stands, whatever its bits: a scale (or one a channel) for all of `values`. */
export interface QuantizerSite {
  readonly role: "weight" | "activation";
  /**
   * The names a learned scale may be given under: of `values`, of what only moves their integers (a pooling
   * layer's output is the reshaped mean), and of a weight without the "@..." of its copies.
   */
  readonly ids: readonly string[];
  /** Activations that share the quantizer, or the one weight (and its copies of a shared layer). */
  readonly values: readonly Value[];
  /** What rules of a recipe match: one for each activation, one for a weight. */
  readonly subjects: readonly Subject[];
  /** Of a weight's scales; null for one scale. */
  readonly axis: number | null;
  readonly isNonNegative: boolean;
  /** The layer that messages name. */
  readonly layer: string;
}

/** One quantizer with what it is asked to be. */
export interface Placement extends QuantizerSite {
  readonly spec: QuantSpec;
  /** Whether its bits were asked for; else they are a default. */
  readonly asked: boolean;
}

/**
 * The rules, for the nodes before the float tail:
 * 1. Every weight is quantized: per output channel, per tensor for an Embedding's table.
 * 2. A computed value is quantized, after the rectifier that alone reads it, if there is one.
 * 3. A value that only moves (reshape, transpose, max pooling) keeps the integers of its source.
 * 4. Operands of Add, Maximum, Minimum, Average and Concatenate share one quantizer; the results of all
 *    but Add and Average share it too.
 * 5. Bits: as the recipe says. Of values that share a quantizer the most bits win.
 * 6. Unsigned for values that are never negative.
 * 7. Requantize: a quantizer of its own where it has fewer bits than what it reads, or was learned; else that of
 *    what it reads.
 *
 * @param learned names of quantizers that training left
 * @returns weights in the order of the nodes, then activations in the order of their first value
 * @throws QdgError `invalid-quantization` for bits out of range or a layer that is not there
 */
export function placeQuantizers(
  graph: Graph,
  recipe: Recipe,
  learned: Pick<ReadonlySet<string>, "has"> | null = null,
): Placement[] {
  checkRecipe(
    recipe,
    new Set([...graph.nodes.map(({ origin }) => origin), ...graph.inputs.map(({ name }) => name)]),
  );
  return withoutVainCopies(
    graph,
    quantizerSites(graph).map((site) => placed(site, recipe)),
    learned,
  );
}

/** Rule 7. */
function withoutVainCopies(
  graph: Graph,
  placements: readonly Placement[],
  learned: Pick<ReadonlySet<string>, "has"> | null,
): Placement[] {
  const values = new Map(placements.map((placement) => [placement, [...placement.values]]));
  for (const [copy, source] of copiedSites(graph, placements)) {
    if (standsAlone(copy, source, learned)) continue;
    values.get(source)?.push(...copy.values);
    values.delete(copy);
  }
  return [...values].map(([placement, all]) => ({ ...placement, values: all }));
}

/** Of each site of a copy (Requantize): the site of what it reads. */
export function copiedSites<S extends QuantizerSite>(graph: Graph, sites: readonly S[]): ReadonlyMap<S, S> {
  const sources = integerSources(graph);
  const siteOf = new Map(sites.flatMap((site) => site.values.map((value) => [value, site] as const)));
  return new Map(
    sites.flatMap((site) => {
      const { producer } = site.values[0] as Value;
      const read = producer?.op === REQUANTIZE ? inputOf(producer, 0) : null;
      const source = read && siteOf.get(sources.get(read) ?? read);
      return source ? [[site, source] as const] : [];
    }),
  );
}

function standsAlone(
  copy: Placement,
  source: Placement,
  learned: Pick<ReadonlySet<string>, "has"> | null,
): boolean {
  const isLearned = ({ ids }: Placement): boolean => ids.some((id) => learned?.has(id));
  return isLearned(copy) || (!isLearned(source) && copy.spec.bits < source.spec.bits);
}

function placed(site: QuantizerSite, recipe: Recipe): Placement {
  const kind = site.role === "weight" ? "weightBits" : "activationBits";
  const all = site.subjects.map((subject) => ({ subject, ...bitsOf(recipe, subject, kind) }));
  // What nobody asked of a residual does not outvote what was asked of one by its name.
  const isNamed = all.some(({ rule }) => "layer" in rule.match && rule.default !== true);
  const chosen = all.filter(
    ({ subject, rule }) => !isNamed || rule.default !== true || !subject.roles.includes("residual"),
  );
  const bits = Math.max(...chosen.map((each) => each.bits));
  const range = site.isNonNegative ? "non-negative" : recipe.signedActivations;
  const spec = site.role === "weight" ? weightSpec(bits, site.axis) : activationSpec(bits, range);
  return { ...site, spec, asked: chosen.some((each) => each.rule.default !== true && each.bits === bits) };
}

/** Rules 1 to 4 of {@link placeQuantizers}: where quantizers stand, the same for every recipe. */
export function quantizerSites(graph: Graph): QuantizerSite[] {
  const tail = floatTail(graph);
  const weighted = graph.nodes.filter((node) => kindOf(node) === "weighted" || kindOf(node) === "lookup");
  const sums = new Set(weighted.filter((node) => !isScaling(node)));
  const first = firstOf(graph, sums);
  const last = lastOf(graph, sums);
  return [...weightSites(weighted, first, last), ...activationSites(graph, tail, last)];
}

function weightSites(
  weighted: readonly Node[],
  first: ReadonlySet<Node>,
  last: ReadonlySet<Node>,
): QuantizerSite[] {
  const byId = new Map<string, QuantizerSite & { values: Value[] }>();
  for (const node of weighted) {
    const lookup = kindOf(node) === "lookup";
    const weight = inputOf(node, lookup ? 0 : 1);
    const id = idOf(weight);
    const known = byId.get(id);
    if (known) {
      if (!known.values.includes(weight)) known.values.push(weight);
      continue;
    }
    const outer: LayerRole[] = [
      ...(first.has(node) ? (["first"] as const) : []),
      ...(last.has(node) ? (["last"] as const) : []),
    ];
    const roles: LayerRole[] = isScaling(node) ? ["batch-norm"] : outer.length > 0 ? outer : ["inner"];
    byId.set(id, {
      role: "weight",
      ids: [id],
      values: [weight],
      subjects: [{ layers: [node.origin], roles }],
      axis: lookup ? null : outputChannelAxis(node),
      isNonNegative: false,
      layer: node.origin,
    });
  }
  return [...byId.values()];
}

function activationSites(graph: Graph, tail: ReadonlySet<Node>, last: ReadonlySet<Node>): QuantizerSite[] {
  const uses = consumers(graph);
  const sources = integerSources(graph);
  const sourceOf = (value: Value): Value => sources.get(value) ?? value;
  const readersOf = new Map<Value, Node[]>();
  for (const [value, readers] of uses) {
    const source = sourceOf(value);
    readersOf.set(source, [
      ...(readersOf.get(source) ?? []),
      ...readers.filter((reader) => kindOf(reader) !== "rearranging"),
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
  const residual = residualValues(graph);
  const members = new Map<Value, Value[]>();
  for (const value of quantized) {
    const root = group.rootOf(value);
    const list = members.get(root);
    if (list) list.push(value);
    else members.set(root, [value]);
  }
  return [...members.values()].map((values) => {
    const [lead] = values as [Value];
    return {
      role: "activation",
      ids: values.flatMap((value) => [idOf(value), ...(aliases.get(value) ?? []).map(idOf)]),
      values,
      subjects: values.map((value) =>
        activationSubject(value, activationRole(value, readersOf.get(value) ?? [], last, residual)),
      ),
      axis: null,
      isNonNegative: values.every((value) => nonNegative.has(value)),
      layer: lead.producer?.origin ?? lead.name,
    };
  });
}

/** Known by the layer that gives the value and, where a rectifier does, by the layer that it rectifies. */
function activationSubject(value: Value, role: LayerRole): Subject {
  const { producer } = value;
  const rectified = producer && kindOf(producer) === "rectifier" ? inputOf(producer, 0).producer : undefined;
  return {
    layers: [producer?.origin ?? value.name, ...(rectified ? [rectified.origin] : [])],
    roles: [role],
  };
}

function activationRole(
  value: Value,
  readers: readonly Node[],
  last: ReadonlySet<Node>,
  residual: ReadonlySet<Value>,
): LayerRole {
  if (readers.length > 0 && readers.every(isFunction)) return "before-activation";
  if (!value.producer) return "first";
  if (residual.has(value)) return "residual";
  return readers.some((reader) => last.has(reader)) ? "last" : "inner";
}

function isFunction(node: Node): boolean {
  return kindOf(node) === "unary" || kindOf(node) === "float";
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
