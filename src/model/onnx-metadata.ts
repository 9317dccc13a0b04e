// What an ONNX file says of itself, its metadata_props under keys that begin with "qdg.": the one place that reads and
// writes them. A fact that is damaged is an error, one that is absent is null, and nothing is put in its place here.
// Loads in browsers: no Node built-ins and no protobuf.

import { QdgError } from "../base/error.js";
import { printable } from "../base/printable.js";
import { type Preprocessing, preprocessingFromJson, preprocessingToJson } from "../image/preprocessing.js";
import type { Layout } from "../image/to-tensor.js";
import { OUTPUT_KINDS, type OutputKind } from "./output-kind.js";

export const LAYOUTS: readonly Layout[] = ["nhwc", "nchw"];

/** Where the scales of a file come from. */
export const SCALES_MODES = ["learned", "learned+calibrated", "calibrated", "weights-only"] as const;
export type ScalesMode = (typeof SCALES_MODES)[number];

/** How a file carries integers. */
export const FORMS = ["integer", "float", "webgpu"] as const;
export type FormName = (typeof FORMS)[number];

/** A value that holds integers in a file whose types do not tell, and their least and largest without the zero point. */
export type ListedIntegers = readonly [value: string, low: number, high: number];

/** 0: real. */
export type LayerBitWidths = readonly [weightBits: number, activationBits: number];

/** Each null where the file does not say it. */
export interface OnnxMetadata {
  /** Of the qdg that wrote the file. */
  readonly version: string | null;
  /** SHA-256 of the model that the file was made from. */
  readonly source: string | null;
  /** Order of the axes of an image. */
  readonly layout: Layout | null;
  readonly preprocessing: Preprocessing | null;
  /** Names of the classes in the order of the output. */
  readonly labels: readonly string[] | null;
  /** Output -> what its numbers are. */
  readonly outputs: ReadonlyMap<string, OutputKind> | null;
  /** By layer. */
  readonly bits: ReadonlyMap<string, LayerBitWidths> | null;
  readonly scales: ScalesMode | null;
  readonly form: FormName | null;
  /** In the float forms alone. */
  readonly quantized: readonly ListedIntegers[] | null;
  /** Scales that training has found for this network in real numbers, as `learnedToJson` writes them; not looked at here. */
  readonly learned: Readonly<Record<string, unknown>> | null;
}

/** metadata_props, of which a key may stand there once. */
export type MetadataProperties = Iterable<{ readonly key?: string; readonly value?: string }>;

/**
 * The facts among the properties; keys that do not begin with "qdg." and those of a later version mean nothing.
 *
 * @param where the file, for messages
 * @throws QdgError `invalid-onnx` for a fact that is not what it should be or stands there twice
 */
export function readOnnxMetadata(properties: MetadataProperties, where: string): OnnxMetadata {
  const texts = new Map<string, string>();
  for (const { key = "", value = "" } of properties) {
    if (!key.startsWith("qdg.")) continue;
    if (texts.has(key)) throw damaged({ where, key }, "stands there twice, expected once");
    texts.set(key, value);
  }
  const fact = <T>(name: keyof OnnxMetadata, read: (text: string, at: Place) => T): T | null => {
    const key = `qdg.${name}`;
    const text = texts.get(key);
    return text === undefined ? null : read(text, { where, key });
  };
  return {
    version: fact("version", plain),
    source: fact("source", plain),
    layout: fact("layout", oneOf(LAYOUTS)),
    preprocessing: fact("preprocessing", preprocessing),
    labels: fact("labels", labels),
    outputs: fact("outputs", outputs),
    bits: fact("bits", bits),
    scales: fact("scales", oneOf(SCALES_MODES)),
    form: fact("form", oneOf(FORMS)),
    quantized: fact("quantized", quantized),
    learned: fact("learned", learned),
  };
}

