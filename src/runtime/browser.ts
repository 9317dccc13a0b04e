// Placeholder until the browser runtimes are written: both say that they are not there.

import { QdgError } from "../base/error.js";
import type { Runtime } from "./runtime.js";

function missing(name: "browser-wasm" | "browser-webgpu"): Runtime {
  return {
    name,
    probe: () => Promise.resolve({ available: false, reason: "not written yet", remedy: "wait" }),
    open: () => Promise.reject(new QdgError("unavailable", name, "not written yet")),
  };
}

export const browserWasmRuntime: Runtime = missing("browser-wasm");
export const browserWebgpuRuntime: Runtime = missing("browser-webgpu");
