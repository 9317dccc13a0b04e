// From an address to a Model: fetch, check, choose the device, start it, test it, and fall back with the
// reason kept. A file that is not what the manifest promises is never tried on another device: it is an error.

import { errorText, QdgError, type QdgErrorCode } from "../base/error.js";
import type { Session } from "../runtime/runtime.js";
import type { OnnxOptions } from "./bare-onnx.js";
import { bareClassifier } from "./bare-onnx.js";
import { checkAddress, checkLoadOptions } from "./check-options.js";
import type { Platform } from "./device.js";
import { browserPlatform } from "./device.js";
import { checkSignal, fetchFile } from "./fetch-file.js";
import { fetchPromised, type Loading, resolve, runtimeFiles, tracker } from "./loading.js";
import type { Manifest, ManifestModel, WebDevice, WebEngine } from "./manifest.js";
import { MANIFEST_FILE, parseManifest } from "./manifest.js";
import { MANIFEST_LIMITS } from "./manifest-limits.js";
import type { Model } from "./model.js";
import { checkClassifier, classifierOf, modelOf } from "./model.js";
import { WEB_RUNTIMES } from "./runtimes/runtimes.js";
import { nameOfRuntime, type WebRuntime } from "./runtimes/web-runtime.js";
import { openTested, orDispose } from "./self-test.js";

export interface LoadProgress {
  readonly loadedBytes: number;
  /** Of all files known to be needed; grows at a fallback. null while a size is not known. */
  readonly totalBytes: number | null;
}

export interface LoadOptions {
  /**
   * `auto` (default): the engine where it runs the whole file and passes the self-test; else ONNX Runtime on webgpu where
   * there is a GPU, a file for it and a passed self-test, else on wasm. `webgpu` and `wasm`: ONNX Runtime there, unless
   * `engine` says otherwise.
   */
  readonly device?: "auto" | WebDevice;
  /** `qdg`, `onnxruntime`, or `auto` (default): whichever `device` leaves. */
  readonly engine?: "auto" | WebEngine;
  /** `float32`: the network that the site brings to compare with, without a self-test. Default: `quantized`. */
  readonly model?: "quantized" | "float32";
  readonly onProgress?: (progress: LoadProgress) => void;
  readonly signal?: AbortSignal;
  /** Keep files in the browser under their SHA-256 (default: true). */
  readonly cache?: boolean;
  /**
   * Folder of the files of onnxruntime-web and, as `qdg-simd.wasm` and `qdg-relaxed.wasm`, of the engine, or where
   * onnxruntime-web's are, when they are not in the manifest's folder.
   */
  readonly wasmPaths?: string | { readonly mjs?: string; readonly wasm?: string };
  /**
   * On wasm; above 1 only on cross-origin isolated pages. Default: for the engine 1; for ONNX Runtime half the cores, at most
   * 4, on such pages, else 1.
   */
  readonly threads?: number;
  /** For an ONNX file without a manifest. */
  readonly onnx?: OnnxOptions;
}

/**
 * Loads a model.
 *
 * @param url a folder with manifest.json, that file (its name may hold a hash, as `manifest.0123abcd.json`), or a file that
 * ends in `.onnx`; relative to the page
 * @throws QdgError `not-found`, `io`, `invalid-json`, `invalid-path` or `invalid-data` for files that are
 * missing or not what they should be; `interrupted` when aborted; `unavailable` for a device that is not there;
 * `runtime` when the model cannot run or fails its self-test on the last device left; `usage` for options
 */
export function load(url: string | URL, options: LoadOptions = {}): Promise<Model> {
  return loadOn(browserPlatform, url, options);
}

