// Chooses the bits of layers for a size or an agreement, and makes the file. What is written is never worse on samples that
// neither was fitted to than the same bits in all inner layers within the same size.

import { QdgError } from "../../base/error.js";
import { noProgress, type Progress } from "../../base/progress.js";
import type { Graph } from "../../graph/graph.js";
import type { Recipe } from "../../graph/recipe.js";
import { MAX_BITS, MIN_BITS } from "../../quant/spec.js";
import { decibels } from "../../quant/sqnr.js";
import { type ExportSteps, largestSize, type Made } from "../export-steps.js";
import { type CompleteExportOptions, recipeOfOptions } from "../options.js";
import type { SampleSplit } from "../samples.js";
import { LARGER } from "./advice.js";
import { allocate, allocateMade, type BitOption, bytesOf, errorOf, type LayerOptions } from "./allocate.js";
import { Choices } from "./choices.js";
import { better, comparedOn, errorsOf } from "./compare-files.js";
import { type BitsFrontier, frontierOf } from "./frontier.js";
import type { BudgetGoal } from "./options.js";
import { checkClasses, smallestThatAgrees } from "./smallest-that-agrees.js";
import { TrialNetwork } from "./trial-network.js";

export interface ChosenBits {
  /** The option that asked for it, and what it asked. */
  readonly option: BudgetGoal["option"];
  readonly asked: number;
  /** What the largest file may take; null for an agreement. */
  readonly budgetBytes: number | null;
  /** Which was written: bits by layer, or the same in all inner layers because that was no worse. */
  readonly written: "mixed" | "uniform";
  /** Bits of the layers that were free to choose for. */
  readonly bits: Readonly<Record<string, number>>;
  /** Their mean, each weighted with its number of weights. */
  readonly averageBits: number;
  /** Which samples the two were compared on: where none are held out, a fourth of calibration's, the two fitted to the rest. */
  readonly comparedOn: "held-out" | "calibration";
  /** Both in dB of the outputs; null where there is nothing to compare with. */
  readonly mixedSqnrDb: number | null;
  readonly uniform: {
    readonly bits: number;
    readonly sizeBytes: number;
    readonly sqnrDb: number;
  } | null;
  /** What `--search-time` gained on the samples that it tries on, in dB. */
  readonly search: { readonly trials: number; readonly gainDb: number } | null;
  /** What bits by layer in a quarter more size would take off the error of the weights, as it was measured; null if nothing. */
  readonly larger: { readonly sizeBytes: number; readonly gainDb: number } | null;
  /** What other sizes would give; null where some of it has no error. */
  readonly frontier: BitsFrontier | null;
  /** Relative squared error of the outputs of each layer alone, by its bits. */
  readonly sensitivities: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

export interface UnderBudget {
  readonly made: Made;
  readonly chosen: ChosenBits;
}

/**
 * @param steps with calibration samples, without learned scales
 * @throws QdgError `usage` for a size below what 2 bits take, and for an agreement that 8 bits do not reach
 */
export async function underBudget(
  steps: ExportSteps,
  goal: BudgetGoal,
  samples: SampleSplit,
  options: CompleteExportOptions,
  progress: Progress = noProgress,
): Promise<UnderBudget> {
  if (goal.option === "--min-agreement") checkClasses(steps.float, samples.heldOut);
  const choices = await Choices.of(steps, recipeOfOptions(options), goal.option);
  const uniformMade = goal.option === "--average-bits" ? await wholeUniform(goal.bits, steps, options) : null;
  const budgetBytes = await budgetOf(goal, uniformMade?.made ?? null, steps, options);
  if (budgetBytes !== null && budgetBytes < choices.least) throw tooSmall(goal, budgetBytes, choices.least);
  const quantized = await choices.quantized(samples.calibration);
  const { options: layers, byLayer } = await choices.measure(quantized, samples.calibration, progress);
  const facts = {
    option: goal.option,
    asked:
      goal.option === "--budget" ? goal.bytes : goal.option === "--average-bits" ? goal.bits : goal.percent,
    budgetBytes,
    sensitivities: Object.fromEntries(
      [...byLayer].map(([layer, errors]) => [layer, Object.fromEntries(errors)]),
    ),
  };
  if (goal.option === "--min-agreement" || budgetBytes === null) {
    const made = await smallestThatAgrees(choices, layers, facts.asked, samples.heldOut, progress);
    const none = { comparedOn: "held-out", mixedSqnrDb: null, uniform: null, search: null } as const;
    return { made, chosen: { ...facts, ...none, written: "mixed", ...about(choices, layers, made) } };
  }
  const mixed = await mixedWithin(goal, budgetBytes, choices, layers, quantized, samples, options, progress);
  const uniform = uniformMade ?? (await uniformWithin(budgetBytes, choices, options));
  const [mixedError, uniformError] = await errorsOf(mixed.made, uniform?.made ?? null, samples, steps);
  const written = better(mixedError, uniformError);
  const made = written === "uniform" && uniform ? uniform.made : mixed.made;
  return {
    made,
    chosen: {
      ...facts,
      written,
      comparedOn: comparedOn(samples),
      ...about(choices, layers, made),
      mixedSqnrDb: decibels(mixedError),
      uniform:
        uniform && uniformError !== null
          ? {
              bits: uniform.bits,
              sizeBytes: largestSize(uniform.made.files),
              sqnrDb: decibels(uniformError),
            }
          : null,
      search: mixed.search,
    },
  };
}

interface Uniform {
  readonly bits: number;
  readonly made: Made;
}

/** null for bits that are no whole number. */
async function wholeUniform(
  bits: number,
  steps: ExportSteps,
  options: CompleteExportOptions,
): Promise<Uniform | null> {
  if (!Number.isInteger(bits)) return null;
  return { bits, made: await steps.make(uniformRecipe(bits, options)) };
}

/** The same bits in all inner layers, as `--bits`. */
function uniformRecipe(bits: number, options: CompleteExportOptions): Recipe {
  return recipeOfOptions({ ...options, bits });
}

/** Bytes; of a mean between two whole bits, between the sizes of the two. */
async function budgetOf(
  goal: BudgetGoal,
  uniform: Made | null,
  steps: ExportSteps,
  options: CompleteExportOptions,
): Promise<number | null> {
  switch (goal.option) {
    case "--budget":
      return goal.bytes;
    case "--min-agreement":
      return null;
    case "--average-bits": {
      if (uniform) return largestSize(uniform.files);
      const below = Math.floor(goal.bits);
      const [low, high] = [
        await steps.roundedSize(uniformRecipe(below, options)),
        await steps.roundedSize(uniformRecipe(below + 1, options)),
      ];
      return Math.floor(low + (goal.bits - below) * (high - low));
    }
    default:
      throw new QdgError("internal", "budget", `unknown goal ${String(goal satisfies never)}`);
  }
}

/** The most bits that all inner layers can have. */
async function uniformWithin(
  budgetBytes: number,
  { steps, sizes, layers }: Choices,
  options: CompleteExportOptions,
): Promise<Uniform | null> {
  for (let bits = MAX_BITS; bits >= MIN_BITS; bits--) {
    const predicted = layers.reduce(
      (sum, layer) => sum + sizes.bytesOf(layer, layer.isInner ? bits : 8),
      sizes.rest,
    );
    // What was predicted is some hundred bytes off: functions that unpack come with the numbers of bits in use.
    if (predicted > 1.01 * budgetBytes + 1000) continue;
    const recipe = uniformRecipe(bits, options);
    if ((await steps.roundedSize(recipe)) > budgetBytes) continue;
    const made = await steps.make(recipe);
    if (largestSize(made.files) <= budgetBytes) return { bits, made };
  }
  return null;
}

async function mixedWithin(
  goal: BudgetGoal,
  budgetBytes: number,
  choices: Choices,
  layers: readonly LayerOptions[],
  quantized: ReadonlyMap<number, Graph>,
  { calibration }: SampleSplit,
  { searchTime = 0, seed }: CompleteExportOptions,
  progress: Progress,
): Promise<{ readonly made: Made; readonly search: ChosenBits["search"] }> {
  const { steps, sizes } = choices;
  let made = null as Made | null;
  let search = null as ChosenBits["search"];
  const over = await allocateMade(layers, budgetBytes - sizes.rest, async (allocated, room) => {
    let chosen: readonly BitOption[] = allocated;
    if (searchTime > 0) {
      // Where the file of what was found is over the budget by some bytes, it is looked for again within less room.
      const seconds = search === null ? searchTime : searchTime / 2;
      const trials = await TrialNetwork.overWeights(steps.float, quantized, choices.layers, calibration);
      try {
        const found = await trials.search(layers, chosen, { room, seconds, seed, progress });
        chosen = found.chosen;
        search = {
          trials: (search?.trials ?? 0) + found.trials,
          gainDb: decibels(found.error) - decibels(found.errorBefore),
        };
      } finally {
        await trials.dispose();
      }
    }
    const recipe = choices.recipeOf(chosen);
    const rounded = (await steps.roundedSize(recipe)) - budgetBytes;
    if (rounded > 0) return rounded;
    made = await steps.make(recipe);
    return largestSize(made.files) - budgetBytes;
  });
  if (!made || over > 0) throw tooSmall(goal, budgetBytes, budgetBytes + over);
  return { made, search };
}

/** Of a file that was made: the bits of the free layers, and what more room would give. */
function about(
  { layers: free, sizes }: Choices,
  layers: readonly LayerOptions[],
  { quantized, files }: Made,
): Pick<ChosenBits, "bits" | "averageBits" | "larger" | "frontier"> {
  const bits: Record<string, number> = {};
  for (const { role, layer, spec } of quantized.placements)
    if (role === "weight" && free.some((each) => each.layer === layer)) bits[layer] = spec.bits;
  const weights = free.map((layer) => layer.sizes.reduce((sum, size) => sum + size, 0));
  const total = weights.reduce((sum, size) => sum + size, 0);
  const sum = free.reduce((all, { layer }, i) => all + (bits[layer] as number) * (weights[i] as number), 0);
  const now = layers.map(
    (options, i) => options.find((option) => option.bits === bits[free[i]?.layer ?? ""]) ?? options[0],
  );
  const sizeBytes = Math.ceil(LARGER * largestSize(files));
  const more = allocate(layers, bytesOf(now) + sizeBytes - largestSize(files));
  const gainDb = more ? decibels(errorOf(more)) - decibels(errorOf(now)) : 0;
  return {
    bits,
    averageBits: sum / total,
    larger: gainDb > 0.1 && Number.isFinite(gainDb) ? { sizeBytes, gainDb } : null,
    frontier: frontierOf(
      layers,
      free.map(({ isInner }) => isInner),
      sizes.rest,
      now,
    ),
  };
}

function tooSmall(goal: BudgetGoal, got: number, least: number): QdgError {
  const asked = goal.option === "--average-bits" ? `${goal.bits}, a file of ` : "";
  return new QdgError(
    "usage",
    goal.option,
    `got ${asked}${kilobytes(got, Math.floor)} kB, but with 2 bits in every layer that is free the file takes ${kilobytes(least, Math.ceil)} kB; give at least that`,
  );
}

function kilobytes(bytes: number, round: (x: number) => number): number {
  return round(bytes / 100) / 10;
}
