// The options that some methods take and others do not: part of the table of all options (option-table.ts).

import {
  DECISIONS,
  FROZEN_PARTS,
  DEFAULT_BIT_SET,
  FROZEN_SIDES,
  GRANULARITIES,
  GUIDANCE,
  MEASURES,
  type MethodSettings,
  OPPOSING,
  THRESHOLD_MODES,
} from "../methods/method-options.js";
import { methodsWith } from "../methods/methods.js";
import { BOOLEAN, choice, type OptionRow, RATE, SHARE, whole } from "./option-kinds.js";
import { methodOf, type TrainOptionName, type TrainOptions } from "./train-options.js";

export type MethodOptionName = Extract<
  TrainOptionName,
  | "rho"
  | "alpha"
  | "window"
  | "thresholdMode"
  | "threshold"
  | "freeze"
  | "freezeSide"
  | "measure"
  | "disorder"
  | "decide"
  | "opposing"
  | "perturbScales"
  | "qtDogStart"
  | "cycles"
  | "fineTuning"
  | "l1Weight"
  | "l1Start"
  | "safWeight"
  | "safEpochs"
  | "safTemperature"
  | "bitSet"
  | "evaluateBits"
  | "guidance"
>;

/** With the setting that a method names where it takes the option. */
export const METHOD_SETTINGS: Readonly<Record<MethodOptionName, keyof MethodSettings>> = {
  rho: "rho",
  alpha: "alpha",
  window: "window",
  thresholdMode: "thresholdMode",
  threshold: "threshold",
  freeze: "frozenPart",
  freezeSide: "frozenSide",
  measure: "measure",
  disorder: "granularity",
  decide: "decision",
  opposing: "opposing",
  perturbScales: "perturbScales",
  qtDogStart: "quantizeFrom",
  cycles: "cycles",
  fineTuning: "fineTuning",
  l1Weight: "l1Weight",
  l1Start: "l1Start",
  safWeight: "safWeight",
  safEpochs: "safEpochs",
  safTemperature: "safTemperature",
  bitSet: "bitSet",
  evaluateBits: "bitSet",
  guidance: "guidance",
};

