// manifest.json: what stands in the folder of a deployed model. `qdg deploy` writes it, the browser library
// reads it. It comes over a network, so nothing in it is used before parseManifest has checked it.

import { errorText, QdgError } from "../base/error.js";
import type { Preprocessing } from "../image/preprocessing.js";
import { checkChannels, preprocessingFromJson } from "../image/preprocessing.js";
import type { Layout } from "../image/to-tensor.js";
import { CLASSIFIER_KINDS, type ClassifierOutput } from "../model/classifier-output.js";
import {
  base64,
  checkFileName,
  choice,
  fail,
  hash,
  integer,
  list,
  record,
  shown,
  side,
  text,
} from "./check-json.js";
import { MANIFEST_LIMITS } from "./manifest-limits.js";
import { parseSelfTestCase, type SelfTestCase } from "./self-test-case.js";

export const MANIFEST_VERSION = 2;
/** The manifest's own name in its folder. */
export const MANIFEST_FILE = "manifest.json";

/** What computes: qdg's own engine for low-bit networks, or ONNX Runtime. */
export const WEB_ENGINES = ["qdg", "onnxruntime"] as const;
export type WebEngine = (typeof WEB_ENGINES)[number];

/** Where it computes. */
export const WEB_DEVICES = ["wasm", "webgpu"] as const;
export type WebDevice = (typeof WEB_DEVICES)[number];

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

/** A file of one runtime. */
export interface ManifestRuntimeFile extends ManifestFile {
  readonly engine: WebEngine;
  readonly device: WebDevice;
  /** What the runtime calls it, as `ort-wasm-simd-threaded.wasm`; `file` may carry a hash. */
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

/** How a picture becomes the input, and the output becomes probabilities. */
export interface ManifestClassifier {
  readonly labels: readonly string[];
  readonly preprocessing: Preprocessing;
  readonly input: ManifestInput;
  readonly output: ClassifierOutput;
}

/** Plain JSON: `JSON.stringify` of one is a file that parseManifest takes. */
export interface Manifest {
  readonly version: typeof MANIFEST_VERSION;
  readonly models: readonly ManifestModel[];
  /** The same network in float32, to compare with; null where the site brings none. */
  readonly float32: ManifestFile | null;
  /** null for a network that classifies no images: it runs on tensors. */
  readonly classifier: ManifestClassifier | null;
  readonly selfTest: { readonly cases: readonly SelfTestCase[] };
  /** Of the runtimes that the site brings. Empty: the page says where their files are. */
  readonly runtime: { readonly files: readonly ManifestRuntimeFile[] };
}

/**
 * Reads a manifest: every field, no other, everything within MANIFEST_LIMITS.
 *
 * @param where what messages call it: its address or path
 * @throws QdgError `invalid-json` for what does not parse, `invalid-path` for a file that is not in the
 * manifest's own folder, `invalid-data` for all else
 */
export function parseManifest(source: string, where: string): Manifest {
  if (typeof source !== "string") return fail(where, `got ${shown(source)}, expected the text of a manifest`);
  if (source.length > MANIFEST_LIMITS.manifestBytes) {
    return fail(where, `got ${source.length} characters, expected up to ${MANIFEST_LIMITS.manifestBytes}`);
  }
  let json: unknown;
  try {
    json = JSON.parse(source);
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
    "float32",
    "classifier",
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
  const float32 =
    manifest.float32 === null
      ? null
      : parseFile(
          record(manifest.float32, ["file", "sha256", "sizeBytes"], `${where}: float32`),
          MANIFEST_LIMITS.modelBytes,
          `${where}: float32`,
        );
  const classifier =
    manifest.classifier === null ? null : parseClassifier(manifest.classifier, `${where}: classifier`);
  const at = `${where}: selfTest.cases`;
  const { cases } = record(manifest.selfTest, ["cases"], `${where}: selfTest`);
  const parsedCases = list(cases, 1, MANIFEST_LIMITS.selfTestCases, at).map((item, i) =>
    parseSelfTestCase(item, classifier, `${at}[${i}]`),
  );
  const runtime = record(manifest.runtime, ["files"], `${where}: runtime`);
  const files = list(runtime.files, 0, MANIFEST_LIMITS.runtimeFiles, `${where}: runtime.files`).map(
    (item, i) => parseRuntimeFile(item, `${where}: runtime.files[${i}]`),
  );
  const twice = files.find((file, i) => files.findIndex((other) => isSame(other, file)) !== i);
  if (twice !== undefined) {
    return fail(`${where}: runtime.files`, `got "${twice.name}" twice, expected it once`);
  }
  return {
    version: MANIFEST_VERSION,
    models,
    float32,
    classifier,
    selfTest: { cases: parsedCases },
    runtime: { files },
  };
}

function parseClassifier(json: unknown, where: string): ManifestClassifier {
  const classifier = record(json, ["labels", "preprocessing", "input", "output"], where);
  const labels = list(classifier.labels, 1, MANIFEST_LIMITS.labels, `${where}.labels`).map((item, i) =>
    text(item, `${where}.labels[${i}]`),
  );
  const preprocessing = preprocessingFromJson(classifier.preprocessing, `${where}.preprocessing`);
  const input = parseInput(classifier.input, `${where}.input`);
  checkChannels(preprocessing, input.channels, `${where}.preprocessing`);
  return { labels, preprocessing, input, output: parseOutput(classifier.output, `${where}.output`) };
}

function parseModel(json: unknown, where: string): ManifestModel {
  const model = record(json, ["device", "file", "sha256", "sizeBytes", "integers"], where);
  return {
    device: choice(model.device, WEB_DEVICES, `${where}.device`),
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
      return { name: text(tensor.name, `${at}.name`), sha256: hash(tensor.sha256, `${at}.sha256`) };
    }),
  };
}

function parseRuntimeFile(json: unknown, where: string): ManifestRuntimeFile {
  const file = record(json, ["engine", "device", "name", "file", "sha256", "sizeBytes"], where);
  return {
    engine: choice(file.engine, WEB_ENGINES, `${where}.engine`),
    device: choice(file.device, WEB_DEVICES, `${where}.device`),
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
  if (height * width * channels > MANIFEST_LIMITS.inputElements) {
    return fail(
      where,
      `got ${height} x ${width} x ${channels}, expected up to ${MANIFEST_LIMITS.inputElements} elements`,
    );
  }
  return {
    name: text(input.name, `${where}.name`),
    height,
    width,
    channels,
    layout: choice(layout, ["nhwc", "nchw"], `${where}.layout`),
  };
}

function parseOutput(json: unknown, where: string): ClassifierOutput {
  const { name, kind } = record(json, ["name", "kind"], where);
  return { name: text(name, `${where}.name`), kind: choice(kind, CLASSIFIER_KINDS, `${where}.kind`) };
}

function isSame(one: ManifestRuntimeFile, other: ManifestRuntimeFile): boolean {
  return one.engine === other.engine && one.device === other.device && one.name === other.name;
}
