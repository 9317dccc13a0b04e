// The interface of what runs a model on a page. Adding one is a file here and a line in runtimes.ts.

import type { Session } from "../../runtime/runtime.js";
import type { WebDevice, WebEngine } from "../manifest.js";

export interface WebRuntimeName {
  readonly engine: WebEngine;
  readonly device: WebDevice;
}

export interface WebRuntime extends WebRuntimeName {
  readonly files: readonly RuntimeFile[];
  /** @throws QdgError `unavailable` for what cannot be started here, `usage` for threads that are none; what `files` throws */
  start(options: StartOptions): Promise<StartedRuntime>;
}

/** A file that a runtime needs. */
export interface RuntimeFile {
  /** In the manifest and in the folder of `wasmPaths`. */
  readonly name: string;
  /** Only the browser can import a script; of a binary the bytes are fetched and checked. */
  readonly kind: "script" | "binary";
  /** Where it is when nobody says; null: the runtime looks for it itself. */
  readonly url: string | null;
}

export interface StartOptions {
  /** When absent those of the started runtime, or as many as this page may have. */
  readonly threads?: number;
  /** By name; asked for once. What is absent the runtime looks for itself. */
  readonly files: () => Promise<ReadonlyMap<string, FetchedFile>>;
}

export interface FetchedFile {
  readonly url: string;
  /** null for a script that nobody promised a hash of. */
  readonly bytes: Uint8Array | null;
}

export interface StartedRuntime {
  readonly threads: number;
  /**
   * A session, ready to run.
   *
   * @param where the model, for messages
   * @throws QdgError `runtime` with the runtime's own words; `unsupported-op` for what it does not compute
   */
  open(model: Uint8Array, where: string): Promise<Session>;
}

/** As messages call it. */
export function nameOfRuntime({ engine, device }: WebRuntimeName): string {
  return engine === "qdg" ? "the engine" : device;
}
