// One case of a self-test: what goes in, a picture or numbers that follow from a seed, and what the model makes of it.
// Runs nothing.

import { QdgError } from "../base/error.js";
import { allocate, type DType, sizeOf, type Tensor } from "../base/tensor.js";
import { generator } from "../image/draw-shapes.js";
import type { Image } from "../image/image.js";
import { type NoisePicture, noisePicture } from "../image/noise-picture.js";
import { imageToTensor } from "../image/to-tensor.js";
import { isBinary } from "../model/classifier-output.js";
import { choice, fail, finite, hash, integer, list, record, shown, side, text } from "./check-json.js";
import { sha256Of } from "./fetch-file.js";
import { MANIFEST_LIMITS } from "./manifest-limits.js";
import type { ManifestClassifier } from "./manifest.js";

/** `|got[every * i] - values[i]| <= tolerance` for every value of every output. */
export type SelfTestCase = (SelfTestPicture | SelfTestNumbers) & {
  /** By output name; that of the classifier must be there. Tolerance 0 asks for equality, as integers need. */
  readonly expected: Readonly<Record<string, ExpectedOutput>>;
};

/** A picture before any preprocessing. */
export interface SelfTestPicture extends NoisePicture {
  readonly kind: "picture";
  /** Of its width * height * 3 bytes, RGB in rows from the top. */
  readonly sha256: string;
}

export interface SelfTestNumbers {
  readonly kind: "numbers";
  /** One for each input, by name. */
  readonly inputs: Readonly<Record<string, SeededNumbers>>;
}

const MOST_SEED = 2 ** 32 - 1;

export const SEEDED_DTYPES = ["float32", "int8", "uint8", "int32", "int64", "bool"] as const;

/**
 * Numbers in place of a tensor: `u[i]` of 24 bits from `generator(seed)`, in the order of the elements; float32
 * `fl(low + (high - low) * u)`, integers `low + floor((high - low + 1) * u)`.
 */
export interface SeededNumbers {
  readonly dtype: (typeof SEEDED_DTYPES)[number];
  readonly shape: readonly number[];
  readonly seed: number;
  readonly low: number;
  readonly high: number;
}

export interface ExpectedOutput {
  /** Elements of the output. */
  readonly length: number;
  /** The distance of the elements that `values` tells; 1: it tells all of them. */
  readonly every: number;
  /** `ceil(length / every)` of them. */
  readonly values: readonly number[];
  readonly tolerance: number;
}

export type Feeds = Readonly<Record<string, Tensor>>;

/** What goes into the model: tensors and, of a picture, the image that they were made of. */
export interface TestInput {
  readonly feeds: Feeds;
  readonly image: Image | null;
}

/** @throws QdgError `invalid-data` for a picture that does not have its hash */
export async function testInput(
  item: SelfTestCase,
  classifier: ManifestClassifier | null,
  where: string,
): Promise<TestInput> {
  if (item.kind === "numbers") {
    const tensors = Object.entries(item.inputs).map(([name, numbers]) => [name, seededTensor(numbers)]);
    return { feeds: Object.fromEntries(tensors) as Feeds, image: null };
  }
  if (!classifier)
    throw new QdgError("invalid-data", where, "got a picture, expected numbers for the inputs");
  const { input, preprocessing } = classifier;
  const image = noisePicture(item);
  const got = await sha256Of(image.data as Uint8Array<ArrayBuffer>);
  if (got !== item.sha256) {
    throw new QdgError("invalid-data", where, `picture: got SHA-256 ${got}, expected ${item.sha256}`);
  }
  return { feeds: { [input.name]: imageToTensor(image, { ...input, preprocessing }) }, image };
}

export function seededTensor({ dtype, shape, seed, low, high }: SeededNumbers): Tensor {
  const random = generator(seed);
  const length = sizeOf(shape);
  const data = allocate<DType>(dtype, length);
  const isReal = dtype === "float32";
  for (let i = 0; i < length; i++) {
    const number = isReal ? low + (high - low) * random() : low + Math.floor((high - low + 1) * random());
    (data as (number | bigint)[] | typeof data)[i] = dtype === "int64" ? BigInt(number) : number;
  }
  return { dtype, shape, data };
}

