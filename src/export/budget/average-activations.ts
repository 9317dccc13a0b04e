// Chooses the bits of activations for a mean, and makes the file. What is written is never worse on samples that neither
// was fitted to than the same bits in all of them.

import { QdgError } from "../../base/error.js";
import type { Progress } from "../../base/progress.js";
import { cloneGraph, type Graph, valuesOf } from "../../graph/graph.js";
import { decibels } from "../../quant/sqnr.js";
import { MAX_BITS, MIN_BITS } from "../../quant/spec.js";
import { type ExportSteps, largestSize, type Made } from "../export-steps.js";
import { type CompleteExportOptions, recipeOfOptions } from "../options.js";
import { quantizersFeed } from "../reconstruction/fake-quantizers.js";
import type { SampleSplit } from "../samples.js";
import { elementsOf, type FreeActivations, freeActivations, withActivationBits } from "./activations.js";
import { allocate, type BitOption, type LayerOptions } from "./allocate.js";
import { better, comparedOn, errorsOf } from "./compare-files.js";
import { OpenNetwork } from "./open-network.js";
import { AVERAGE_ACTIVATION_BITS } from "./options.js";
import { firstOf, measureSensitivities, type Sensitivity, type Subject } from "./sensitivities.js";
import { TrialNetwork } from "./trial-network.js";
import type { ChosenBits } from "./under-budget.js";

/** Bits that are tried: in a file activations of any bits are bytes, and none is cheaper to hold. */
const CHOICES = Array.from({ length: MAX_BITS - MIN_BITS + 1 }, (_, i) => MIN_BITS + i);

