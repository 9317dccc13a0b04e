// What was asked of bits in vain: a rule without a quantizer to set, or outvoted where several values share one. Says so
// in words, and changes nothing.

import type { Placement } from "./place-quantizers.js";
import { bitsOf, isMatch, type Recipe, type RecipeRule } from "./recipe.js";

export interface EffectOptions {
  /** No activation is quantized, and rules of theirs are not missed. */
  readonly weightsOnly: boolean;
  /** Bits are as they were learned: that no inner layer is there to compare with changes nothing. */
  readonly learned: boolean;
}

/** Names of layers that a message lists before it counts. */
const NAMED = 3;

/**
 * One line for each rule that was asked for and sets nothing, and one for the layers that share a quantizer of more bits
 * than they were asked to have.
 *
 * @param placements of the recipe
 */
export function vainBits(
  recipe: Recipe,
  placements: readonly Placement[],
  { weightsOnly, learned }: EffectOptions,
): string[] {
  const kinds = [
    { key: "weightBits", role: "weight", what: "weight" },
    { key: "activationBits", role: "activation", what: "activation" },
  ] as const;
  const lines: string[] = [];
  for (const rule of recipe.rules) {
    if (rule.default) continue;
    const asked = kinds.filter(({ key }) => rule[key] !== undefined);
    const vain = asked.filter(({ role }) => !isEffective(rule, role, placements));
    if ("role" in rule.match) {
      if (rule.match.role !== "inner" || learned) continue;
      for (const { role, key } of vain) {
        if (role === "activation" && weightsOnly) continue;
        const line = withoutInner(rule[key] as number, role, placements);
        if (line) lines.push(line);
      }
      continue;
    }
    // One number for both kinds asks for whatever is there.
    if (rule.weightBits === rule.activationBits && vain.length < asked.length) continue;
    const missed = vain.filter(({ role }) => role === "weight" || !weightsOnly);
    if (missed.length === 0) continue;
    const what = missed.map((each) => each.what).join(" or ");
    const bits = rule[(missed[0] as (typeof kinds)[number]).key];
    lines.push(
      `${rule.match.layer}: ${bits} ${what} bits have no effect, since no ${what} quantizer stands there; leave them out, or name the layer that has one`,
    );
  }
  return weightsOnly ? lines : [...lines, ...outvoted(recipe, placements)];
}

function isEffective(rule: RecipeRule, role: Placement["role"], placements: readonly Placement[]): boolean {
  return placements.some(
    (placement) =>
      placement.role === role && placement.subjects.some((subject) => isMatch(rule.match, subject)),
  );
}

/** null where every quantizer of the role has these bits, or what another rule asked for. */
function withoutInner(
  bits: number,
  role: Placement["role"],
  placements: readonly Placement[],
): string | null {
  const others = placements.filter(
    (placement) =>
      placement.role === role && placement.subjects.every(({ roles }) => !roles.includes("batch-norm")),
  );
  if (others.every(({ asked, spec }) => asked || spec.bits === bits)) return null;
  const kept = [...new Set(others.map(({ spec }) => spec.bits))].join(" or ");
  const [option, which] =
    role === "weight"
      ? ["--bits", `all ${others.length} weighted layers are first or last`]
      : ["--activation-bits", "all activations enter the network, a last layer or an activation function"];
  return `${option} ${bits} changes nothing: ${which}, with ${kept} bits; --first-last-bits sets theirs, --layer-bits those of single layers`;
}

function outvoted(recipe: Recipe, placements: readonly Placement[]): string[] {
  const found: string[] = [];
  for (const { role, subjects, spec } of placements) {
    if (role !== "activation") continue;
    for (const subject of subjects) {
      const { bits, rule } = bitsOf(recipe, subject, "activationBits");
      if ("layer" in rule.match && !rule.default && bits < spec.bits) {
        found.push(`${subject.layers[0] ?? ""} (${bits} asked for, ${spec.bits} taken)`);
      }
    }
  }
  if (found.length === 0) return [];
  const more = found.length > NAMED ? ` and ${found.length - NAMED} more` : "";
  return [
    `${found.slice(0, NAMED).join(", ")}${more}: of activations that share a quantizer the most bits win; give all of them the same`,
  ];
}
