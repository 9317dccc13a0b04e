// The small interface that every runtime stands behind. Parity, evaluation and calibration know only this.

import type { DType, Tensor } from "../base/tensor.js";
import type { Dim } from "../graph/graph.js";
import type { Image } from "../image/image.js";
import type { ImageInput } from "../image/to-tensor.js";

/**
 * The one table of what runtimes are; how each is opened is in registry.ts.
 *
 * `gpu`: runs the files that are written for WebGPU, and no others. `browser`: runs in a page of a browser, which has to be
 * found and started. `certified`: exported files are made for it, so certificates speak of it.
 */
export const RUNTIMES = {
  cpu: { gpu: false, browser: false, certified: true },
  wasm: { gpu: false, browser: false, certified: true },
  webgpu: { gpu: true, browser: false, certified: true },
  engine: { gpu: false, browser: false, certified: true },
  "browser-wasm": { gpu: false, browser: true, certified: true },
  "browser-webgpu": { gpu: true, browser: true, certified: true },
  "browser-engine": { gpu: false, browser: true, certified: true },
  float: { gpu: false, browser: false, certified: false },
  reference: { gpu: false, browser: false, certified: false },
} as const;

export type RuntimeName = keyof typeof RUNTIMES;
export const RUNTIME_NAMES: readonly RuntimeName[] = Object.keys(RUNTIMES) as RuntimeName[];

export interface TensorInfo {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly Dim[];
}

export type Availability =
  | { readonly available: true; readonly version: string }
  | { readonly available: false; readonly reason: string; readonly remedy: string };

export interface RuntimeOptions {
  /** Threads within an operator; 1 when absent, so that times compare. */
  readonly threads?: number;
  /** "none" runs the file node by node as written; "all" (default) lets the runtime fuse. */
  readonly optimization?: "all" | "none";
  /** Where to write the graph as the runtime optimized it, to see what fused (cpu and webgpu). */
  readonly optimizedModelPath?: string;
  /** The browser's program, by path or by a name in PATH; looked for when absent (browser runtimes only). */
  readonly browser?: string;
  /** Limit of each wait in milliseconds: the start, loading a model, a run (browser runtimes only). */
  readonly timeoutMs?: number;
}

/** What of the options chooses a browser and its patience, for work that opens runtimes by their names. */
export type BrowserOptions = Pick<RuntimeOptions, "browser" | "timeoutMs">;

/** An ONNX file in memory or on disk; for `float` also the path of a model.json. */
export type ModelSource = { readonly bytes: Uint8Array } | { readonly path: string };

/** A loaded model. Not safe for calls that overlap. */
export interface Session {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /**
   * @param feeds one tensor per input
   * @returns one tensor per output, by name
   * @throws QdgError `runtime` with the runtime's own words
   */
  run(feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>>;
  /**
   * The same run on an image of the input's size, for which no float32 tensor is made. Absent where a runtime has none, null
   * where the network does not begin with the quantizer of such an image.
   */
  readonly imageRun?: (input: ImageInput) => ((image: Image) => Promise<Record<string, Tensor>>) | null;
  dispose(): Promise<void>;
}

export interface Runtime {
  readonly name: RuntimeName;
  /** Says whether the runtime can be used here and, when it cannot, why and what mends that. Never throws. */
  probe(options?: RuntimeOptions): Promise<Availability>;
  /** @throws QdgError `unavailable`, `runtime` or `not-found` */
  open(model: ModelSource, options?: RuntimeOptions): Promise<Session>;
}
