// Which activations a mean may give bits to, how many elements each has, and the layers' bits as options say them.

import type { Graph } from "../../graph/graph.js";
import { type QuantizerSite, quantizerSites } from "../../graph/place-quantizers.js";
import { bitsOf, isMatch, type LayerBits, type Recipe } from "../../graph/recipe.js";
import type { Samples } from "../samples.js";
import { firstOf, judgedInFloat } from "./sensitivities.js";

/** Activations that get the same bits: they share a quantizer, or the name of a layer, by which rules know them. */
export interface FreeActivations {
  readonly values: readonly { readonly layer: string; readonly name: string }[];
  /** Index of the first node that gives one of them. */
  readonly from: number;
}

/**
 * Computed activations of whose bits nobody said anything, in the order of the graph. What enters the network is none.
 *
 * @param graph after QUANTIZED_PASSES
 * @param recipe of what was asked; its default rule does not count
 */
export function freeActivations(graph: Graph, recipe: Recipe): FreeActivations[] {
  const indexOf = new Map(graph.nodes.map((node, i) => [node, i]));
  return together(quantizerSites(graph).filter(({ role }) => role === "activation"))
    .filter((sites) => sites.every((site) => isFree(site, recipe)))
    .map((sites) => {
      const values = sites.flatMap((site) => site.values);
      return {
        values: sites.flatMap((site) =>
          site.values.map(({ name }, i) => ({ layer: layerOf(site, i), name })),
        ),
        from: Math.min(...values.map(({ producer }) => (producer && indexOf.get(producer)) ?? 0)),
      };
    });
}

function isFree({ values, subjects }: QuantizerSite, recipe: Recipe): boolean {
  const isDefault = subjects.every(
    (subject) => bitsOf(recipe, subject, "activationBits").rule.default === true,
  );
  return isDefault && values.every(({ producer }) => producer !== undefined);
}

/** The layer that gives the value: what a rule for it is matched with. */
function layerOf({ subjects, layer }: QuantizerSite, index: number): string {
  return subjects[index]?.layers[0] ?? layer;
}

/** Sites that a rule for a layer of one of them would speak of too, in one list. */
function together(sites: readonly QuantizerSite[]): QuantizerSite[][] {
  let groups: QuantizerSite[][] = [];
  for (const site of sites) {
    const joined = groups.filter((group) => group.some((other) => meets(site, other) || meets(other, site)));
    const rest = groups.filter((group) => !joined.includes(group));
    groups = [...rest, [...joined.flat(), site]];
  }
  // A group that others joined stands where its first site does.
  return groups.sort((a, b) => sites.indexOf(a[0] as QuantizerSite) - sites.indexOf(b[0] as QuantizerSite));
}

function meets(site: QuantizerSite, other: QuantizerSite): boolean {
  return site.values.some((_, i) => {
    const layer = layerOf(site, i);
    const isPattern = layer.includes("*");
    return other.subjects.some((subject) =>
      isPattern ? isMatch({ layer }, subject) : subject.layers.includes(layer),
    );
  });
}

/** Elements of each of the groups in one sample: of sizes that the model leaves open, those of the first sample. */
export async function elementsOf(
  float: Graph,
  groups: readonly FreeActivations[],
  samples: Samples,
): Promise<number[]> {
  const names = groups.flatMap(({ values }) => values.map(({ name }) => name));
  const [first = {}] = await judgedInFloat(float, names, firstOf(samples, 1));
  return groups.map(({ values }) => values.reduce((sum, { name }) => sum + (first[name]?.length ?? 0), 0));
}

/**
 * Bits by layer as options have them, with those that were chosen for activations.
 *
 * @param chosen bits of each of the groups
 */
export function withActivationBits(
  layers: Readonly<Record<string, LayerBits>>,
  groups: readonly FreeActivations[],
  chosen: readonly number[],
): Record<string, LayerBits> {
  const bits = groups.flatMap(({ values }, i) =>
    values.map(({ layer }) => [layer, chosen[i] as number] as const),
  );
  // A name that holds a * is a pattern too: plain names stand behind it.
  bits.sort(([a], [b]) => Number(b.includes("*")) - Number(a.includes("*")));
  const all: Record<string, LayerBits> = { ...layers };
  for (const [layer, activationBits] of bits) all[layer] = { ...all[layer], activationBits };
  return all;
}
