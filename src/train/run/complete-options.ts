// From what was asked to all options of a run with their values: defaults, checks of each and of what does not go
// together; and for a run that goes on, what may change and what may not.

import { isDeepStrictEqual } from "node:util";
import { QdgError } from "../../base/error.js";
import { DRAWN_SET_NAMES, isDrawnSet } from "../../image/drawn-sets.js";
import {
  type Decision,
  type FrozenPart,
  type FrozenSide,
  type Granularity,
  type Guidance,
  type Measure,
  type MethodOptions,
  methodSettings,
  type Opposing,
  type ThresholdMode,
} from "../methods/method-options.js";
import type { Cycles } from "../optimizer/cycles.js";
import { type MethodRow, METHODS, methodsWith } from "../methods/methods.js";
import { METHOD_SETTINGS, type MethodOptionName } from "./method-option-table.js";
import { OPTION_NEEDS } from "./option-needs.js";
import { checkedOption, type OptionRow } from "./option-kinds.js";
import { DEFAULT_METHOD, flagOf, TRAIN_OPTIONS } from "./option-table.js";
import type { AskedTrainOptions, TrainOptionName, TrainOptions } from "./train-options.js";
import {
  CYCLIC_METHOD,
  defaultModel,
  isFloatMethod,
  isForSeveralBits,
  isPretrained,
  methodOf,
  SELF,
} from "./train-options.js";

const NAMES = Object.keys(TRAIN_OPTIONS) as readonly TrainOptionName[];

/**
 * @throws QdgError `usage` naming the option: absent and without a default, unknown, not of its kind, or one that
 * does not go with another
 */
export function completeOptions(asked: AskedTrainOptions): TrainOptions {
  const unknown = Object.keys(asked).find((name) => !NAMES.includes(name as TrainOptionName));
  if (unknown !== undefined) throw new QdgError("usage", unknown, "is no option of a training run");
  checkTogether(asked);
  const known: Partial<Record<TrainOptionName, unknown>> = {};
  for (const name of NAMES) known[name] = valueOf(name, asked[name], known as unknown as TrainOptions);
  const options = known as unknown as TrainOptions;
  checkOfMethod(asked, options);
  checkNeeds(asked, options);
  checkSteps(options);
  checkCycles(options);
  checkSeveralBits(options);
  checkTeacher(options);
  methodSettings(methodOptions(options));
  return options;
}

/**
 * The options that a run goes on with: those it was started with, and of the asked ones those that change nothing
 * in what is computed.
 *
 * @param stored as a checkpoint has them
 * @throws QdgError `usage` naming every asked option that differs; `invalid-data` when `stored` are no options
 */
export function resumedOptions(stored: unknown, asked: AskedTrainOptions, where: string): TrainOptions {
  const before = storedOptions(stored, where);
  const changed = NAMES.filter((name) => asked[name] !== undefined && !TRAIN_OPTIONS[name].free).filter(
    (name) => !isDeepStrictEqual(toJson(asked[name]), toJson(before[name])),
  );
  if (changed.length > 0) {
    const each = changed.map(
      (name) => `${flagOf(name)} ${JSON.stringify(asked[name])} (was ${JSON.stringify(before[name])})`,
    );
    throw new QdgError(
      "usage",
      "--resume",
      `the run was started with other options: got ${each.join(", ")}; leave them out, or start a new run with another --out`,
    );
  }
  const given = Object.entries(asked).filter(([, value]) => value !== undefined);
  return completeOptions({ ...before, ...Object.fromEntries(given) });
}

/** What createMethod takes. */
export function methodOptions(options: TrainOptions): MethodOptions {
  return {
    steps: options.steps,
    rho: options.rho,
    alpha: options.alpha,
    perturbScales: options.perturbScales,
    window: options.window,
    threshold: options.threshold,
    // Their kinds have been checked against the same lists.
    thresholdMode: options.thresholdMode as ThresholdMode,
    frozenPart: options.freeze as FrozenPart,
    frozenSide: options.freezeSide as FrozenSide,
    measure: options.measure as Measure,
    granularity: options.disorder as Granularity,
    decision: options.decide as Decision,
    opposing: options.opposing as Opposing,
    plainSteps: options.floatSteps,
    quantizeFrom: options.qtDogStart,
    cycles: options.cycles,
    fineTuning: options.fineTuning,
    l1Weight: options.l1Weight,
    l1Start: options.l1Start,
    safWeight: options.safWeight,
    safEpochs: options.safEpochs,
    safTemperature: options.safTemperature,
    bitSet: options.bitSet,
    guidance: options.guidance as Guidance,
    seed: options.seed,
    beta1: options.beta1,
    beta2: options.beta2,
    epsilon: options.epsilon,
    weightDecay: options.weightDecay,
    scaleRate: options.scaleRate,
    clipNorm: options.clipNorm,
  };
}

