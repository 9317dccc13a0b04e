// manifest.json: what stands in the folder of a deployed model. `qdg deploy` writes it, the browser library
// reads it. It comes over a network, so nothing in it is used before parseManifest has checked it.

import { errorText, QdgError } from "../base/error.js";
import type { Preprocessing } from "../image/preprocessing.js";
import { checkChannels, preprocessingFromJson } from "../image/preprocessing.js";
import type { Layout } from "../image/to-tensor.js";
import { CLASSIFIER_KINDS, type ClassifierOutput, isBinary } from "../model/classifier-output.js";
import { base64, fail, finite, hash, integer, list, record, shown, side } from "./check-json.js";

export const MANIFEST_VERSION = 1;
/** The manifest's own name in its folder. */
export const MANIFEST_FILE = "manifest.json";

export type WebDevice = "webgpu" | "wasm";

/** A file beside the manifest. */
export interface ManifestFile {
  /** A bare name: letters, digits, `.`, `_`, `-`; no folder. */
  readonly file: string;
  /** Of the file's bytes, 64 digits in lower case. */
  readonly sha256: string;
  readonly sizeBytes: number;
}

/** The ONNX file for one device; each device has at most one. */
export interface ManifestModel extends ManifestFile {
  readonly device: WebDevice;
  readonly integers: KnownIntegers;
}

/** The integers inside a network for the first picture of the self-test; no tensors where activations are real. */
export interface KnownIntegers {
  /**
   * Base64 of `ModelProto { graph: { output: [...] } }`. Protobuf merges a message that comes twice, so the file's
   * bytes and then these are the same model, which gives out `tensors` too.
   */
  readonly outputs: string;
  /** In the order in which they are computed. */
  readonly tensors: readonly KnownTensor[];
}

export interface KnownTensor {
  /** An output of that model: the layer's name, or `layer/what`. */
  readonly name: string;
  /** Of the integers that the file holds there, as int16, little-endian, in the order of the elements. */
  readonly sha256: string;
}

/** A file of the runtime. */
export interface ManifestRuntimeFile extends ManifestFile {
  /** What ONNX Runtime calls it, `ort-wasm-simd-threaded.wasm`; `file` may carry a hash. */
  readonly name: string;
}

/** The image input of all the models; see ImageInput. */
export interface ManifestInput {
  readonly name: string;
  readonly height: number;
  readonly width: number;
  readonly channels: 1 | 3;
  readonly layout: Layout;
}

/** One picture and what the model makes of it: `|got[i] - values[i]| <= tolerance` for every element. */
export interface SelfTestCase {
  readonly width: number;
  readonly height: number;
  /** Base64 of width * height * 3 bytes, RGB in rows from the top: before any preprocessing. */
  readonly pixels: string;
  /** Of those bytes. */
  readonly sha256: string;
  /** By output name; `output.name` must be there. Tolerance 0 asks for equality, as integers need. */
  readonly expected: Readonly<Record<string, ExpectedOutput>>;
}

export interface ExpectedOutput {
  readonly values: readonly number[];
  readonly tolerance: number;
}

/** Plain JSON: `JSON.stringify` of one is a file that parseManifest takes. */
export interface Manifest {
  readonly version: typeof MANIFEST_VERSION;
  readonly models: readonly ManifestModel[];
  readonly labels: readonly string[];
  readonly preprocessing: Preprocessing;
  readonly input: ManifestInput;
  readonly output: ClassifierOutput;
  readonly selfTest: { readonly cases: readonly SelfTestCase[] };
  /** May be empty: then the page says where the runtime's files are. */
  readonly runtime: { readonly files: readonly ManifestRuntimeFile[] };
}

/** Bounds of a manifest. What is outside them is refused before anything is allocated or fetched. */
export const MANIFEST_LIMITS: {
  readonly manifestBytes: number;
  readonly modelBytes: number;
  readonly runtimeBytes: number;
  readonly runtimeFiles: number;
  readonly labels: number;
  readonly nameLength: number;
  readonly inputElements: number;
  readonly selfTestCases: number;
  readonly selfTestPixels: number;
  readonly expectedValues: number;
  readonly knownTensors: number;
  readonly knownOutputsBytes: number;
  /** Of an output's largest value, or of 1: a self-test that lets more pass shows nothing. deploy writes 1e-5. */
  readonly relativeTolerance: number;
} = {
  manifestBytes: 8 * 2 ** 20,
  modelBytes: 2 ** 30,
  runtimeBytes: 128 * 2 ** 20,
  runtimeFiles: 16,
  labels: 100_000,
  nameLength: 200,
  inputElements: 2 ** 26,
  selfTestCases: 16,
  selfTestPixels: 512 * 512,
  expectedValues: 100_000,
  knownTensors: 4096,
  knownOutputsBytes: 2 ** 20,
  relativeTolerance: 1e-3,
};

/**
 * Reads a manifest: every field, no other, everything within MANIFEST_LIMITS.
 *
 * @param where what messages call it: its address or path
 * @throws QdgError `invalid-json` for what does not parse, `invalid-path` for a file that is not in the
 * manifest's own folder, `invalid-data` for all else
 */
