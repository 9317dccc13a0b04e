// The engine for low-bit networks, in Node: integers by its own kernels in WebAssembly.

import { errorText, QdgError } from "../base/error.js";
import { VERSION } from "../base/version.js";
import { compileModules, type EngineModules, relaxedClass } from "../engine/module.js";
import { openEngine } from "./engine-session.js";
import { nameOf } from "./onnx-session.js";
import type { Availability, ModelSource, Runtime, RuntimeOptions, Session } from "./runtime.js";

let compiled: Promise<EngineModules> | undefined;

/** The kernels, compiled once a process. */
function kernels(): Promise<EngineModules> {
  compiled ??= (async () => {
    const { readFile } = await import("node:fs/promises");
    // The same number of folders up from src/runtime and dist/runtime.
    const read = (name: string): Promise<Uint8Array> =>
      readFile(new URL(`../../dist/engine/${name}.wasm`, import.meta.url));
    return compileModules(await read("simd"), await read("relaxed"));
  })();
  return compiled;
}

const remedy = "npm run build makes the engine's kernels; or use wasm";

/**
 * `engine`: what the integer form says, by the formulas of the reference, on WebAssembly. One thread; patterns are part of
 * the semantics, so `optimization` makes no difference.
 */
export const engineRuntime: Runtime = {
  name: "engine",

  async probe(): Promise<Availability> {
    try {
      const found = await relaxedClass(await kernels());
      return { available: true, version: `engine ${VERSION}, relaxed SIMD ${found}` };
    } catch (thrown) {
      return { available: false, reason: errorText(thrown), remedy };
    }
  },

  async open(model: ModelSource, options: RuntimeOptions = {}): Promise<Session> {
    const where = nameOf(model);
    if (options.optimizedModelPath !== undefined) {
      throw new QdgError("usage", "optimizedModelPath", "the engine writes no files; use cpu");
    }
    let modules: EngineModules;
    try {
      modules = await kernels();
    } catch (thrown) {
      throw new QdgError("unavailable", "runtime engine", `${errorText(thrown)}; ${remedy}`, {
        cause: thrown,
      });
    }
    const bytes =
      "path" in model
        ? await (await import("../onnx/whole-model.js")).readWholeModel(model.path)
        : model.bytes;
    return openEngine(modules, bytes, where);
  },
};
