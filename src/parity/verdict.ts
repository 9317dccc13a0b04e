// What a comparison is called: the one place that says what passes, what fails and what is worth a note, for parity and
// for certificates. Pure: it runs nothing and measures nothing.

import { LOW_SQNR_DB } from "../export/cost.js";
import type { TfjsDeviation } from "../runtime/tfjs-deviations.js";
import type { ClassCounts } from "./metrics/classes-predicted.js";
import { LEAST_LEVELS } from "./metrics/levels-used.js";
import type { FloatReport, TargetReport, TensorUse } from "./report.js";

/** Outside of these a report does not pass. */
export interface Tolerance {
  /** Mismatching elements of quantized tensors and of integer outputs. */
  readonly mismatches: number;
  /** max |a - b| / max |a| of real outputs, between runtimes and against the plain reference. */
  readonly relative: number;
  /** The same of a file without quantization against its float model. */
  readonly floatRelative: number;
  /** Least SQNR of such a file, over all inputs, in dB. */
  readonly floatSqnrDb: number;
}

/**
 * Integers are the same or they are not; the reals after the last of them are a sum of products each, which
 * runtimes add in different orders: a few units of float32's 6e-8, with room for a softmax. A bounded output has an
 * absolute floor (bounded-outputs.ts). Two float networks differ so in every layer, in deep ones up to 1e-4; what is
 * beyond 60 dB or 1e-3 is another computation.
 */
export const TOLERANCE: Tolerance = {
  mismatches: 0,
  relative: 1e-5,
  floatRelative: 1e-3,
  floatSqnrDb: 60,
};

/** The float model's share of the one class that a file predicts, from which on that is the data's doing. */
const ONE_CLASS_SHARE = 0.9;

/** A network may have a hundred layers of one kind. */
const MOST_NAMED = 3;

/** One question that a comparison asks, and how it was answered. */
export interface Check {
  /** A target, "file" or "float model". */
  readonly subject: string;
  readonly name: string;
  /** Why it fails; empty when it does not. */
  readonly reasons: readonly string[];
  /** Why it is not judged; null when it is. */
  readonly notJudged: string | null;
}

/** Some checks with what one should know beside them. */
export interface Judged {
  readonly checks: readonly Check[];
  readonly notes: readonly string[];
}

/** What the reference shows of a file by itself. */
export interface Life {
  /** Quantized tensors of fewer than three levels, though there were elements enough to take more. */
  readonly dead: readonly TensorUse[];
  /** By output; classifiers only. */
  readonly classes: ReadonlyMap<string, ClassCounts>;
  /** False: all inputs are copies of one. */
  readonly inputsDiffer: boolean;
}

/** What the float model does on the same inputs. */
export interface FloatLife {
  /** By output of the file; absent or empty: not known. */
  readonly classes: ReadonlyMap<string, ClassCounts>;
  /** Distinct values of the float tensor by the name of the quantized one; absent: the float model has none. */
  readonly values: ReadonlyMap<string, number>;
}

function check(subject: string, name: string, reasons: readonly string[]): Check {
  return { subject, name, reasons, notJudged: null };
}

/** Whether a target's results are those of the reference. */
export function judgeTarget(target: TargetReport): Judged {
  const checks = [check(target.runtime, "outputs", outputReasons(target))];
  if (target.tensors || target.firstDifference) {
    checks.push(check(target.runtime, "quantized tensors", tensorReasons(target)));
  }
  return { checks, notes: [] };
}

function outputReasons({ runtime, outputs }: TargetReport): string[] {
  const { mismatches: allowed, relative } = TOLERANCE;
  return outputs.flatMap(({ name, dtype, floor, mismatches, relativeDifference }) => {
    if (dtype === "float32" || dtype === "float64") {
      if (relativeDifference !== null && relativeDifference <= relative) return [];
      const of = floor === null ? "relative" : `relative to at least ${floor}`;
      return [
        `${runtime}: output ${name} differs by ${finite(relativeDifference)} ${of}, expected at most ${relative}`,
      ];
    }
    if (mismatches.count <= allowed) return [];
    return [
      `${runtime}: output ${name} differs in ${mismatches.count} of ${mismatches.total} elements, expected ${allowed}`,
    ];
  });
}