/** The first step with quantizers; `steps` for a method without any. */
export function quantizedFrom(options: TrainOptions): number {
  const { quantizedFrom: from } = methodOf(options);
  switch (from) {
    case "never":
      return options.steps;
    case "start":
      return options.floatSteps;
    case "quantizeFrom":
      return options.qtDogStart;
    default:
      return from satisfies never;
  }
}

function valueOf(name: TrainOptionName, asked: unknown, known: TrainOptions): unknown {
  const row = TRAIN_OPTIONS[name] as OptionRow<unknown>;
  const flag = flagOf(name);
  const value =
    asked !== undefined
      ? asked
      : typeof row.otherwise === "function"
        ? (row.otherwise as (options: TrainOptions) => unknown)(known)
        : row.otherwise;
  if (value === undefined) throw new QdgError("usage", flag, `got nothing; it has no default: ${row.help}`);
  return value === null && row.nullable === true ? null : checkedOption(row.kind, value, flag);
}

/** Options that say nothing where they were given are refused: whoever gave them expects something of them. */
function checkTogether(asked: AskedTrainOptions): void {
  const method = asked.method ?? DEFAULT_METHOD;
  // Another name is refused where values are checked.
  const row = (METHODS as Readonly<Record<string, MethodRow>>)[method];
  const given = (name: TrainOptionName): boolean => asked[name] !== undefined && asked[name] !== null;
  const refuse = (names: readonly TrainOptionName[], why: string): void => {
    const found = names.find(given);
    if (found === undefined) return;
    throw new QdgError(
      "usage",
      flagOf(found),
      `got ${JSON.stringify(asked[found])}, but ${why}; leave it out`,
    );
  };
  if (row?.quantizedFrom === "never") {
    refuse(["bits", "weightBits", "activationBits", "firstLastBits"], `${method} quantizes nothing`);
    if ((asked.floatSteps ?? 0) > 0) refuse(["floatSteps"], `${method} quantizes nothing`);
    if (asked.oscillation !== "none") refuse(["oscillation"], `${method} quantizes nothing`);
  }
  if (row?.settings.includes("bitSet")) {
    refuse(["bits", "weightBits"], `${method} trains one network for all of ${flagOf("bitSet")}`);
  }
  if (row?.weightsOnly) {
    refuse(["activationBits"], `${method} quantizes weights alone`);
    if ((asked.floatSteps ?? 0) > 0) refuse(["floatSteps"], `${method} has ${flagOf("qtDogStart")}`);
  }
  const model = asked.model ?? defaultModel(asked);
  if (isPretrained({ model })) {
    refuse(["width", "stem"], `${model} is a network with its own`);
  }
  if (asked.keepHead && !isPretrained({ model })) {
    refuse(["keepHead"], "a built-in network has no trained head");
  }
  if (asked.data !== undefined && !isDrawnSet(asked.data)) {
    refuse(["shapesCount"], `that is for --data ${DRAWN_SET_NAMES.join(" and ")}`);
  }
}

/** The options of another method; those of a checkpoint are all there, at their defaults. */
function checkOfMethod(asked: AskedTrainOptions, options: TrainOptions): void {
  const { settings } = methodOf(options);
  for (const [option, setting] of Object.entries(METHOD_SETTINGS)) {
    const name = option as MethodOptionName;
    const value = asked[name];
    if (value === undefined || settings.includes(setting)) continue;
    if (isDeepStrictEqual(value, valueOf(name, undefined, options))) continue;
    throw new QdgError(
      "usage",
      flagOf(name),
      `got ${JSON.stringify(value)}, but ${options.method} has no use for it, only ${methodsWith(setting)}; leave it out`,
    );
  }
}

/** The options of an option that has another value; those of a checkpoint are all there, at their defaults. */
function checkNeeds(asked: AskedTrainOptions, options: TrainOptions): void {
  for (const [option, { option: other, value }] of Object.entries(OPTION_NEEDS)) {
    const name = option as TrainOptionName;
    const given = asked[name];
    if (given === undefined || options[other] === value) continue;
    if (isDeepStrictEqual(given, valueOf(name, undefined, options))) continue;
    throw new QdgError(
      "usage",
      flagOf(name),
      `got ${JSON.stringify(given)}, but that is for ${flagOf(other)} ${value}, got ${JSON.stringify(options[other])}; leave it out`,
    );
  }
}

