// A visitor's machine in Node: WebAssembly is the real one, the GPU computes on it too, and either can be broken.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { expect } from "vitest";
import { QdgError } from "../../src/base/error.js";
import { startOrtWeb } from "../../src/runtime/ort-web.js";
import { ORT_WEB_FILES } from "../../src/runtime/ort-web-files.js";
import type { Session } from "../../src/runtime/runtime.js";
import type { Adapter, Platform } from "../../src/web/device.js";
import { load, loadOn, type LoadOptions } from "../../src/web/load.js";
import type { FileCache } from "../../src/web/file-cache.js";
import type { StartedRuntime, StartOptions, WebRuntimeName } from "../../src/web/runtimes/web-runtime.js";

const { resolve } = createRequire(import.meta.url);

/** Of all machines of a test file. */
export const sessions: { opened: number; disposed: number } = { opened: 0, disposed: 0 };

export const NO_GPU: Adapter = { available: false, reason: "there is no GPU adapter" };
export const GPU: Adapter = { available: true, description: "fake GPU" };

/** A machine whose GPU computes on wasm; `broken` may change what a runtime answers, or refuse to open. */
export function machine(
  adapter: Adapter,
  broken: (runtime: WebRuntimeName, session: Session) => Session = (_, session) => session,
  cache: FileCache | null = null,
): Platform {
  return {
    adapter: async () => adapter,
    cache: () => cache,
    async start(runtime, options): Promise<StartedRuntime> {
      const build = runtime.engine === "qdg" ? await runtime.start(options) : await onWasm(options);
      return {
        threads: build.threads,
        async open(model, where) {
          const session = await build.open(model, where);
          sessions.opened++;
          return broken(runtime, {
            inputs: session.inputs,
            outputs: session.outputs,
            run: (feeds) => session.run(feeds),
            ...(session.imageRun && { imageRun: (input) => session.imageRun?.(input) ?? null }),
            dispose: async () => {
              sessions.disposed++;
              await session.dispose();
            },
          });
        },
      };
    },
  };
}

async function onWasm(options: StartOptions): Promise<StartedRuntime> {
  await options.files();
  const wasm = readFileSync(resolve(`onnxruntime-web/${ORT_WEB_FILES.wasm.wasm}`));
  return startOrtWeb("wasm", { files: async () => ({ wasm }) });
}

/** load and loadOn with ONNX Runtime alone: tests of its devices. */
export const onnxruntimeLoad: typeof load = (url, options) => load(url, withOnnxruntime(options));
export const onnxruntimeLoadOn: typeof loadOn = (platform, url, options) =>
  loadOn(platform, url, withOnnxruntime(options));

function withOnnxruntime(options: LoadOptions = {}): LoadOptions {
  // What is no options at all is passed on, to be refused.
  return typeof options === "object" && options !== null ? { engine: "onnxruntime", ...options } : options;
}

/** What a promise is rejected with. */
export async function errorOf(promise: Promise<unknown>): Promise<QdgError> {
  const thrown = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(thrown).toBeInstanceOf(QdgError);
  return thrown as QdgError;
}
