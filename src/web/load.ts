// From an address to a Model: fetch, check, choose the device, start it, test it, and fall back with the
// reason kept. A file that is not what the manifest promises is never tried on another device: it is an error.

import { errorText, QdgError } from "../base/error.js";
import type { OrtWebFiles } from "../runtime/ort-web.js";
import { ORT_WEB_FILES } from "../runtime/ort-web.js";
import type { Session } from "../runtime/runtime.js";
import type { OnnxOptions } from "./bare-onnx.js";
import { bareClassifier } from "./bare-onnx.js";
import { browserGlobals } from "./browser.js";
import { checkAddress, checkLoadOptions } from "./check-options.js";
import type { Fallback, Platform } from "./device.js";
import { browserPlatform } from "./device.js";
import { checkSignal, fetchFile } from "./fetch-file.js";
import type { FileCache } from "./file-cache.js";
import type { Manifest, ManifestFile, ManifestModel, WebDevice } from "./manifest.js";
import { MANIFEST_FILE, MANIFEST_LIMITS, parseManifest } from "./manifest.js";
import type { Classifier, Model } from "./model.js";
import { checkClassifier, modelOf } from "./model.js";
import { readOnnxFacts } from "./onnx-facts.js";
import { openTested, orDispose } from "./self-test.js";

export interface LoadProgress {
  readonly loadedBytes: number;
  /** Of all files known to be needed; grows at a fallback. null while a size is not known. */
  readonly totalBytes: number | null;
}

