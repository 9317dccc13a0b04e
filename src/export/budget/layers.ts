// Which layers a budget may give bits to, and a recipe with the bits that they got.

import type { Graph } from "../../graph/graph.js";
import { kindOf } from "../../graph/node-kinds.js";
import { quantizerSites } from "../../graph/place-quantizers.js";
import { bitsOf, type Recipe } from "../../graph/recipe.js";
import { sizeOf } from "../../base/tensor.js";

/** A layer that has one number of bits for all its weights. */
export interface FreeLayer {
  readonly layer: string;
  /** Elements of each weight. */
  readonly sizes: readonly number[];
  /** Of its nodes in the graph, rising. */
  readonly nodes: readonly number[];
  /** Neither first nor last. */
  readonly isInner: boolean;
}

/**
 * Layers with weights of whose bits nobody said anything, in the order of the graph. Batch normalization that could not
 * fold is none: it has a number a channel.
 *
 * @param graph after QUANTIZED_PASSES
 * @param recipe of what was asked; its default rule does not count
 */
export function freeLayers(graph: Graph, recipe: Recipe): FreeLayer[] {
  const nodesOf = new Map<string, number[]>();
  for (const [index, node] of graph.nodes.entries()) {
    const kind = kindOf(node);
    if (kind === "weighted" || kind === "lookup")
      nodesOf.set(node.origin, [...(nodesOf.get(node.origin) ?? []), index]);
  }
  const layers = new Map<string, FreeLayer>();
  const fixed = new Set<string>();
  for (const { role, subjects, layer, values } of quantizerSites(graph)) {
    const [subject] = subjects;
    if (role !== "weight" || !subject) continue;
    const isFixed =
      subject.roles.includes("batch-norm") || bitsOf(recipe, subject, "weightBits").rule.default !== true;
    if (isFixed) fixed.add(layer);
    const known = layers.get(layer);
    layers.set(layer, {
      layer,
      sizes: [...(known?.sizes ?? []), ...values.map(({ constant }) => sizeOf(constant?.shape ?? []))],
      nodes: nodesOf.get(layer) ?? [],
      isInner: (known?.isInner ?? true) && subject.roles.includes("inner"),
    });
  }
  return [...layers.values()].filter(({ layer }) => !fixed.has(layer));
}

/** The recipe with a rule for each layer behind all others: they win, and say nothing of activations. */
export function withBits(recipe: Recipe, chosen: ReadonlyMap<string, number>): Recipe {
  // A name that holds a * is a pattern too: plain names stand behind it.
  const entries = [...chosen].sort(([a], [b]) => Number(isPattern(b)) - Number(isPattern(a)));
  const rules = entries.map(([layer, weightBits]) => ({ match: { layer }, weightBits }));
  return { ...recipe, rules: [...recipe.rules, ...rules] };
}

function isPattern(layer: string): boolean {
  return layer.includes("*");
}
