// The format of scales learned in training: what model.json carries in `userDefinedMetadata.qdg`. It reads and
// writes that object and nothing else; docs/learned-scales.md is the same for people. Strict: a number that
// would not be used exactly as it stands is refused.

import { QdgError } from "../base/error.js";
import type { Quantization, QuantParams, QuantSpec } from "./spec.js";
import { checkBits, checkParams } from "./spec.js";

export const LEARNED_VERSION = 1;
/** Of a network for several bits: an older qdg refuses it by its version. */
const BY_BITS_VERSION = 2;

/** One quantizer. Without `zeroPoint` it is symmetric: zero point 0. */
export interface LearnedQuantizer {
  readonly bits: number;
  readonly signed: boolean;
  /** One for the whole value, or one an output channel of a weight. */
  readonly scale: Float32Array;
  /** As many as scales. */
  readonly zeroPoint?: Int32Array;
}

export interface LearnedQuantizers {
  /**
   * By the name of the value: a weight as tfjs names it (`conv1/kernel`), an activation by the layer that outputs
   * it (`relu1`), the input by its input layer.
   */
  readonly quantizers: ReadonlyMap<string, LearnedQuantizer>;
  /**
   * Of a network that was trained for several bits of its inner layers: what each of them has of its own. `quantizers` is
   * empty then, until one is chosen (learned-bits.ts).
   */
  readonly byBits?: ReadonlyMap<number, LearnedAtBits>;
  /** Which of them was chosen. */
  readonly chosenBits?: number;
  /** As given, not looked at here: images are not this room's. */
  readonly preprocessing?: unknown;
  readonly labels?: readonly string[];
}

/** What a network for several bits has of its own for one of them. */
export interface LearnedAtBits {
  readonly quantizers: ReadonlyMap<string, LearnedQuantizer>;
  /** Means and variances of normalization, by the name of the weight that they take the place of. */
  readonly statistics: ReadonlyMap<string, Float32Array>;
}

const WHERE = "userDefinedMetadata.qdg";

/**
 * @param metadata model.json's `userDefinedMetadata`, or undefined where it has none
 * @param where the object stands, for messages
 * @returns null when it says nothing of qdg
 * @throws QdgError `invalid-quantization` for another version, an unknown key, a scale that is not finite, > 0
 * and a float32 exactly (`Math.fround(x) === x`), bits outside 2..8, a zero point outside the integers
 */
export function parseLearned(metadata: unknown, where: string = WHERE): LearnedQuantizers | null {
  if (!isRecord(metadata) || metadata["qdg"] === undefined) return null;
  const root = expectRecord(metadata["qdg"], where);
  const isByBits = root["version"] === BY_BITS_VERSION;
  if (!isByBits && root["version"] !== LEARNED_VERSION) {
    const got = JSON.stringify(root["version"]) ?? "none";
    fail(
      `${where}.version`,
      `got ${got}, expected ${LEARNED_VERSION} or ${BY_BITS_VERSION}; a newer file needs a newer qdg`,
    );
  }
  const scales = isByBits ? "byBits" : "quantizers";
  refuseUnknownKeys(root, ["version", scales, "preprocessing", "labels"], where);
  return {
    quantizers: isByBits ? new Map() : parseQuantizers(root["quantizers"], `${where}.quantizers`),
    ...(isByBits ? { byBits: parseByBits(root["byBits"], `${where}.byBits`) } : {}),
    ...(root["preprocessing"] === undefined ? {} : { preprocessing: root["preprocessing"] }),
    ...(root["labels"] === undefined ? {} : { labels: parseLabels(root["labels"], where) }),
  };
}

/** The object to store as `userDefinedMetadata.qdg`: plain JSON; {@link parseLearned} gives back the same numbers. */
export function learnedToJson(learned: LearnedQuantizers): Record<string, unknown> {
  const { byBits } = learned;
  return {
    ...(byBits
      ? { version: BY_BITS_VERSION, byBits: byBitsToJson(byBits) }
      : { version: LEARNED_VERSION, quantizers: quantizersToJson(learned.quantizers) }),
    ...(learned.preprocessing === undefined ? {} : { preprocessing: learned.preprocessing }),
    ...(learned.labels === undefined ? {} : { labels: [...learned.labels] }),
  };
}

function quantizersToJson(quantizers: LearnedQuantizers["quantizers"]): Record<string, unknown> {
  return Object.fromEntries(
    [...quantizers].map(([name, { bits, signed, scale, zeroPoint }]) => [
      name,
      { bits, signed, scale: [...scale], ...(zeroPoint ? { zeroPoint: [...zeroPoint] } : {}) },
    ]),
  );
}

function byBitsToJson(byBits: ReadonlyMap<number, LearnedAtBits>): Record<string, unknown> {
  return Object.fromEntries(
    [...byBits].map(([bits, { quantizers, statistics }]) => [
      bits,
      {
        quantizers: quantizersToJson(quantizers),
        // JSON has no -0.
        statistics: Object.fromEntries(
          [...statistics].map(([name, values]) => [name, Array.from(values, (x) => x + 0)]),
        ),
      },
    ]),
  );
}

/**
 * Spec and parameters of a value from its learned quantizer.
 *
 * @param axis of the scales when there are several; null for an activation
 * @param channels size of that axis; a single scale is taken for the whole value
 * @throws QdgError `invalid-quantization` for as many scales as neither 1 nor `channels`
 */
