// What all steps of one load share, and how its files are fetched: each once, checked where a manifest promises its hash.

import { errorText, QdgError } from "../base/error.js";
import { browserGlobals } from "./browser.js";
import type { Fallback, Platform } from "./device.js";
import { fetchFile } from "./fetch-file.js";
import type { FileCache } from "./file-cache.js";
import type { LoadOptions } from "./load.js";
import type { Manifest, ManifestFile } from "./manifest.js";
import { MANIFEST_LIMITS } from "./manifest-limits.js";
import {
  type FetchedFile,
  nameOfRuntime,
  type RuntimeFile,
  type WebRuntime,
} from "./runtimes/web-runtime.js";

export interface Loading {
  readonly platform: Platform;
  readonly options: LoadOptions;
  readonly cache: FileCache | null;
  readonly fallbacks: Fallback[];
  /** By address: files that a manifest promises. */
  readonly fetched: Map<string, Promise<Uint8Array<ArrayBuffer>>>;
  /** Announces a file; what it returns takes the bytes that are here. */
  readonly track: (sizeBytes: number | null) => (loadedBytes: number) => void;
}

/** Of one load each file is fetched once, whichever runtimes need it. */
export function fetchPromised(
  { options, cache, fallbacks, track, fetched }: Loading,
  url: string,
  { sizeBytes, sha256 }: ManifestFile,
): Promise<Uint8Array<ArrayBuffer>> {
  const known = fetched.get(url);
  if (known) return known;
  const [refused] = fallbacks;
  const fetching = fetchFile({
    // A page that was kept for offline use with another runtime lacks this one's files.
    ...(refused && { reason: `${nameOfRuntime(refused)} is not used: ${refused.reason}` }),
    url,
    size: { bound: "=", bytes: sizeBytes },
    sha256,
    cache,
    signal: options.signal,
    onBytes: track(sizeBytes),
  });
  fetched.set(url, fetching);
  return fetching;
}

/**
 * Binaries are fetched here, so that they are counted and checked. A script only the browser can import; it is
 * checked beforehand, and the import finds it in the browser's own cache.
 */
export function runtimeFiles(
  loading: Loading,
  { engine, device, files }: WebRuntime,
  manifest: Manifest | null,
  url: string,
): () => Promise<ReadonlyMap<string, FetchedFile>> {
  const { options, track } = loading;
  const { wasmPaths } = options;
  const promisedOf = ({ name }: RuntimeFile): ManifestFile | undefined =>
    manifest?.runtime.files.find(
      (file) => file.engine === engine && file.device === device && file.name === name,
    );
  const placeOf = (
    { name, kind, url: usual }: RuntimeFile,
    promised: ManifestFile | undefined,
  ): string | null => {
    if (typeof wasmPaths === "string") return resolve(`${wasmPaths.replace(/\/?$/, "/")}${name}`).href;
    const path = engine === "onnxruntime" ? wasmPaths?.[kind === "script" ? "mjs" : "wasm"] : undefined;
    if (path !== undefined) return resolve(path).href;
    if (wasmPaths !== undefined && engine === "onnxruntime") return null;
    return promised === undefined ? usual : new URL(promised.file, url).href;
  };
  const fetched = async (file: RuntimeFile): Promise<FetchedFile | null> => {
    const promised = promisedOf(file);
    const place = placeOf(file, promised);
    if (place === null) return null;
    if (promised !== undefined) return { url: place, bytes: await fetchPromised(loading, place, promised) };
    if (file.kind === "script") return { url: place, bytes: null };
    try {
      const bytes = await fetchFile({
        url: place,
        size: { bound: "<=", bytes: MANIFEST_LIMITS.runtimeBytes },
        sha256: null,
        cache: null,
        signal: options.signal,
        onBytes: track(null),
      });
      return { url: place, bytes };
    } catch (thrown) {
      // Nobody said that the engine's files are there.
      const isMissing = thrown instanceof QdgError && ["not-found", "io"].includes(thrown.code);
      if (engine !== "qdg" || !isMissing) throw thrown;
      throw new QdgError("unavailable", "the engine", errorText(thrown), { cause: thrown });
    }
  };
  return async () => {
    const all = await Promise.all(files.map(async (file) => [file.name, await fetched(file)] as const));
    return new Map(all.filter((entry): entry is readonly [string, FetchedFile] => entry[1] !== null));
  };
}

export function tracker(onProgress: LoadOptions["onProgress"]): Loading["track"] {
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

export function resolve(url: string | URL): URL {
  const { document, location } = browserGlobals();
  try {
    return new URL(url, document?.baseURI ?? location?.href);
  } catch (thrown) {
    throw new QdgError("usage", "url", `got "${String(url)}", expected an address; ${errorText(thrown)}`, {
      cause: thrown,
    });
  }
}
