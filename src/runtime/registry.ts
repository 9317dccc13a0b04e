// The explicit list of runtimes. A new one is one line here and one name in runtime.ts; nothing registers
// itself, and none is loaded before it is asked for.

import { QdgError } from "../base/error.js";
import type { Runtime, RuntimeName, RuntimeOptions } from "./runtime.js";
import { RUNTIME_NAMES } from "./runtime.js";

const LOADERS: { readonly [Name in RuntimeName]: () => Promise<Runtime> } = {
  cpu: async () => (await import("./cpu.js")).cpuRuntime,
  wasm: async () => (await import("./wasm.js")).wasmRuntime,
  webgpu: async () => (await import("./webgpu.js")).webgpuRuntime,
  engine: async () => (await import("./engine.js")).engineRuntime,
  "browser-wasm": async () => (await import("./browser.js")).browserWasmRuntime,
  "browser-webgpu": async () => (await import("./browser.js")).browserWebgpuRuntime,
  "browser-engine": async () => (await import("./browser.js")).browserEngineRuntime,
  float: async () => (await import("./float.js")).floatRuntime,
  reference: async () => (await import("./reference.js")).referenceRuntime,
};

/** The runtime of that name; whether it can be used here is for its `probe` to say. */
export function runtimeOf(name: RuntimeName): Promise<Runtime> {
  return LOADERS[name]();
}

/**
 * The runtime's version, asked with the options that it is to be opened with.
 *
 * @throws QdgError `unavailable` with the reason and what mends it: a runtime is never left out or replaced
 */
export async function requireAvailable(runtime: Runtime, options: RuntimeOptions = {}): Promise<string> {
  const availability = await runtime.probe(options);
  if (availability.available) return availability.version;
  const { reason, remedy } = availability;
  throw new QdgError("unavailable", `target ${runtime.name}`, `${reason}; ${remedy}`);
}

/**
 * `--targets cpu,wasm`: names separated by commas, in the order given; "tfjs" is another name of "float".
 *
 * @throws QdgError `usage` for no name, an unknown one, or one given twice
 */
export function parseTargets(text: string): RuntimeName[] {
  const names: RuntimeName[] = [];
  for (const part of text.split(",")) {
    const asked = part.trim() === "tfjs" ? "float" : part.trim();
    const name = RUNTIME_NAMES.find((known) => known === asked);
    if (name === undefined) {
      throw new QdgError(
        "usage",
        "--targets",
        `got "${part.trim()}", expected names among ${RUNTIME_NAMES.join(", ")}, separated by commas`,
      );
    }
    if (names.includes(name)) {
      throw new QdgError("usage", "--targets", `got "${name}" twice, expected each target once`);
    }
    names.push(name);
  }
  return names;
}