/** The facts as texts by key, in a fixed order; null ones are left out. */
export function writeOnnxMetadata(metadata: OnnxMetadata): Record<string, string> {
  const { preprocessing: pixels, ...others } = metadata;
  const facts: Readonly<Record<keyof OnnxMetadata, string | object | null>> = {
    version: others.version,
    source: others.source,
    layout: others.layout,
    preprocessing: pixels && preprocessingToJson(pixels),
    labels: others.labels,
    outputs: others.outputs && Object.fromEntries(others.outputs),
    bits: others.bits && Object.fromEntries(others.bits),
    scales: others.scales,
    form: others.form,
    quantized: others.quantized,
    learned: others.learned,
  };
  return Object.fromEntries(
    Object.entries(facts).flatMap(([name, fact]) =>
      fact === null ? [] : [[`qdg.${name}`, typeof fact === "string" ? fact : JSON.stringify(fact)]],
    ),
  );
}

/** Characters of a damaged fact that a message repeats. */
const MAX_SHOWN = 80;

interface Place {
  readonly where: string;
  readonly key: string;
}

function plain(text: string, at: Place): string {
  if (text !== "") return text;
  throw damaged(at, "got an empty text");
}

function oneOf<T extends string>(values: readonly T[]): (text: string, at: Place) => T {
  return (text, at) => {
    const found = values.find((value) => value === text);
    if (found !== undefined) return found;
    throw damaged(at, `got ${printable(text, MAX_SHOWN)}, expected ${values.join(", ")}`);
  };
}

function preprocessing(text: string, at: Place): Preprocessing {
  return preprocessingFromJson(json(text, at), placeText(at), "invalid-onnx");
}

function labels(text: string, at: Place): readonly string[] {
  const value = json(text, at);
  if (Array.isArray(value) && value.length > 0 && value.every((label) => typeof label === "string")) {
    return value;
  }
  throw damaged(at, `got ${printable(text, MAX_SHOWN)}, expected a list of names`);
}

function outputs(text: string, at: Place): ReadonlyMap<string, OutputKind> {
  const kinds: readonly unknown[] = OUTPUT_KINDS;
  return record(text, at, `an object of ${OUTPUT_KINDS.join(", ")} by output`, (kind): kind is OutputKind =>
    kinds.includes(kind),
  );
}

function bits(text: string, at: Place): ReadonlyMap<string, LayerBitWidths> {
  return record(
    text,
    at,
    "an object of [weight bits, activation bits] by layer",
    (pair): pair is LayerBitWidths =>
      Array.isArray(pair) &&
      pair.length === 2 &&
      pair.every((count) => Number.isInteger(count) && count >= 0 && count <= 32),
  );
}

function quantized(text: string, at: Place): readonly ListedIntegers[] {
  const value = json(text, at);
  if (Array.isArray(value) && value.every(isListed)) return value;
  throw damaged(at, `got ${printable(text, MAX_SHOWN)}, expected a list of [value, least, largest]`);
}

function learned(text: string, at: Place): Readonly<Record<string, unknown>> {
  return Object.fromEntries(record(text, at, "an object", isAnything));
}

function isAnything(value: unknown): value is unknown {
  return value !== undefined;
}

function isListed(item: unknown): item is ListedIntegers {
  if (!Array.isArray(item) || item.length !== 3) return false;
  const [name, low, high] = item as unknown[];
  return typeof name === "string" && isInteger(low) && isInteger(high) && low <= high;
}

function isInteger(value: unknown): value is number {
  return Number.isInteger(value);
}

function record<T>(
  text: string,
  at: Place,
  expected: string,
  fits: (value: unknown) => value is T,
): ReadonlyMap<string, T> {
  const value = json(text, at);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    const entries = Object.entries(value);
    if (entries.every((entry): entry is [string, T] => fits(entry[1]))) return new Map(entries);
  }
  throw damaged(at, `got ${printable(text, MAX_SHOWN)}, expected ${expected}`);
}

function json(text: string, at: Place): unknown {
  try {
    return JSON.parse(text);
  } catch (thrown) {
    throw damaged(at, `got ${printable(text, MAX_SHOWN)}, which is not JSON`, thrown);
  }
}

function placeText({ where, key }: Place): string {
  return `${where}, metadata ${key}`;
}

function damaged(at: Place, what: string, cause?: unknown): QdgError {
  return new QdgError("invalid-onnx", placeText(at), `${what}; export the model again`, { cause });
}