export interface LoadOptions {
  /** `auto` (default): webgpu where there is a GPU, a file for it and a passed self-test, else wasm. */
  readonly device?: "auto" | WebDevice;
  readonly onProgress?: (progress: LoadProgress) => void;
  readonly signal?: AbortSignal;
  /** Keep files in the browser under their SHA-256 (default: true). */
  readonly cache?: boolean;
  /** Folder of onnxruntime-web's files, or where each is, when they are not in the manifest's folder. */
  readonly wasmPaths?: string | { readonly mjs?: string; readonly wasm?: string };
  /** On wasm; above 1 only on cross-origin isolated pages. Default: half the cores, at most 4, there; else 1. */
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

/** What all steps of one load share. */
interface Loading {
  readonly platform: Platform;
  readonly options: LoadOptions;
  readonly cache: FileCache | null;
  readonly fallbacks: Fallback[];
  /** Announces a file; what it returns takes the bytes that are here. */
  readonly track: (sizeBytes: number | null) => (loadedBytes: number) => void;
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

async function loadManifest(loading: Loading, url: string): Promise<Model> {
  const text = await fetchFile({
    url,
    size: { bound: "<=", bytes: MANIFEST_LIMITS.manifestBytes },
    sha256: null,
    cache: null,
    signal: loading.options.signal,
    revalidate: true,
  });
  const manifest = parseManifest(new TextDecoder().decode(text), url);
  const missing = (device: WebDevice): string | null =>
    manifest.models.some((model) => model.device === device)
      ? null
      : `the manifest has no model for ${device}`;
  return tryDevices(loading, url, missing, (device, adapter) =>
    loadDevice(loading, manifest, url, device, adapter),
  );
}

/** The devices in order; the reason of each one that is not taken is kept. */
async function tryDevices(
  { platform, options, fallbacks }: Loading,
  url: string,
  missing: (device: WebDevice) => string | null,
  attempt: (device: WebDevice, adapter: string | null) => Promise<Model>,
): Promise<Model> {
  const { device = "auto", signal } = options;
  for (const candidate of device === "auto" ? (["webgpu", "wasm"] as const) : [device]) {
    const reason = missing(candidate);
    if (reason !== null) {
      fallbacks.push({ device: candidate, reason });
      continue;
    }
    let description: string | null = null;
    if (candidate === "webgpu") {
      const adapter = await platform.adapter();
      if (!adapter.available) {
        fallbacks.push({ device: candidate, reason: adapter.reason });
        continue;
      }
      ({ description } = adapter);
    }
    try {
      return await attempt(candidate, description);
    } catch (thrown) {
      // Only what the device is to blame for: a damaged file or an abort must not look like a slow machine.
      const blamed = thrown instanceof QdgError && ["runtime", "unavailable"].includes(thrown.code);
      if (!blamed || device !== "auto" || candidate === "wasm") throw thrown;
      fallbacks.push({ device: candidate, reason: errorText(thrown) });
      checkSignal(signal, url);
    }
  }
  const reasons = fallbacks.map((fallback) => `${fallback.device}: ${fallback.reason}`).join("; ");
  throw new QdgError("unavailable", url, `got no device that can run it (${reasons})`);
}

async function loadDevice(
  loading: Loading,
  manifest: Manifest,
  manifestUrl: string,
  device: WebDevice,
  adapter: string | null,
): Promise<Model> {
  const { platform, options, fallbacks } = loading;
  const file = manifest.models.find((model) => model.device === device) as ManifestModel;
  const url = new URL(file.file, manifestUrl).href;
  const files = runtimeFiles(loading, device, manifest, manifestUrl);
  const [ort, bytes] = await Promise.all([
    platform.start(device, { ...threadsOf(options, device), files }),
    fetchPromised(loading, url, file),
  ]);
  const { name, ...size } = manifest.input;
  const classifier: Classifier = {
    inputName: name,
    input: { ...size, preprocessing: manifest.preprocessing },
    output: manifest.output,
  };
  const open = async (model: Uint8Array): Promise<Session> => {
    checkSignal(options.signal, url);
    const session = await ort.open(model, url);
    return orDispose(session, async () => {
      checkClassifier(session, classifier, url);
      checkSignal(options.signal, url);
      return session;
    });
  };
  const { session, selfTest } = await openTested(open, bytes, manifest, file, url);
  const { labels } = manifest;
  return orDispose(session, async () => {
    checkSignal(options.signal, url);
    return modelOf(
      session,
      { url, device, adapter, threads: ort.threads, labels, fallbacks, selfTest },
      classifier,
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
  const facts = readOnnxFacts(bytes, url);
  const missing = (device: WebDevice): string | null =>
    device === "webgpu" && options.device !== "webgpu" && facts.metadata.form !== "webgpu"
      ? "the file was not exported for webgpu"
      : null;
  return tryDevices(loading, url, missing, async (device, adapter) => {
    const files = runtimeFiles(loading, device, null, url);
    const ort = await platform.start(device, { ...threadsOf(options, device), files });
    const session = await ort.open(bytes, url);
    return orDispose(session, async () => {
      checkSignal(signal, url);
      const { labels, classifier } = bareClassifier(session, facts, onnx, url);
      return modelOf(
        session,
        { url, device, adapter, threads: ort.threads, labels, fallbacks, selfTest: null },
        classifier,
      );
    });
  });
}

/** In `auto`, threads are a wish for wasm and say nothing about webgpu. */
function threadsOf({ device, threads }: LoadOptions, candidate: WebDevice): { threads?: number } {
  const asked = threads !== undefined && (candidate === "wasm" || device === "webgpu");
  return asked ? { threads } : {};
}

function fetchPromised(
  { options, cache, fallbacks, track }: Loading,
  url: string,
  { sizeBytes, sha256 }: ManifestFile,
): Promise<Uint8Array<ArrayBuffer>> {
  const [refused] = fallbacks;
  return fetchFile({
    // A page that was kept for offline use with another device lacks this one's files.
    ...(refused && { reason: `${refused.device} is not used: ${refused.reason}` }),
    url,
    size: { bound: "=", bytes: sizeBytes },
    sha256,
    cache,
    signal: options.signal,
    onBytes: track(sizeBytes),
  });
}

/**
 * The binary is fetched here, so that it is counted and checked. The loader is a script that only the
 * browser can import; it is checked beforehand, and the import finds it in the browser's own cache.
 */
function runtimeFiles(
  loading: Loading,
  device: WebDevice,
  manifest: Manifest | null,
  url: string,
): () => Promise<OrtWebFiles> {
  const { options, track } = loading;
  const { wasmPaths } = options;
  const place = (kind: "mjs" | "wasm"): { href: string | null; promised: ManifestFile | undefined } => {
    const name = ORT_WEB_FILES[device][kind];
    const promised = manifest?.runtime.files.find((file) => file.name === name);
    if (wasmPaths !== undefined) {
      const path =
        typeof wasmPaths === "string" ? `${wasmPaths.replace(/\/?$/, "/")}${name}` : wasmPaths[kind];
      return { href: path === undefined ? null : resolve(path).href, promised };
    }
    return { href: promised === undefined ? null : new URL(promised.file, url).href, promised };
  };
  return async () => {
    const mjs = place("mjs");
    const wasm = place("wasm");
    const fetched = async ({ href, promised }: ReturnType<typeof place>): Promise<Uint8Array | null> => {
      if (href === null) return null;
      if (promised !== undefined) return fetchPromised(loading, href, promised);
      return fetchFile({
        url: href,
        size: { bound: "<=", bytes: MANIFEST_LIMITS.runtimeBytes },
        sha256: null,
        cache: null,
        signal: options.signal,
        onBytes: track(null),
      });
    };
    const [bytes] = await Promise.all([fetched(wasm), mjs.promised === undefined ? null : fetched(mjs)]);
    return {
      ...(bytes !== null && { wasm: bytes }),
      ...(mjs.href !== null && { mjsUrl: mjs.href }),
    };
  };
}

function tracker(onProgress: LoadOptions["onProgress"]): Loading["track"] {
  const files: { loaded: number; total: number | null }[] = [];
  return (sizeBytes) => {
    const file = { loaded: 0, total: sizeBytes };
    files.push(file);
    return (loadedBytes) => {
      file.loaded = loadedBytes;
      let loaded = 0;
      let total: number | null = 0;
      for (const one of files) {
        loaded += one.loaded;
        total = total === null || one.total === null ? null : total + one.total;
      }
      onProgress?.({ loadedBytes: loaded, totalBytes: total });
    };
  };
}

function resolve(url: string | URL): URL {
  const { document, location } = browserGlobals();
  try {
    return new URL(url, document?.baseURI ?? location?.href);
  } catch (thrown) {
    throw new QdgError("usage", "url", `got "${String(url)}", expected an address; ${errorText(thrown)}`, {
      cause: thrown,
    });
  }
}
