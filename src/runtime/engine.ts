// The engine for low-bit networks, in Node: integers by its own kernels in WebAssembly.

import { errorText, QdgError } from "../base/error.js";
import { VERSION } from "../base/version.js";
import { compileModules, compileShared, type EngineModules, relaxedClass } from "../engine/module.js";
import type { Threads } from "../engine/team.js";
import { openEngine } from "./engine-session.js";
import { nameOf } from "./onnx-session.js";
import type { Availability, ModelSource, Runtime, RuntimeOptions, Session } from "./runtime.js";
import { checkThreads } from "./threads.js";

let compiled: Promise<EngineModules> | undefined;
let compiledShared: Promise<EngineModules> | undefined;

/** The kernels, compiled once a process. */
function kernels(): Promise<EngineModules> {
  compiled ??= binaries().then(([simd, relaxed]) => compileModules(simd, relaxed));
  return compiled;
}

async function binaries(): Promise<readonly [simd: Uint8Array, relaxed: Uint8Array]> {
  const { readFile } = await import("node:fs/promises");
  const read = (name: string): Promise<Uint8Array> => readFile(built(`engine/${name}.wasm`));
  return [await read("simd"), await read("relaxed")];
}

/** What `npm run build` made: the same number of folders up from src/runtime and dist/runtime. */
function built(path: string): URL {
  return new URL(`../../dist/${path}`, import.meta.url);
}

/** `count` in all, the caller's own among them; null for it alone. */
async function threadsOf(count: number): Promise<Threads | null> {
  if (count === 1) return null;
  compiledShared ??= binaries().then(([simd, relaxed]) => compileShared(simd, relaxed));
  const modules = await compiledShared;
  const { Worker } = await import("node:worker_threads");
  return {
    count: count - 1,
    modules,
    spawn: (task) =>
      new Promise((resolve, reject) => {
        const worker = new Worker(built("runtime/engine-thread-node.js"), { workerData: task });
        // A program ends when its own work does, whoever waits for more.
        worker.unref();
        worker.once("message", () => resolve());
        worker.once("error", (thrown) =>
          reject(
            new QdgError("unavailable", "engine", `a thread did not start: ${errorText(thrown)}; use one`, {
              cause: thrown,
            }),
          ),
        );
      }),
  };
}

const remedy = "npm run build makes the engine's kernels; or use wasm";

/**
 * `engine`: what the integer form says, by the formulas of the reference, on WebAssembly. Patterns are part of the
 * semantics, so `optimization` makes no difference.
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
    const { threads = 1 } = options;
    checkThreads(threads);
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
    return openEngine(modules, bytes, where, await threadsOf(threads));
  },
};