function checkSteps(options: TrainOptions): void {
  const { steps, warmup, holdoutFraction, select, average } = options;
  const shorter = (name: "warmup" | "floatSteps" | "qtDogStart" | "l1Start", what: string): void => {
    if (options[name] < steps) return;
    throw new QdgError(
      "usage",
      flagOf(name),
      `got ${options[name]}, expected less than --steps ${steps}: ${what}`,
    );
  };
  if (warmup > 0) shorter("warmup", "the rate would never be reached");
  const never = "nothing would ever be quantized";
  if (methodOf(options).quantizedFrom === "quantizeFrom") shorter("qtDogStart", never);
  else if (!isFloatMethod(options)) shorter("floatSteps", never);
  if (average === "swad" && holdoutFraction === 0) {
    throw new QdgError(
      "usage",
      flagOf("holdoutFraction"),
      `got 0, but ${flagOf("average")} swad goes by the loss on images held out; give a share above 0, or ${flagOf("average")} ema`,
    );
  }
  if (methodOf(options).settings.includes("l1Start")) shorter("l1Start", "the norm would never count");
  if (select === "validation" && holdoutFraction === 0) {
    throw new QdgError(
      "usage",
      flagOf("holdoutFraction"),
      "got 0, but the model is selected on images held out; give a share above 0, or --select last",
    );
  }
}

/** sqwa averages the low points of its schedule, which no other method knows. */
function checkCycles(options: TrainOptions): void {
  const { method, schedule, cycles } = options;
  const isCyclic = schedule === "cyclic";
  if (isCyclic !== (method === CYCLIC_METHOD)) {
    const why = isCyclic
      ? `that is for ${flagOf("method")} ${CYCLIC_METHOD}`
      : `${CYCLIC_METHOD} averages the low points of cyclic`;
    throw new QdgError("usage", flagOf("schedule"), `got ${schedule}, but ${why}; leave it out`);
  }
  if (!isCyclic) return;
  const plan = cyclesOf(options);
  const room = plan.steps - plan.from - Math.floor(plan.fineTuning * (plan.steps - plan.from));
  if (cycles > room) {
    throw new QdgError(
      "usage",
      flagOf("cycles"),
      `got ${cycles}, but there are ${room} steps for them; give fewer, or more ${flagOf("steps")}`,
    );
  }
}

/** What the schedule and the method of `--schedule cyclic` have in common. */
export function cyclesOf({ steps, floatSteps, cycles, fineTuning }: TrainOptions): Cycles {
  return { steps, from: floatSteps, cycles, fineTuning };
}

function checkSeveralBits(options: TrainOptions): void {
  if (!isForSeveralBits(options)) return;
  const { bitSet, evaluateBits } = options;
  const missing = evaluateBits.find((bits) => !bitSet.includes(bits));
  if (missing !== undefined) {
    throw new QdgError(
      "usage",
      flagOf("evaluateBits"),
      `got ${missing}, expected some of ${flagOf("bitSet")} ${bitSet.join(",")}, which are trained`,
    );
  }
  // Both watch the one set of quantizers that other networks have.
  const beside = (["average", "oscillation"] as const).find((name) => options[name] !== "none");
  if (beside === undefined) return;
  throw new QdgError(
    "usage",
    flagOf(beside),
    `got ${options[beside]}, but ${options.method} has quantizers for each of several bits; leave it out`,
  );
}

/** Of itself a network can only learn what it knows, once there is a quantized one to teach. */
function checkTeacher(options: TrainOptions): void {
  const { teacher, unlabeled, method, keepHead } = options;
  const { quantizedFrom: from } = methodOf(options);
  if (unlabeled && (teacher === null || teacher === SELF || from === "never")) {
    const why =
      from === "never"
        ? `${method} quantizes nothing, and would learn what the teacher is already; give a quantized --method`
        : `got ${flagOf("teacher")} ${teacher ?? "none"}, expected a model.json or an .onnx file that says what images without classes are`;
    throw new QdgError("usage", flagOf("unlabeled"), why);
  }
  if (teacher !== SELF || (from !== "never" && (quantizedFrom(options) > 0 || keepHead))) return;
  const start = flagOf(from === "quantizeFrom" ? "qtDogStart" : "floatSteps");
  const why =
    from === "never"
      ? `${method} quantizes nothing, so there is nobody to teach; give a trained model, or a quantized --method`
      : `quantizers begin before the network has learned anything; give ${start}, or a trained model`;
  throw new QdgError("usage", flagOf("teacher"), `got ${SELF}, but ${why}`);
}

function storedOptions(stored: unknown, where: string): TrainOptions {
  try {
    if (typeof stored !== "object" || stored === null) throw new Error("they are not there");
    const missing = NAMES.find((name) => !Object.hasOwn(stored, name));
    if (missing !== undefined) throw new Error(`${missing} is missing`);
    return completeOptions(stored);
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new QdgError(
      "invalid-data",
      where,
      `its options are not those of a run (${reason}); it is damaged`,
      {
        cause: thrown,
      },
    );
  }
}

function toJson(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value)) as unknown;
}