function tensorReasons({ runtime, tensors, firstDifference }: TargetReport): string[] {
  const { mismatches: allowed } = TOLERANCE;
  const differing = (tensors ?? []).filter(({ mismatches }) => mismatches.count > allowed);
  const [first] = differing;
  if (first) {
    const count = differing.reduce((sum, { mismatches }) => sum + mismatches.count, 0);
    return [
      `${runtime}: ${count} elements of ${differing.length} quantized tensors differ, expected ${allowed}; the first is ${first.name} (layer ${first.layer})`,
    ];
  }
  if (tensors || !firstDifference) return [];
  const { tensor, layer } = firstDifference;
  return [`${runtime}: quantized tensor ${tensor} (layer ${layer}) differs`];
}

export interface LifeOptions {
  /** Anything in the file is quantized. */
  readonly quantized: boolean;
  /** The inputs were drawn at random, and are of no class. */
  readonly random: boolean;
}

/** Whether the answer can only be known from the float model: where the file alone looks dead. */
export function looksDead({ dead, classes, inputsDiffer }: Life): boolean {
  return dead.length > 0 || (inputsDiffer && [...classes.values()].some((counts) => counts.size === 1));
}

/**
 * A network that is dead is equal everywhere, so equality says nothing of it. It is dead where quantization has made it
 * so: a tensor of fewer than three levels, or one class for inputs that differ, fails unless the float model is no
 * better on the same inputs.
 *
 * @param float null: no float model is known
 */
export function judgeLife(life: Life, float: FloatLife | null, options: LifeOptions): Judged {
  const levels = judgeLevels(life, float);
  const classes = judgeClasses(life, float, options);
  const checks = options.quantized ? [check("file", "levels in use", levels.reasons)] : [];
  if (life.classes.size > 0) checks.push(check("file", "classes predicted", classes.reasons));
  return { checks, notes: [...levels.notes, ...classes.notes] };
}

interface Found {
  readonly reasons: string[];
  readonly notes: string[];
}

function judgeLevels({ dead }: Life, float: FloatLife | null): Found {
  const reasons: string[] = [];
  const excused: string[] = [];
  for (const { name, layer, levelsUsed } of dead) {
    const values = float?.values.get(name);
    if (values !== undefined && values <= levelsUsed) {
      excused.push(name);
      continue;
    }
    const known =
      float === null
        ? "whether the float model does too is not known: give it as --reference"
        : values === undefined
          ? "the float model has no tensor of that name to compare with"
          : `where the float model takes ${values < LEAST_LEVELS ? values : `${LEAST_LEVELS} or more`} values`;
    reasons.push(
      `dead network: layer ${layer} uses ${levelsUsed} level(s) of tensor ${name} over all inputs, expected at least ${LEAST_LEVELS}; ${known}`,
    );
  }
  if (excused.length === 0) return { reasons, notes: [] };
  const few = `fewer than ${LEAST_LEVELS} levels are used of ${excused.join(", ")}`;
  return { reasons, notes: [`${few}: the float model takes no more values there on these inputs`] };
}

function judgeClasses(
  { classes, inputsDiffer }: Life,
  float: FloatLife | null,
  { quantized, random }: LifeOptions,
): Found {
  const found: Found = { reasons: [], notes: [] };
  if (!inputsDiffer) return found;
  for (const [output, counts] of classes) {
    const [only, ...others] = counts.keys();
    if (only === undefined || others.length > 0) continue;
    const said = `output ${output} is class ${only} for all inputs`;
    const floatCounts = float?.classes.get(output);
    if (!floatCounts || floatCounts.size === 0) {
      if (!quantized) found.notes.push(`${said}; nothing in the file is quantized`);
      else if (random) {
        found.notes.push(`${said}, which are random; --reference tells whether the float model does so too`);
      } else {
        found.reasons.push(
          `dead network: ${said}, expected at least two classes; whether the float model does so too is not known: give it as --reference, or add data of other classes`,
        );
      }
      continue;
    }
    const total = [...floatCounts.values()].reduce((sum, count) => sum + count, 0);
    const share = (floatCounts.get(only) ?? 0) / total;
    if (floatCounts.size === 1) {
      const [theirs] = floatCounts.keys();
      found.notes.push(`${said}, and the float model gives class ${theirs} for all of them`);
    } else if (!quantized || share >= ONE_CLASS_SHARE) {
      found.notes.push(`${said}; the float model gives it for ${percent(share)} of them`);
    } else {
      found.reasons.push(
        `dead network: ${said}, where the float model gives ${floatCounts.size} classes, and this one for ${percent(share)} of them`,
      );
    }
  }
  return found;
}

