// What load needs from the machine that a page runs on, as one interface, so that a test can be another machine.

import { errorText } from "../base/error.js";
import { within } from "../runtime/time-limit.js";
import { browserGlobals } from "./browser.js";
import type { FileCache } from "./file-cache.js";
import { browserFileCache } from "./file-cache.js";
import type { StartedRuntime, StartOptions, WebRuntime, WebRuntimeName } from "./runtimes/web-runtime.js";

export type Adapter =
  | { readonly available: true; readonly description: string }
  | { readonly available: false; readonly reason: string };

export interface Platform {
  /** The GPU that WebGPU would use. Never throws. */
  adapter(): Promise<Adapter>;
  start(runtime: WebRuntime, options: StartOptions): Promise<StartedRuntime>;
  cache(): FileCache | null;
}

/** A runtime that was not taken, and why. */
export interface Fallback extends WebRuntimeName {
  readonly reason: string;
}

export const browserPlatform: Platform = {
  adapter: browserAdapter,
  start: (runtime, options) => runtime.start(options),
  cache: browserFileCache,
};

/** A driver that has hung would let a page wait for ever. */
const ADAPTER_LIMIT_MS = 10_000;

async function browserAdapter(): Promise<Adapter> {
  const gpu = browserGlobals().navigator?.gpu;
  if (gpu === undefined) {
    return { available: false, reason: "this browser has no WebGPU, or the page is not secure" };
  }
  try {
    const adapter = await within(
      ADAPTER_LIMIT_MS,
      gpu.requestAdapter(),
      () => new Error(`the GPU did not answer in ${ADAPTER_LIMIT_MS / 1000} s`),
    );
    if (adapter === null) return { available: false, reason: "there is no GPU adapter" };
    const { vendor, architecture, device, description } = adapter.info ?? {};
    const words = [vendor, architecture, device, description].filter((word) => word);
    return { available: true, description: words.join(" ") || "GPU" };
  } catch (thrown) {
    return { available: false, reason: errorText(thrown) };
  }
}