/** load on a given machine. */
export async function loadOn(
  platform: Platform,
  url: string | URL,
  options: LoadOptions = {},
): Promise<Model> {
  checkAddress(url, "url");
  checkLoadOptions(options);
  const address = resolve(url);
  const loading: Loading = {
    platform,
    options,
    cache: options.cache === false ? null : platform.cache(),
    fallbacks: [],
    fetched: new Map(),
    track: tracker(options.onProgress),
  };
  if (address.pathname.endsWith(".onnx")) return loadOnnx(loading, address.href);
  if (options.onnx !== undefined) {
    throw new QdgError(
      "usage",
      "onnx",
      "these options are for a file without a manifest; the manifest says it",
    );
  }
  if (!/\/manifest(\.[0-9a-f]{8})?\.json$/.test(address.pathname)) {
    address.pathname = `${address.pathname.replace(/\/$/, "")}/${MANIFEST_FILE}`;
  }
  return loadManifest(loading, address.href);
}

const HASHED = /\.[0-9a-f]{8}\.json$/;

async function loadManifest(loading: Loading, url: string): Promise<Model> {
  const text = await fetchFile({
    url,
    size: { bound: "<=", bytes: MANIFEST_LIMITS.manifestBytes },
    sha256: null,
    cache: null,
    signal: loading.options.signal,
    // With its hash in its name it is always the same.
    revalidate: !HASHED.test(url),
  });
  const manifest = parseManifest(new TextDecoder().decode(text), url);
  const { files } = manifest.runtime;
  const missing = ({ engine, device }: WebRuntime): string | null => {
    if (loading.options.model === "float32") {
      if (manifest.float32 === null) return "the manifest has no float32 file";
      if (engine !== "onnxruntime" || device !== "wasm") return "float32 runs in ONNX Runtime on wasm";
    } else if (!manifest.models.some((model) => model.device === device)) {
      return `the manifest has no model for ${device}`;
    }
    const isThere = files.some((file) => file.engine === engine && file.device === device);
    const elsewhere = files.length === 0 || loading.options.wasmPaths !== undefined;
    return isThere || elsewhere ? null : "the site was deployed without it";
  };
  return tryRuntimes(loading, url, missing, (runtime, adapter) =>
    loadOnRuntime(loading, manifest, url, runtime, adapter),
  );
}

/** The runtimes in order; the reason of each one that is not taken is kept. */
async function tryRuntimes(
  { platform, options, fallbacks }: Loading,
  url: string,
  missing: (runtime: WebRuntime) => string | null,
  attempt: (runtime: WebRuntime, adapter: string | null) => Promise<Model>,
): Promise<Model> {
  const candidates = candidatesOf(options);
  for (const [i, candidate] of candidates.entries()) {
    const { engine, device } = candidate;
    const reason = missing(candidate);
    if (reason !== null) {
      fallbacks.push({ engine, device, reason });
      continue;
    }
    let description: string | null = null;
    if (device === "webgpu") {
      const adapter = await platform.adapter();
      if (!adapter.available) {
        fallbacks.push({ engine, device, reason: adapter.reason });
        continue;
      }
      ({ description } = adapter);
    }
    try {
      return await attempt(candidate, description);
    } catch (thrown) {
      if (!isBlamed(candidate, thrown) || i === candidates.length - 1) throw thrown;
      fallbacks.push({ engine, device, reason: errorText(thrown) });
      checkSignal(options.signal, url);
    }
  }
  const reasons = fallbacks.map((fallback) => `${nameOfRuntime(fallback)}: ${fallback.reason}`).join("; ");
  throw new QdgError("unavailable", url, `got nothing that can run it (${reasons})`);
}

/** What no other runtime would do better: a damaged file or an abort must not look like a slow machine. */
const ALIKE: ReadonlySet<QdgErrorCode> = new Set<QdgErrorCode>([
  "usage",
  "interrupted",
  "not-found",
  "io",
  "invalid-path",
  "invalid-json",
  "invalid-data",
]);

/** Whether a failure is the runtime's. Of the engine whatever goes wrong in it is: ONNX Runtime is there for that. */
function isBlamed({ engine }: WebRuntime, thrown: unknown): boolean {
  if (!(thrown instanceof QdgError)) return engine === "qdg";
  if (engine === "qdg") return !ALIKE.has(thrown.code);
  return thrown.code === "runtime" || thrown.code === "unavailable";
}