/** In an order in which defaults depend on options above only. */
export const METHOD_OPTIONS: { readonly [K in MethodOptionName]: OptionRow<TrainOptions[K]> } = {
  rho: {
    kind: RATE,
    argument: "<x>",
    help: `${methodsWith("rho")}: radius of the perturbation`,
    otherwise: 0.05,
  },
  alpha: {
    kind: { type: "real", least: 0 },
    argument: "<x>",
    help: `${methodsWith("alpha")}: how far the perturbation follows the gradient down`,
    otherwise: 0.001,
  },
  window: {
    kind: whole(2),
    argument: "<n>",
    help: `${methodsWith("window")}: steps over which gradients of scales are measured`,
    otherwise: (known) => Math.max(2, Math.min(350, Math.floor(known.steps / 10))),
    says: "350, or a tenth of the steps",
  },
  thresholdMode: {
    kind: choice(...THRESHOLD_MODES),
    argument: "<kind>",
    help: `${methodsWith("thresholdMode")}: the threshold as a disorder, a quantile of all, or standard deviations from a coin's 0.5`,
    otherwise: (known) => methodOf(known).scales.thresholdMode ?? "value",
    says: "value; quantile for fqat",
  },
  threshold: {
    kind: { type: "real", least: 0 },
    argument: "<r>",
    help: `${methodsWith("threshold")}: a scale beyond it is frozen`,
    otherwise: (known) => (known.thresholdMode === "margin" ? 2 : 0.3),
    says: "0.3; 2 for margin",
  },
  freeze: {
    kind: choice(...FROZEN_PARTS),
    argument: "<part>",
    help: `${methodsWith("frozenPart")}: which part of a frozen scale's gradient stops; alternate: of all scales one, then the other, by window`,
    otherwise: (known) => methodOf(known).scales.frozenPart ?? "task",
    says: "task",
  },
  freezeSide: {
    kind: choice(...FROZEN_SIDES),
    argument: "<side>",
    help: `${methodsWith("frozenSide")}: scales below the threshold are frozen, or those above it`,
    otherwise: (known) => methodOf(known).scales.frozenSide ?? "below",
    says: "below; above for fqat",
  },
  measure: {
    kind: choice(...MEASURES),
    argument: "<what>",
    help: `${methodsWith("measure")}: disorder of the task or of the smoothness gradient, the share of steps at which they oppose each other, or (1 - cosine)/2 of both`,
    otherwise: "task",
  },
  disorder: {
    kind: choice(...GRANULARITIES),
    argument: "<of>",
    help: `${methodsWith("granularity")}: what is measured of each scale, or of all scales of a layer together`,
    otherwise: (known) => methodOf(known).scales.granularity ?? "scale",
    says: "scale; layer for fqat",
  },
  decide: {
    kind: choice(...DECISIONS),
    argument: "<when>",
    help: `${methodsWith("decision")}: what is frozen is decided by window, or at every step`,
    otherwise: (known) => methodOf(known).scales.decision ?? "window",
    says: "window; step for fqat",
  },
  opposing: {
    kind: choice(...OPPOSING),
    argument: "<how>",
    help: `${methodsWith("opposing")}: a layer's two gradients of scales are averaged, or first projected off each other where they oppose (PCGrad)`,
    otherwise: "mean",
  },
  perturbScales: {
    kind: BOOLEAN,
    help: `${methodsWith("perturbScales")}: scales stay where they are in the perturbed pass`,
    otherwise: true,
  },
  qtDogStart: {
    kind: whole(0),
    argument: "<n>",
    help: `${methodsWith("quantizeFrom")}: the step at which weights begin to be quantized`,
    otherwise: (known) => Math.floor((known.steps * 2) / 5),
    says: "two fifths of the steps",
  },
  cycles: {
    kind: whole(1),
    argument: "<n>",
    help: `${methodsWith("cycles")}: cycles of the learning rate, whose low points are averaged`,
    otherwise: 5,
  },
  fineTuning: {
    kind: SHARE,
    argument: "<x>",
    help: `${methodsWith("fineTuning")}: share of the quantized steps that fine-tune their average`,
    otherwise: 0.2,
  },
  l1Weight: {
    kind: { type: "real", least: 0 },
    argument: "<x>",
    help: `${methodsWith("l1Weight")}: factor of the 1-norm of the gradient by weights in the loss`,
    otherwise: 1e-4,
    says: "0.0001",
  },
  l1Start: {
    kind: whole(0),
    argument: "<n>",
    help: `${methodsWith("l1Start")}: the first step with that norm in the loss`,
    otherwise: (known) => Math.floor(known.steps / 2),
    says: "half of the steps",
  },
  safWeight: {
    kind: { type: "real", least: 0 },
    argument: "<x>",
    help: `${methodsWith("safWeight")}: factor of the divergence from earlier outputs in the loss`,
    otherwise: 0.3,
  },
  safEpochs: {
    kind: whole(1),
    argument: "<n>",
    help: `${methodsWith("safEpochs")}: how many epochs earlier those outputs are`,
    otherwise: 1,
  },
  safTemperature: {
    kind: RATE,
    argument: "<x>",
    help: `${methodsWith("safTemperature")}: temperature of both outputs`,
    otherwise: 5,
  },
  bitSet: {
    kind: { type: "bit-list", least: 2 },
    argument: "<list>",
    help: `${methodsWith("bitSet")}: the bits of inner layers that one network is trained for`,
    otherwise: DEFAULT_BIT_SET,
    says: DEFAULT_BIT_SET.join(","),
  },
  guidance: {
    kind: choice(...GUIDANCE),
    argument: "<who>",
    help: `${methodsWith("guidance")}: who teaches fewer bits, beside the labels: the next more bits of the step, the most, or none`,
    otherwise: "next",
  },
  evaluateBits: {
    kind: { type: "bit-list", least: 1 },
    argument: "<list>",
    help: `${methodsWith("bitSet")}: which of them are evaluated while it trains`,
    otherwise: (known) => known.bitSet.filter((_, i, all) => i < 3 || i === all.length - 1),
    says: "the three fewest and the most",
  },
};
