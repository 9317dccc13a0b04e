// What bits quantizers are asked to have, as ordered rules: plain data that can be stored. Where quantizers stand is
// place-quantizers.ts's, and what their scales are nobody's here.

import { QdgError } from "../base/error.js";
import { checkBits } from "../quant/spec.js";

/**
 * What a quantizer is to the network:
 * - `first`: weights of layers that no other weighted layer comes before, and the network's input;
 * - `last`: weights of layers that no other weighted layer comes after, and what enters them;
 * - `residual`: operands of Add and its like, which a chain of them rounds again and again;
 * - `before-activation`: values that only activation functions other than ReLU, and float layers, read;
 * - `batch-norm`: batch normalization that could not fold;
 * - `inner`: every other.
 */
export type LayerRole = "first" | "last" | "inner" | "residual" | "before-activation" | "batch-norm";

/** A layer by its name, in which `*` stands for any characters, or all quantizers of a role. */
export type Match = { readonly layer: string } | { readonly role: LayerRole };

export interface RecipeRule {
  readonly match: Match;
  /** Absent: the rule says nothing of weights. */
  readonly weightBits?: number;
  readonly activationBits?: number;
  /** Nobody asked for it, so learned scales need not agree with it. */
  readonly default?: true;
}

/** Of the rules that match a quantizer and speak of its kind, the last one wins. */
export interface Recipe {
  readonly rules: readonly RecipeRule[];
  /** How a value that can be negative is held. */
  readonly signedActivations: "asymmetric" | "signed";
}

export interface LayerBits {
  readonly weightBits?: number;
  readonly activationBits?: number;
}

/** What is asked of a network, by option. Absent: nothing is. */
export interface AskedBits {
  /** Of inner weights. */
  readonly weightBits?: number;
  /** Of inner activations. */
  readonly activationBits?: number;
  /** Of weights and activations of the roles `first` and `last`. */
  readonly firstLastBits?: number;
  /** By layer name or pattern, in order. */
  readonly layers?: Readonly<Record<string, LayerBits>>;
  readonly signedActivations?: Recipe["signedActivations"];
}

/** What a rule is matched with. */
export interface Subject {
  /** The layer of the weight; the layer that gives a value, and the one that a rectifier there rectifies. */
  readonly layers: readonly string[];
  readonly roles: readonly LayerRole[];
}

/** Everything that no other rule speaks of. */
const DEFAULT_RULE: RecipeRule = {
  match: { layer: "*" },
  weightBits: 8,
  activationBits: 8,
  default: true,
};

/** The recipe of what was asked: 8 bits, then inner, first and last layers, then layers by name. */
export function recipeOf(asked: AskedBits): Recipe {
  const { weightBits, activationBits, firstLastBits, layers = {}, signedActivations = "asymmetric" } = asked;
  return {
    rules: [
      DEFAULT_RULE,
      ...ruleOf({ role: "inner" }, weightBits, activationBits),
      ...ruleOf({ role: "first" }, firstLastBits, firstLastBits),
      ...ruleOf({ role: "last" }, firstLastBits, firstLastBits),
      ...inOrder(layers).flatMap(([layer, bits]) => ruleOf({ layer }, bits.weightBits, bits.activationBits)),
    ],
    signedActivations,
  };
}

/** An object lists names that are whole numbers first, wherever they were written: they go last, so that a pattern is not over them. */
function inOrder(layers: Readonly<Record<string, LayerBits>>): (readonly [string, LayerBits])[] {
  const isNumber = ([layer]: readonly [string, LayerBits]): boolean => /^\d+$/.test(layer);
  const entries = Object.entries(layers);
  return [...entries.filter((entry) => !isNumber(entry)), ...entries.filter(isNumber)];
}

function ruleOf(
  match: Match,
  weightBits: number | undefined,
  activationBits: number | undefined,
): RecipeRule[] {
  if (weightBits === undefined && activationBits === undefined) return [];
  const weights = weightBits === undefined ? {} : { weightBits };
  return [{ match, ...weights, ...(activationBits === undefined ? {} : { activationBits }) }];
}

/** Whether a rule speaks of a subject, whatever other rules say. */
export function isMatch(match: Match, { layers, roles }: Subject): boolean {
  if ("role" in match) return roles.includes(match.role);
  const pattern = layerPattern(match.layer);
  return layers.some((layer) => pattern.test(layer));
}

/**
 * The bits of a subject, and the rule that they come from.
 *
 * @throws QdgError `invalid-quantization` when no rule gives it any
 */
export function bitsOf(
  { rules }: Recipe,
  subject: Subject,
  kind: "weightBits" | "activationBits",
): { readonly bits: number; readonly rule: RecipeRule } {
  for (let i = rules.length - 1; i >= 0; i--) {
    const rule = rules[i] as RecipeRule;
    const bits = rule[kind];
    if (bits !== undefined && isMatch(rule.match, subject)) return { bits, rule };
  }
  throw new QdgError(
    "invalid-quantization",
    subject.layers[0] ?? "",
    `no rule of the recipe gives it ${kind}; add one that matches it, such as {"layer": "*"} at the beginning`,
  );
}

/**
 * @param layers names that a rule can match
 * @throws QdgError `invalid-quantization` for bits out of range, or a layer or a pattern that matches nothing
 */
export function checkRecipe({ rules }: Recipe, layers: ReadonlySet<string>): void {
  for (const { match, weightBits, activationBits } of rules) {
    const where = nameOf(match);
    if (weightBits !== undefined) checkBits(weightBits, `${where} weightBits`);
    if (activationBits !== undefined) checkBits(activationBits, `${where} activationBits`);
    if ("role" in match) continue;
    const pattern = layerPattern(match.layer);
    if ([...layers].some((layer) => pattern.test(layer))) continue;
    throw new QdgError(
      "invalid-quantization",
      where,
      `${
        where.includes("*")
          ? "bits are given for a pattern that no layer of the model matches"
          : "bits are given for a layer that the model lacks"
      }; its layers are ${[...layers].slice(0, 8).join(", ")}${layers.size > 8 ? "..." : ""}`,
    );
  }
}

/** As messages name what a rule matches. */
export function nameOf(match: Match): string {
  return "role" in match ? `${match.role} layers` : match.layer;
}

function layerPattern(layer: string): RegExp {
  const parts = layer.split("*").map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "s");
}