export function learnedQuantization(
  learned: LearnedQuantizer,
  axis: number | null,
  channels: number,
  where: string,
): Quantization {
  const perChannel = axis !== null && (learned.scale.length !== 1 || channels === 1);
  const spec = specOf(learned, perChannel ? axis : null);
  const params = paramsOf(learned);
  checkParams(spec, params, perChannel ? channels : 1, where);
  return { spec, params };
}

function specOf(learned: LearnedQuantizer, axis: number | null): QuantSpec {
  const { bits, signed, zeroPoint } = learned;
  return { bits, signed, symmetric: zeroPoint === undefined, narrowRange: false, axis };
}

function paramsOf(learned: LearnedQuantizer): QuantParams {
  return { scale: learned.scale, zeroPoint: learned.zeroPoint ?? new Int32Array(learned.scale.length) };
}

function parseQuantizers(value: unknown, where: string): Map<string, LearnedQuantizer> {
  return new Map(
    Object.entries(expectRecord(value, where)).map(([name, quantizer]) => [
      name,
      parseQuantizer(quantizer, `${where}["${name}"]`),
    ]),
  );
}

function parseByBits(value: unknown, where: string): Map<number, LearnedAtBits> {
  const entries = Object.entries(expectRecord(value, where));
  if (entries.length === 0) fail(where, "got no bits, expected one or more of 2 to 8");
  return new Map(
    entries.map(([key, each]) => {
      const bits = /^\d+$/.test(key) ? Number(key) : Number.NaN;
      const at = `${where}["${key}"]`;
      checkBits(bits, at);
      const record = expectRecord(each, at);
      refuseUnknownKeys(record, ["quantizers", "statistics"], at);
      const statistics = Object.entries(expectRecord(record["statistics"], `${at}.statistics`));
      return [
        bits,
        {
          quantizers: parseQuantizers(record["quantizers"], `${at}.quantizers`),
          statistics: new Map(
            statistics.map(([name, list]) => [name, parseStatistic(list, `${at}.statistics["${name}"]`)]),
          ),
        },
      ];
    }),
  );
}

function parseStatistic(value: unknown, where: string): Float32Array {
  const values = expectNumbers(value, where);
  const k = values.findIndex((x) => !Number.isFinite(x) || Math.fround(x) !== x);
  if (k >= 0) fail(`${where}[${k}]`, `got ${values[k]}, expected a finite float32`);
  return Float32Array.from(values);
}

function parseQuantizer(value: unknown, where: string): LearnedQuantizer {
  const record = expectRecord(value, where);
  refuseUnknownKeys(record, ["bits", "signed", "scale", "zeroPoint"], where);
  const { bits, signed } = record;
  if (typeof bits !== "number") return fail(`${where}.bits`, `got ${kindOf(bits)}, expected a number`);
  checkBits(bits, where);
  if (typeof signed !== "boolean")
    return fail(`${where}.signed`, `got ${kindOf(signed)}, expected true or false`);
  const scale = expectNumbers(record["scale"], `${where}.scale`);
  if (scale.length === 0) fail(`${where}.scale`, "got no scales, expected one, or one an output channel");
  scale.forEach((x, k) => {
    if (!(x > 0 && Number.isFinite(x)))
      fail(`${where}.scale[${k}]`, `got ${x}, expected a finite number > 0`);
    if (Math.fround(x) !== x) {
      fail(
        `${where}.scale[${k}]`,
        `got ${x}, which no float32 is (nearest: ${Math.fround(x)}); write scales as float32 numbers, Math.fround(scale)`,
      );
    }
  });
  const quantizer: LearnedQuantizer = { bits, signed, scale: Float32Array.from(scale) };
  if (record["zeroPoint"] === undefined) return quantizer;
  const zeroPoint = expectNumbers(record["zeroPoint"], `${where}.zeroPoint`);
  zeroPoint.forEach((z, k) => {
    // Before it becomes an int32, which would wrap.
    if (!Number.isInteger(z) || Math.abs(z) > 255)
      fail(`${where}.zeroPoint[${k}]`, `got ${z}, expected an integer of ${bits} bits`);
  });
  const asymmetric: LearnedQuantizer = { ...quantizer, zeroPoint: Int32Array.from(zeroPoint) };
  checkParams(specOf(asymmetric, null), paramsOf(asymmetric), scale.length, where);
  return asymmetric;
}

function parseLabels(value: unknown, where: string): string[] {
  if (!Array.isArray(value) || !value.every((label) => typeof label === "string")) {
    return fail(`${where}.labels`, `got ${kindOf(value)}, expected a list of strings`);
  }
  return value;
}

function expectNumbers(value: unknown, where: string): readonly number[] {
  if (!Array.isArray(value) || !value.every((item) => typeof item === "number")) {
    return fail(where, `got ${kindOf(value)}, expected a list of numbers`);
  }
  return value;
}

function expectRecord(value: unknown, where: string): Record<string, unknown> {
  if (!isRecord(value)) return fail(where, `got ${kindOf(value)}, expected an object`);
  return value;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function refuseUnknownKeys(record: Record<string, unknown>, known: readonly string[], where: string): void {
  const unknown = Object.keys(record).find((key) => !known.includes(key));
  if (unknown !== undefined) {
    fail(
      where,
      `unknown key "${unknown}", expected only ${known.join(", ")}; remove it, or take a newer qdg`,
    );
  }
}

function kindOf(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  return Array.isArray(value) ? "a list with something else in it" : `a ${typeof value}`;
}

function fail(where: string, what: string): never {
  throw new QdgError("invalid-quantization", where, what);
}