/** @throws QdgError `usage` for an engine that is not on that device */
function candidatesOf({ device = "auto", engine = "auto" }: LoadOptions): readonly WebRuntime[] {
  const asked = engine === "auto" && device !== "auto" ? "onnxruntime" : engine;
  const candidates = WEB_RUNTIMES.filter(
    (runtime) =>
      (asked === "auto" || runtime.engine === asked) && (device === "auto" || runtime.device === device),
  );
  if (candidates.length > 0) return candidates;
  throw new QdgError("usage", "engine", `got "${engine}" on ${device}, expected wasm: the engine runs there`);
}

async function loadOnRuntime(
  loading: Loading,
  manifest: Manifest,
  manifestUrl: string,
  runtime: WebRuntime,
  adapter: string | null,
): Promise<Model> {
  const { platform, options, fallbacks } = loading;
  const { engine, device } = runtime;
  const quantized = manifest.models.find((model) => model.device === device) as ManifestModel;
  const float32 = options.model === "float32" ? manifest.float32 : null;
  const file = float32 ?? quantized;
  const url = new URL(file.file, manifestUrl).href;
  const files = runtimeFiles(loading, runtime, manifest, manifestUrl);
  const [started, bytes] = await Promise.all([
    platform.start(runtime, { ...threadsOf(options, runtime), files }),
    fetchPromised(loading, url, file),
  ]);
  const classifier = manifest.classifier && classifierOf(manifest.classifier);
  const open = async (model: Uint8Array): Promise<Session> => {
    checkSignal(options.signal, url);
    const session = await started.open(model, url);
    return orDispose(session, async () => {
      if (classifier) checkClassifier(session, classifier, url);
      checkSignal(options.signal, url);
      return session;
    });
  };
  const { session, selfTest } = float32
    ? { session: await open(bytes), selfTest: null }
    : await openTested(open, bytes, manifest, quantized, runtime, url);
  const labels = manifest.classifier?.labels ?? [];
  return orDispose(session, async () => {
    checkSignal(options.signal, url);
    return modelOf(
      session,
      { url, engine, device, adapter, threads: started.threads, labels, fallbacks, selfTest },
      classifier ??
        new QdgError("usage", url, "got a network that classifies no images; feed tensors to run()"),
    );
  });
}

async function loadOnnx(loading: Loading, url: string): Promise<Model> {
  const { platform, options, fallbacks } = loading;
  const { onnx = {}, signal } = options;
  const bytes = await fetchFile({
    url,
    size: { bound: "<=", bytes: MANIFEST_LIMITS.modelBytes },
    sha256: onnx.sha256 ?? null,
    cache: loading.cache,
    signal,
    onBytes: loading.track(null),
  });
  // With the codec, which those who bring a manifest do without.
  const { readOnnxFacts } = await import("./onnx-facts.js");
  const facts = readOnnxFacts(bytes, url);
  const missing = ({ device }: WebRuntime): string | null =>
    device === "webgpu" && options.device !== "webgpu" && facts.metadata.form !== "webgpu"
      ? "the file was not exported for webgpu"
      : null;
  return tryRuntimes(loading, url, missing, async (runtime, adapter) => {
    const { engine, device } = runtime;
    const files = runtimeFiles(loading, runtime, null, url);
    const started = await platform.start(runtime, { ...threadsOf(options, runtime), files });
    const session = await started.open(bytes, url);
    return orDispose(session, async () => {
      checkSignal(signal, url);
      const { labels, classifier } = bareClassifier(session, facts, onnx, url);
      return modelOf(
        session,
        { url, engine, device, adapter, threads: started.threads, labels, fallbacks, selfTest: null },
        classifier,
      );
    });
  });
}

/** Threads are for WebAssembly; in `auto` they say nothing about WebGPU. */
function threadsOf({ device, threads }: LoadOptions, runtime: WebRuntime): { threads?: number } {
  if (threads === undefined) return {};
  return runtime.device === "wasm" || runtime.device === device ? { threads } : {};
}
