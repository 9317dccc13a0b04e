// The arguments of load and loadEnsemble, checked before anything is fetched: a page in plain JavaScript may pass
// anything. Knows the types of options, not what follows from them.

import { QdgError } from "../base/error.js";
import { preprocessingFromJson } from "../image/preprocessing.js";
import { CLASSIFIER_KINDS } from "../model/classifier-output.js";
import type { OnnxOptions } from "./bare-onnx.js";
import { shown } from "./check-json.js";
import type { LoadOptions } from "./load.js";
import { WEB_ENGINES } from "./manifest.js";

type Check = (value: unknown, where: string) => void;
type Checks<T> = { readonly [Key in keyof T]-?: Check };

const ONNX_OPTIONS: Checks<OnnxOptions> = {
  preprocessing: (value, where) => void preprocessingFromJson(value, where),
  labels: matching("a list of texts", (value) => Array.isArray(value) && value.every(isText)),
  layout: matching('"nhwc" or "nchw"', (value) => value === "nhwc" || value === "nchw"),
  output: matching(`{ name, kind: ${CLASSIFIER_KINDS.map((kind) => `"${kind}"`).join(" or ")} }`, isOutput),
  sha256: matching(
    "64 hexadecimal digits in lower case",
    (value) => isText(value) && /^[0-9a-f]{64}$/.test(value),
  ),
};

const LOAD_OPTIONS: Checks<LoadOptions> = {
  device: matching("auto, webgpu or wasm", (value) => ["auto", "webgpu", "wasm"].includes(value as string)),
  engine: matching("auto, qdg or onnxruntime", (value) => ["auto", ...WEB_ENGINES].includes(value as string)),
  model: matching("quantized or float32", (value) => ["quantized", "float32"].includes(value as string)),
  onProgress: matching("a function", (value) => typeof value === "function"),
  // By shape: a signal may come from another window.
  signal: matching("an AbortSignal", (value) => isRecord(value) && typeof value["aborted"] === "boolean"),
  cache: matching("true or false", (value) => typeof value === "boolean"),
  wasmPaths: matching(
    "a folder's address, or { mjs, wasm }",
    (value) =>
      isText(value) || (isRecord(value) && [value["mjs"], value["wasm"]].every((path) => isTextOrNone(path))),
  ),
  threads: matching("an integer >= 1", (value) => typeof value === "number"),
  onnx: (value, where) => checkRecord(value, ONNX_OPTIONS, where),
};

/** @throws QdgError `usage` for options of other types than LoadOptions has, or with a key that it has not */
export function checkLoadOptions(options: unknown): asserts options is LoadOptions {
  checkRecord(options, LOAD_OPTIONS, "options");
}

/** @throws QdgError `usage` for what is neither a text nor a URL */
export function checkAddress(url: unknown, where: string): asserts url is string | URL {
  if (isText(url) || (isRecord(url) && isText(url["href"]))) return;
  throw new QdgError("usage", where, `got ${shown(url)}, expected an address: a text or a URL`);
}

function checkRecord<T>(value: unknown, checks: Checks<T>, where: string): void {
  const keys = Object.keys(checks);
  if (!isRecord(value)) {
    throw new QdgError("usage", where, `got ${shown(value)}, expected an object with ${keys.join(", ")}`);
  }
  for (const [key, each] of Object.entries(value)) {
    if (!Object.hasOwn(checks, key)) {
      throw new QdgError("usage", where, `unknown key "${key}", expected ${keys.join(", ")}`);
    }
    if (each !== undefined) checks[key as keyof T](each, where === "options" ? key : `${where}.${key}`);
  }
}

function matching(expected: string, isRight: (value: unknown) => boolean): Check {
  return (value, where) => {
    if (!isRight(value)) throw new QdgError("usage", where, `got ${shown(value)}, expected ${expected}`);
  };
}

function isOutput(value: unknown): boolean {
  return isRecord(value) && isText(value["name"]) && CLASSIFIER_KINDS.some((kind) => kind === value["kind"]);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isTextOrNone(value: unknown): boolean {
  return value === undefined || isText(value);
}
