// The table of training methods: a row says all that sets a method apart. Loads in a moment, for --help: nothing of tfjs
// is imported here, and create-method.ts makes a method of its row.

import { erm } from "./erm.js";
import { gradientL1 } from "./gradient-l1.js";
import type { GradientRule } from "./gradient-method.js";
import type { MethodOptions, MethodSettings } from "./method-options.js";
import { methodSettings } from "./method-options.js";
import { sagm } from "./sagm.js";
import { sam } from "./sam.js";

export interface MethodRow {
  /** In a table of methods, as Markdown. */
  readonly says: string;
  /** What the gradient of a step is; null: scales have a step of their own (gaqat.ts). */
  readonly rule: GradientRule | null;
  /** Gradients a step, of methods without a rule. */
  readonly passes?: number;
  /** Of methods without a rule: how scales are stepped, where that is not the default or an option. */
  readonly scales: ScaleSettings;
  /** Which steps are taken, and evaluated, on the quantized network; `quantizeFrom` is the setting. */
  readonly quantizedFrom: "never" | "start" | "quantizeFrom";
  /** Whether activations stay as they are. */
  readonly weightsOnly: boolean;
  /** Unless told otherwise; null where nothing is quantized. */
  readonly bits: number | null;
  /** Whether it is about the difference between domains, and needs more than one to train on. */
  readonly severalDomains: boolean;
  /** The settings that it takes beside those of every method. */
  readonly settings: readonly (keyof MethodSettings)[];
}

export type MethodName =
  | "erm"
  | "sam"
  | "sagm"
  | "gradient-l1"
  | "lsq"
  | "lsq-sagm"
  | "gaqat"
  | "fqat"
  | "saf"
  | "eq-net"
  | "qt-dog"
  | "sqwa";

export type ScaleSettings = Partial<
  Pick<
    MethodSettings,
    "frozenPart" | "frozenSide" | "measure" | "granularity" | "decision" | "opposing" | "thresholdMode"
  >
>;

const FLOAT = { quantizedFrom: "never", weightsOnly: false, bits: null } as const;
const QUANTIZED = { quantizedFrom: "start", weightsOnly: false, bits: 4 } as const;
const SAGM_SETTINGS = ["rho", "alpha", "perturbScales"] as const;
const FREEZING_SETTINGS = [
  ...SAGM_SETTINGS,
  "window",
  "threshold",
  "thresholdMode",
  "frozenPart",
  "frozenSide",
  "measure",
  "granularity",
  "decision",
  "opposing",
] as const;

export const METHODS: Readonly<Record<MethodName, MethodRow>> = {
  erm: {
    ...FLOAT,
    says: "full precision, plain gradient",
    rule: erm,
    scales: {},
    severalDomains: false,
    settings: [],
  },
  sam: {
    ...FLOAT,
    says: "full precision, gradient at `theta + rho g/norm(g)` (Foret et al. 2021)",
    rule: sam,
    scales: {},
    severalDomains: false,
    settings: ["rho", "perturbScales"],
  },
  sagm: {
    ...FLOAT,
    says: "full precision, mean of the gradients at theta and at `theta + (rho/norm(g) - alpha) g` (Wang et al., CVPR 2023)",
    rule: sagm,
    scales: {},
    severalDomains: true,
    settings: SAGM_SETTINGS,
  },
  "gradient-l1": {
    ...FLOAT,
    says: "full precision, down `L + lambda norm1(g)`, so that rounding the weights afterwards costs less (Alizadeh et al., ICLR 2020)",
    rule: gradientL1,
    scales: {},
    severalDomains: false,
    settings: ["l1Weight", "l1Start"],
  },
  lsq: {
    ...QUANTIZED,
    says: "quantized, plain gradient: all that is LSQ's own is the gradient of its scales (Esser et al. 2020)",
    rule: erm,
    scales: {},
    severalDomains: false,
    settings: [],
  },
  "lsq-sagm": {
    ...QUANTIZED,
    says: "quantized, sagm's step; scales are perturbed and stepped like weights",
    rule: null,
    scales: { frozenPart: "none" },
    severalDomains: true,
    settings: [...SAGM_SETTINGS, "window"],
  },
  gaqat: {
    ...QUANTIZED,
    says: "quantized, sagm's step, with scale gradients frozen by their disorder: below",
    rule: null,
    scales: {},
    severalDomains: true,
    settings: FREEZING_SETTINGS,
  },
  fqat: {
    ...QUANTIZED,
    says: "gaqat layer by layer, decided at every step: the task gradient of the layers of most disorder is frozen (our reading of FQAT, ACM MM 2025)",
    rule: null,
    scales: { frozenSide: "above", granularity: "layer", decision: "step", thresholdMode: "quantile" },
    severalDomains: true,
    settings: FREEZING_SETTINGS,
  },
  saf: {
    ...QUANTIZED,
    says: "quantized, lsq's step, with the outputs of earlier epochs learned beside the labels (SAF, Du et al., NeurIPS 2022)",
    rule: erm,
    scales: {},
    severalDomains: false,
    settings: ["safWeight", "safEpochs", "safTemperature"],
  },
  "eq-net": {
    ...QUANTIZED,
    says: "one network for 2 to 8 bits, of which `qdg-export --bits` makes a file of any of them (EQ-Net, Xu et al., ICCV 2023): below",
    rule: null,
    passes: 3,
    scales: {},
    bits: null,
    severalDomains: false,
    settings: ["bitSet", "guidance"],
  },
  "qt-dog": {
    says: "weights only, full precision until `--qt-dog-start`: their noise seeks flat minima (QT-DoG, Javed et al., ICML 2025)",
    rule: erm,
    scales: {},
    quantizedFrom: "quantizeFrom",
    weightsOnly: true,
    bits: 7,
    severalDomains: true,
    settings: ["quantizeFrom"],
  },
  sqwa: {
    ...QUANTIZED,
    says: "lsq with a cyclic rate; the mean of its low points is rounded again and fine-tuned at a low rate (SQWA, Shin et al. 2020)",
    rule: erm,
    scales: {},
    severalDomains: false,
    settings: ["cycles", "fineTuning"],
  },
};

export const METHOD_NAMES: readonly MethodName[] = Object.keys(METHODS) as MethodName[];

/** The methods that take a setting, "sam, sagm". */
export function methodsWith(setting: keyof MethodSettings): string {
  return METHOD_NAMES.filter((name) => METHODS[name].settings.includes(setting)).join(", ");
}

/**
 * Whether `step` is taken, and evaluated, on the quantized network: erm, sam and sagm never, qt-dog from its
 * `quantizeFrom` on, the others always.
 *
 * @throws QdgError `usage` for an option out of its range
 */
export function isQuantized(name: MethodName, step: number, options: MethodOptions): boolean {
  const { quantizedFrom } = METHODS[name];
  switch (quantizedFrom) {
    case "never":
      return false;
    case "start":
      return true;
    case "quantizeFrom":
      return step >= methodSettings(options).quantizeFrom;
    default:
      return quantizedFrom satisfies never;
  }
}