/** @param classifier a count of values that no label stands for is refused */
export function parseSelfTestCase(
  json: unknown,
  classifier: ManifestClassifier | null,
  where: string,
): SelfTestCase {
  const kind = choice((json as { kind?: unknown } | null)?.kind, ["picture", "numbers"], `${where}.kind`);
  if (kind === "numbers") {
    const { inputs, expected } = record(json, ["kind", "inputs", "expected"], where);
    return { kind, inputs: parseInputs(inputs, `${where}.inputs`), expected: parseExpected(expected, where) };
  }
  if (!classifier)
    return fail(`${where}.kind`, "got a picture, expected numbers: the model is no classifier");
  const item = record(json, ["kind", "width", "height", "seed", "cell", "sha256", "expected"], where);
  const parsed = { kind, ...parsePicture(item, where), expected: parseExpected(item.expected, where) };
  const { output, labels } = classifier;
  const values = Object.hasOwn(parsed.expected, output.name)
    ? parsed.expected[output.name]?.values
    : undefined;
  const count = values?.length;
  if (count !== labels.length && !(count === 1 && isBinary(1, labels.length, output.kind))) {
    return fail(
      `${where}.expected.${output.name}`,
      `got ${count ?? "no"} values, expected ${labels.length}, one per label`,
    );
  }
  return parsed;
}

function parsePicture(
  item: Readonly<Record<"width" | "height" | "seed" | "cell" | "sha256", unknown>>,
  where: string,
): Omit<SelfTestPicture, "kind"> {
  const width = side(item.width, `${where}.width`);
  const height = side(item.height, `${where}.height`);
  if (width * height > MANIFEST_LIMITS.selfTestPixels) {
    return fail(where, `got ${width} x ${height}, expected up to ${MANIFEST_LIMITS.selfTestPixels} pixels`);
  }
  return {
    width,
    height,
    seed: integer(item.seed, 0, MOST_SEED, `${where}.seed`),
    cell: integer(item.cell, 1, Math.max(width, height), `${where}.cell`),
    sha256: hash(item.sha256, `${where}.sha256`),
  };
}

function parseInputs(json: unknown, where: string): SelfTestNumbers["inputs"] {
  const inputs = entries(json, where).map(([key, value]) => {
    const at = `${where}.${key}`;
    const numbers = record(value, ["dtype", "shape", "seed", "low", "high"], at);
    const shape = list(numbers.shape, 0, 8, `${at}.shape`).map((size, axis) =>
      integer(size, 1, MANIFEST_LIMITS.selfTestElements, `${at}.shape[${axis}]`),
    );
    const dtype = choice(numbers.dtype, SEEDED_DTYPES, `${at}.dtype`);
    const low = finite(numbers.low, `${at}.low`);
    const high = finite(numbers.high, `${at}.high`);
    const areIntegers = Number.isSafeInteger(low) && Number.isSafeInteger(high);
    if (low > high || (dtype !== "float32" && !areIntegers)) {
      return fail(at, `got ${low} to ${high}, expected a range of ${dtype}`);
    }
    const seed = integer(numbers.seed, 0, MOST_SEED, `${at}.seed`);
    return [text(key, at), { dtype, shape, seed, low, high }] as const;
  });
  const elements = inputs.reduce((sum, [, { shape }]) => sum + sizeOf(shape), 0);
  if (elements > MANIFEST_LIMITS.selfTestElements) {
    return fail(where, `got ${elements} elements, expected up to ${MANIFEST_LIMITS.selfTestElements}`);
  }
  return Object.fromEntries(inputs);
}

function parseExpected(json: unknown, where: string): SelfTestCase["expected"] {
  const expected = entries(json, `${where}.expected`).map(([key, value]) => {
    const at = `${where}.expected.${key}`;
    const { length, every, values, tolerance } = record(
      value,
      ["length", "every", "values", "tolerance"],
      at,
    );
    const count = integer(length, 1, MANIFEST_LIMITS.outputElements, `${at}.length`);
    const distance = integer(every, 1, count, `${at}.every`);
    const numbers = list(values, 1, MANIFEST_LIMITS.expectedValues, `${at}.values`).map((element, i) =>
      finite(element, `${at}.values[${i}]`),
    );
    if (numbers.length !== Math.ceil(count / distance)) {
      return fail(
        `${at}.values`,
        `got ${numbers.length}, expected ${Math.ceil(count / distance)} of ${count}`,
      );
    }
    const allowed = finite(tolerance, `${at}.tolerance`);
    const largest = numbers.reduce((most, each) => Math.max(most, Math.abs(each)), 1);
    const most = MANIFEST_LIMITS.relativeTolerance * largest;
    if (allowed < 0 || allowed > most) {
      return fail(
        `${at}.tolerance`,
        `got ${allowed}, expected a number from 0 to ${most}, a thousandth of the largest value; deploy the model again`,
      );
    }
    return [text(key, at), { length: count, every: distance, values: numbers, tolerance: allowed }] as const;
  });
  return Object.fromEntries(expected);
}

function entries(json: unknown, where: string): [string, unknown][] {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    return fail(where, `got ${shown(json)}, expected an object`);
  }
  return Object.entries(json);
}