export function parseManifest(text: string, where: string): Manifest {
  if (typeof text !== "string") return fail(where, `got ${shown(text)}, expected the text of a manifest`);
  if (text.length > MANIFEST_LIMITS.manifestBytes) {
    return fail(where, `got ${text.length} characters, expected up to ${MANIFEST_LIMITS.manifestBytes}`);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (thrown) {
    throw new QdgError("invalid-json", where, `${errorText(thrown)}; deploy the model again`, {
      cause: thrown,
    });
  }
  // First, so that a manifest of a later version says that and not which key is new.
  const version = (json as { version?: unknown } | null)?.version;
  if (version !== MANIFEST_VERSION) {
    return fail(
      `${where}: version`,
      `got ${shown(version)}, expected ${MANIFEST_VERSION}; take the qdg/web that belongs to this model`,
    );
  }
  const keys = [
    "version",
    "models",
    "labels",
    "preprocessing",
    "input",
    "output",
    "selfTest",
    "runtime",
  ] as const satisfies (keyof Manifest)[];
  const manifest = record(json, keys, where);

  const models = list(manifest.models, 1, 2, `${where}: models`).map((item, i) =>
    parseModel(item, `${where}: models[${i}]`),
  );
  if (models.length === 2 && models[0]?.device === models[1]?.device) {
    return fail(`${where}: models`, `got two for ${models[0]?.device}, expected one per device`);
  }
  const counts = models.map(({ integers }) => integers.tensors.length);
  if (counts.some((count) => count !== counts[0])) {
    return fail(
      `${where}: models`,
      `got ${counts.join(" and ")} tensors of known integers, expected as many for each: they are one network`,
    );
  }
  const labels = list(manifest.labels, 1, MANIFEST_LIMITS.labels, `${where}: labels`).map((item, i) =>
    name(item, `${where}: labels[${i}]`),
  );
  const preprocessing = preprocessingFromJson(manifest.preprocessing, `${where}: preprocessing`);
  const input = parseInput(manifest.input, `${where}: input`);
  checkChannels(preprocessing, input.channels, `${where}: preprocessing`);
  const output = parseOutput(manifest.output, `${where}: output`);
  const at = `${where}: selfTest.cases`;
  const { cases } = record(manifest.selfTest, ["cases"], `${where}: selfTest`);
  const parsedCases = list(cases, 1, MANIFEST_LIMITS.selfTestCases, at).map((item, i) => {
    const parsed = parseCase(item, `${at}[${i}]`);
    const count = Object.hasOwn(parsed.expected, output.name)
      ? parsed.expected[output.name]?.values.length
      : undefined;
    if (count !== labels.length && !(count === 1 && isBinary(1, labels.length, output.kind))) {
      return fail(
        `${at}[${i}].expected.${output.name}`,
        `got ${count ?? "no"} values, expected ${labels.length}, one per label`,
      );
    }
    return parsed;
  });
  const runtime = record(manifest.runtime, ["files"], `${where}: runtime`);
  const files = list(runtime.files, 0, MANIFEST_LIMITS.runtimeFiles, `${where}: runtime.files`).map(
    (item, i) => parseRuntimeFile(item, `${where}: runtime.files[${i}]`),
  );
  const twice = files.find((file, i) => files.findIndex((other) => other.name === file.name) !== i);
  if (twice !== undefined) {
    return fail(`${where}: runtime.files`, `got "${twice.name}" twice, expected it once`);
  }
  return {
    version: MANIFEST_VERSION,
    models,
    labels,
    preprocessing,
    input,
    output,
    selfTest: { cases: parsedCases },
    runtime: { files },
  };
}

/**
 * A file's name that cannot leave the folder it is looked up in, on any system or server: 1 to 200 letters,
 * digits, `.`, `_`, `-`; a letter or digit first; no `..`.
 *
 * @throws QdgError `invalid-path`
 */
export function checkFileName(value: unknown, where: string): string {
  const { nameLength } = MANIFEST_LIMITS;
  if (
    typeof value !== "string" ||
    value.length > nameLength ||
    !/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(value) ||
    value.includes("..")
  ) {
    throw new QdgError(
      "invalid-path",
      where,
      `got ${shown(value)}, expected the bare name of a file beside the manifest: up to ${nameLength} letters, digits, ".", "_", "-", and no ".."`,
    );
  }
  return value;
}

function parseModel(json: unknown, where: string): ManifestModel {
  const model = record(json, ["device", "file", "sha256", "sizeBytes", "integers"], where);
  if (model.device !== "wasm" && model.device !== "webgpu") {
    return fail(`${where}.device`, `got ${shown(model.device)}, expected "wasm" or "webgpu"`);
  }
  return {
    device: model.device,
    ...parseFile(model, MANIFEST_LIMITS.modelBytes, where),
    integers: parseIntegers(model.integers, `${where}.integers`),
  };
}

function parseIntegers(json: unknown, where: string): KnownIntegers {
  const integers = record(json, ["outputs", "tensors"], where);
  return {
    outputs: base64(integers.outputs, MANIFEST_LIMITS.knownOutputsBytes, `${where}.outputs`),
    tensors: list(integers.tensors, 0, MANIFEST_LIMITS.knownTensors, `${where}.tensors`).map((item, i) => {
      const at = `${where}.tensors[${i}]`;
      const tensor = record(item, ["name", "sha256"], at);
      return { name: name(tensor.name, `${at}.name`), sha256: hash(tensor.sha256, `${at}.sha256`) };
    }),
  };
}

function parseRuntimeFile(json: unknown, where: string): ManifestRuntimeFile {
  const file = record(json, ["name", "file", "sha256", "sizeBytes"], where);
  return {
    name: checkFileName(file.name, `${where}.name`),
    ...parseFile(file, MANIFEST_LIMITS.runtimeBytes, where),
  };
}

function parseFile(
  json: Readonly<Record<"file" | "sha256" | "sizeBytes", unknown>>,
  most: number,
  where: string,
): ManifestFile {
  return {
    file: checkFileName(json.file, `${where}.file`),
    sha256: hash(json.sha256, `${where}.sha256`),
    sizeBytes: integer(json.sizeBytes, 1, most, `${where}.sizeBytes`),
  };
}

function parseInput(json: unknown, where: string): ManifestInput {
  const input = record(json, ["name", "height", "width", "channels", "layout"], where);
  const { channels, layout } = input;
  const height = side(input.height, `${where}.height`);
  const width = side(input.width, `${where}.width`);
  if (channels !== 1 && channels !== 3) {
    return fail(`${where}.channels`, `got ${shown(channels)}, expected 1 or 3`);
  }
  if (layout !== "nhwc" && layout !== "nchw") {
    return fail(`${where}.layout`, `got ${shown(layout)}, expected "nhwc" or "nchw"`);
  }
  if (height * width * channels > MANIFEST_LIMITS.inputElements) {
    return fail(
      where,
      `got ${height} x ${width} x ${channels}, expected up to ${MANIFEST_LIMITS.inputElements} elements`,
    );
  }
  return { name: name(input.name, `${where}.name`), height, width, channels, layout };
}

function parseOutput(json: unknown, where: string): ClassifierOutput {
  const { name: outputName, kind } = record(json, ["name", "kind"], where);
  const known = CLASSIFIER_KINDS.find((each) => each === kind);
  if (known === undefined) {
    return fail(`${where}.kind`, `got ${shown(kind)}, expected ${CLASSIFIER_KINDS.join(", ")}`);
  }
  return { name: name(outputName, `${where}.name`), kind: known };
}

function parseCase(json: unknown, where: string): SelfTestCase {
  const item = record(json, ["width", "height", "pixels", "sha256", "expected"], where);
  const width = side(item.width, `${where}.width`);
  const height = side(item.height, `${where}.height`);
  if (width * height > MANIFEST_LIMITS.selfTestPixels) {
    return fail(where, `got ${width} x ${height}, expected up to ${MANIFEST_LIMITS.selfTestPixels} pixels`);
  }
  const { pixels } = item;
  const digits = 4 * width * height;
  // 3 bytes per pixel are 4 digits: base64 without padding.
  if (typeof pixels !== "string" || pixels.length !== digits || !/^[A-Za-z0-9+/]*$/.test(pixels)) {
    return fail(
      `${where}.pixels`,
      `got ${typeof pixels === "string" ? `${pixels.length} characters` : shown(pixels)}, expected ${digits} digits of base64, ${width} x ${height} x 3 bytes`,
    );
  }
  if (typeof item.expected !== "object" || item.expected === null || Array.isArray(item.expected)) {
    return fail(`${where}.expected`, `got ${shown(item.expected)}, expected an object`);
  }
  const expected = Object.entries(item.expected).map(([key, value]: [string, unknown]) => {
    const at = `${where}.expected.${key}`;
    const { values, tolerance } = record(value, ["values", "tolerance"], at);
    const numbers = list(values, 1, MANIFEST_LIMITS.expectedValues, `${at}.values`).map((element, i) =>
      finite(element, `${at}.values[${i}]`),
    );
    const allowed = finite(tolerance, `${at}.tolerance`);
    const largest = numbers.reduce((most, each) => Math.max(most, Math.abs(each)), 1);
    const most = MANIFEST_LIMITS.relativeTolerance * largest;
    if (allowed < 0 || allowed > most) {
      return fail(
        `${at}.tolerance`,
        `got ${allowed}, expected a number from 0 to ${most}, a thousandth of the largest value; deploy the model again`,
      );
    }
    return [name(key, at), { values: numbers, tolerance: allowed }] as const;
  });
  return {
    width,
    height,
    pixels,
    sha256: hash(item.sha256, `${where}.sha256`),
    expected: Object.fromEntries(expected),
  };
}

function name(value: unknown, where: string): string {
  const { nameLength } = MANIFEST_LIMITS;
  if (typeof value !== "string" || value.length === 0 || value.length > nameLength) {
    return fail(where, `got ${shown(value)}, expected a text of 1 to ${nameLength} characters`);
  }
  return value;
}