export interface FloatOptions {
  /** Layers of the float model at which tfjs is known to be wrong. */
  readonly deviations: readonly TfjsDeviation[];
  /** Anything in the file is quantized. */
  readonly quantized: boolean;
}

/**
 * The file's own numbers against the float model's. Where nothing is quantized they have to be the same; else they are
 * what quantization costs, and no reason to fail. tfjs does not judge a model with a layer at which no backend of it is
 * right: the plain reference does.
 *
 * @param float by tfjs, by the plain reference where tfjs does not judge, or by the runtime of a float file
 */
export function judgeFloat(float: FloatReport, { deviations, quantized }: FloatOptions): Judged {
  const checks: Check[] = [];
  const notes = grouped(deviations.filter(({ backends }) => backends === "wasm")).map(
    ([what, layers]) => `tfjs ran on its plain JavaScript backend: at ${layers} it ${what} on WebAssembly`,
  );
  const wrong = grouped(deviations.filter(({ backends }) => backends === "all"));
  if (wrong.length > 0) {
    const places = wrong.map(([what, layers]) => `${layers}, where it ${what}`);
    const notJudged = `tfjs deviates at ${places.join("; at ")}; the plain reference judges instead`;
    checks.push({ subject: "float model", name: "outputs by tfjs", reasons: [], notJudged });
  }
  if (quantized) return { checks, notes: [...notes, ...lowSignal(float)] };
  if (wrong.length > 0) {
    checks.push(check("float model", "outputs by the plain reference", farFromPlain(float)));
  } else checks.push(check("float model", "outputs", farFromFloat(float)));
  return { checks, notes };
}

/** What tfjs does otherwise, each once, with its layers: "relu1 (ReLU), relu2 (ReLU)". */
function grouped(deviations: readonly TfjsDeviation[]): (readonly [what: string, layers: string])[] {
  const whats = [...new Set(deviations.map(({ what }) => what))];
  return whats.map((what) => {
    const own = deviations.filter((each) => each.what === what);
    const names = own.slice(0, MOST_NAMED).map(({ layer, className }) => `${layer} (${className})`);
    const more = own.length > MOST_NAMED ? ` and ${own.length - MOST_NAMED} more` : "";
    return [what, `${names.join(", ")}${more}`];
  });
}

function farFromPlain({ model, outputs }: FloatReport): string[] {
  const { relative } = TOLERANCE;
  return outputs.flatMap(({ name, relativeDifference }) =>
    relativeDifference !== null && relativeDifference <= relative
      ? []
      : [
          `float model: output ${name} differs from ${model} by the plain reference by ${finite(relativeDifference)} relative, expected at most ${relative}`,
        ],
  );
}

function farFromFloat({ model, runtime, outputs }: FloatReport): string[] {
  const { relative, floatRelative, floatSqnrDb } = TOLERANCE;
  return outputs.flatMap(({ name, sqnrDb, relativeDifference: difference }) => {
    if (difference !== null && difference <= relative) return [];
    if (difference !== null && difference <= floatRelative && sqnrDb !== null && sqnrDb >= floatSqnrDb) {
      return [];
    }
    const sqnr = sqnrDb === null ? "not finite" : `${sqnrDb.toFixed(1)} dB`;
    return [
      `float model: output ${name} is far from ${model} (${runtime}), though nothing in the file is quantized: SQNR ${sqnr}, expected at least ${floatSqnrDb} dB; largest difference ${finite(difference)} relative, expected at most ${floatRelative}; give the model that it was made from, or export it anew`,
    ];
  });
}

function lowSignal({ outputs }: FloatReport): string[] {
  return outputs.flatMap(({ name, sqnrDb }) =>
    sqnrDb === null || sqnrDb >= LOW_SQNR_DB
      ? []
      : [
          `output ${name}: SQNR against the float model is ${sqnrDb.toFixed(1)} dB, below ${LOW_SQNR_DB} dB; a model that was trained at these bits is judged by its accuracy, not by its weights in float; any other wants more bits (--layer-bits), or training`,
        ],
  );
}

function finite(value: number | null): string {
  return value === null ? "a number that is not finite" : shortNumber(value);
}

function shortNumber(value: number): string {
  return Number(value.toPrecision(3)).toString();
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