export interface ChosenActivationBits {
  /** The mean that was asked for. */
  readonly asked: number;
  /** Which was written: bits by layer, or the same in all activations that were free because that had less error. */
  readonly written: "mixed" | "uniform";
  /** Of activations that were free to choose for, by the layer that gives them. */
  readonly bits: Readonly<Record<string, number>>;
  /** Their mean over the elements of one sample; not above what was asked. */
  readonly averageBits: number;
  /** Which samples the two were compared on: where none are held out, a fourth of calibration's, the two fitted to the rest. */
  readonly comparedOn: "held-out" | "calibration";
  /** Both in dB of the outputs. */
  readonly mixedSqnrDb: number;
  readonly uniform: { readonly bits: number; readonly sqnrDb: number };
  /** What `--search-time` gained on the samples that it tries on, with weights in float, in dB. */
  readonly search: { readonly trials: number; readonly gainDb: number } | null;
  /** Relative squared error of the outputs of each layer's activations alone, by their bits. */
  readonly sensitivities: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** A file, and the bits of weights that were chosen for it; null where they are as asked. */
export interface MadeWithBits {
  readonly made: Made;
  readonly chosen: ChosenBits | null;
}

/**
 * `argmin over b of sum error_a(b_a)` subject to `sum n_a b_a <= mean sum n_a`, n_a elements of one sample, by
 * {@link allocate}: error_a(b) is what the outputs lose with the quantizers of a alone at b bits, all else in float.
 *
 * @param asked the mean
 * @param steps with calibration samples, without learned scales
 * @param make the file of options
 * @throws QdgError `usage` where no activation is free
 */
export async function averageActivations(
  asked: number,
  steps: ExportSteps,
  samples: SampleSplit,
  options: CompleteExportOptions,
  make: (options: CompleteExportOptions) => Promise<MadeWithBits>,
  progress: Progress,
): Promise<MadeWithBits & { readonly activations: ChosenActivationBits }> {
  const { float } = steps;
  const groups = freeActivations(float, recipeOfOptions(options));
  if (groups.length === 0) {
    throw new QdgError(
      "usage",
      AVERAGE_ACTIVATION_BITS,
      `got ${asked}, but no activation to choose bits for: --layer-bits or --first-last-bits say those of all, or none is quantized; leave one of them out`,
    );
  }
  const withBits = (bits: readonly number[]): CompleteExportOptions => ({
    ...options,
    layers: withActivationBits(options.layers, groups, bits),
  });
  const same = (bits: number): CompleteExportOptions => withBits(groups.map(() => bits));
  const elements = await elementsOf(float, groups, samples.calibration);
  const quantized = new Map(
    CHOICES.map((bits) => [bits, steps.withActivations(recipeOfOptions(same(bits)))]),
  );
  const subjects = groups.map((group, i) => subjectOf(String(i), group, float, quantized));
  const found = await measureSensitivities(float, subjects, firstOf(samples.calibration), (done) =>
    progress.report("measuring activations", done, groups.length),
  );
  const choices = groups.map((_, i) => choicesOf(found.get(String(i)) ?? new Map(), elements[i] ?? 0));
  const room = (asked * sum(elements)) / 8;
  const start = allocate(choices, room) ?? choices.map(([first]) => first);
  const search = await searched(start, choices, room, groups, quantized, steps, samples, options, progress);
  const mixed = await make(withBits((search?.chosen ?? start).map(({ bits }) => bits)));
  const uniformBits = Math.floor(asked);
  const uniform = await uniformOf(mixed, groups, uniformBits, steps, () => make(same(uniformBits)));
  const [mixedError, uniformError] = await errorsOf(mixed.made, uniform.made, samples, steps);
  const written = better(mixedError, uniformError);
  const { made, chosen } = written === "mixed" ? mixed : uniform;
  return {
    made,
    chosen,
    activations: {
      asked,
      written,
      ...about(groups, elements, made),
      comparedOn: comparedOn(samples),
      mixedSqnrDb: decibels(mixedError),
      uniform: { bits: uniformBits, sqnrDb: decibels(uniformError ?? mixedError) },
      search: search && { trials: search.trials, gainDb: search.gainDb },
      sensitivities: Object.fromEntries(
        groups.flatMap(({ values }, i) =>
          values.map(({ layer }) => [layer, Object.fromEntries(found.get(String(i)) ?? [])] as const),
        ),
      ),
    },
  };
}

/** @param quantized the network by the bits of all groups */
function subjectOf(
  name: string,
  group: FreeActivations,
  float: Graph,
  quantized: ReadonlyMap<number, Graph>,
): Subject {
  const names = namesOf([group]);
  return {
    name,
    from: group.from,
    open: (judged) =>
      OpenNetwork.open(rounding(float, quantized, names), group.from, new Set(), judged, names),
    feeds: () => new Map([...quantized].map(([bits, graph]) => [bits, quantizersFeed(graph, names)])),
  };
}

/** The float network with quantizers of these activations, of whatever bits; null: of all that have one. */
function rounding(
  float: Graph,
  quantized: ReadonlyMap<number, Graph>,
  names: ReadonlySet<string> | null,
): Graph {
  const [annotated] = [...quantized.values()] as [Graph, ...Graph[]];
  const found = new Map(valuesOf(annotated).map(({ name, quantization }) => [name, quantization]));
  const graph = cloneGraph(float);
  for (const value of valuesOf(graph)) {
    const quantization = found.get(value.name);
    if (quantization && (names?.has(value.name) ?? true)) value.quantization = quantization;
  }
  return graph;
}

function namesOf(groups: readonly FreeActivations[]): ReadonlySet<string> {
  return new Set(groups.flatMap(({ values }) => values.map(({ name }) => name)));
}

/** Bytes as if each were stored in exactly its bits. */
function choicesOf(errors: Sensitivity, elements: number): LayerOptions {
  return CHOICES.map((bits): BitOption => ({
    bits,
    bytes: (bits * elements) / 8,
    error: errors.get(bits) ?? 0,
  })) as unknown as LayerOptions;
}

/** Bits that are better on the network with all activations rounded and weights in float; null without time for it. */
async function searched(
  start: readonly BitOption[],
  choices: readonly LayerOptions[],
  room: number,
  groups: readonly FreeActivations[],
  quantized: ReadonlyMap<number, Graph>,
  { float }: ExportSteps,
  { calibration }: SampleSplit,
  { searchTime: seconds = 0, seed }: CompleteExportOptions,
  progress: Progress,
): Promise<{
  readonly chosen: readonly BitOption[];
  readonly trials: number;
  readonly gainDb: number;
} | null> {
  if (seconds === 0) return null;
  const graph = rounding(float, quantized, null);
  const trial = await TrialNetwork.over(
    float,
    (judged) => OpenNetwork.open(graph, 0, new Set(), judged, namesOf(groups)),
    (i, bits) => quantizersFeed(quantized.get(bits) as Graph, namesOf(groups.slice(i, i + 1))),
    calibration,
  );
  try {
    const found = await trial.search(choices, start, { room, seconds, seed, progress });
    const gainDb = decibels(found.error) - decibels(found.errorBefore);
    return { chosen: found.chosen, trials: found.trials, gainDb };
  } finally {
    await trial.dispose();
  }
}

/**
 * The same bits in all groups, with the weights' bits of `mixed`; where that is over the budget of those by some bytes, with
 * weights of its own.
 */
async function uniformOf(
  { made, chosen }: MadeWithBits,
  groups: readonly FreeActivations[],
  bits: number,
  steps: ExportSteps,
  makeAnew: () => Promise<MadeWithBits>,
): Promise<MadeWithBits> {
  const layers = new Set(groups.flatMap(({ values }) => values.map(({ layer }) => layer)));
  const rules = made.recipe.rules.map((rule) =>
    "layer" in rule.match && layers.has(rule.match.layer) && rule.activationBits !== undefined
      ? { ...rule, activationBits: bits }
      : rule,
  );
  const same = await steps.make({ ...made.recipe, rules });
  const budgetBytes = chosen?.budgetBytes ?? null;
  const isOver = budgetBytes !== null && largestSize(same.files) > budgetBytes;
  return isOver ? makeAnew() : { made: same, chosen };
}

/** Of a file that was made. */
function about(
  groups: readonly FreeActivations[],
  elements: readonly number[],
  { quantized }: Made,
): Pick<ChosenActivationBits, "bits" | "averageBits"> {
  const specs = new Map(
    quantized.placements.flatMap(({ role, values, spec }) =>
      role === "activation" ? values.map(({ name }) => [name, spec.bits] as const) : [],
    ),
  );
  const bitsOfGroup = groups.map(({ values }) => Math.max(...values.map(({ name }) => specs.get(name) ?? 0)));
  return {
    bits: Object.fromEntries(
      groups.flatMap(({ values }, i) => values.map(({ layer }) => [layer, bitsOfGroup[i] as number])),
    ),
    averageBits: sum(elements.map((n, i) => n * (bitsOfGroup[i] as number))) / sum(elements),
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, each) => all + each, 0);
}
