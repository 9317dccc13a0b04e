// A visitor's machine in Node: WebAssembly is the real one, the GPU computes on it too, and either can be broken.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { expect } from "vitest";
import { QdgError } from "../../src/base/error.js";
import type { OrtWeb } from "../../src/runtime/ort-web.js";
import { ORT_WEB_FILES, startOrtWeb } from "../../src/runtime/ort-web.js";
import type { Session } from "../../src/runtime/runtime.js";
import type { Adapter, Platform } from "../../src/web/device.js";
import type { FileCache } from "../../src/web/file-cache.js";
import type { WebDevice } from "../../src/web/manifest.js";

const { resolve } = createRequire(import.meta.url);

/** Of all machines of a test file. */
export const sessions: { opened: number; disposed: number } = { opened: 0, disposed: 0 };

export const NO_GPU: Adapter = { available: false, reason: "there is no GPU adapter" };
export const GPU: Adapter = { available: true, description: "fake GPU" };

/** A machine whose GPU computes on wasm; `break` may change what a device answers, or refuse to open. */
export function machine(
  adapter: Adapter,
  broken: (device: WebDevice, session: Session) => Session = (_, session) => session,
  cache: FileCache | null = null,
): Platform {
  return {
    adapter: async () => adapter,
    cache: () => cache,
    async start(device, options): Promise<OrtWeb> {
      await options.files();
      const wasm = readFileSync(resolve(`onnxruntime-web/${ORT_WEB_FILES.wasm.wasm}`));
      const build = await startOrtWeb("wasm", { files: async () => ({ wasm }) });
      return {
        threads: build.threads,
        async open(model, where) {
          const session = await build.open(model, where);
          sessions.opened++;
          return broken(device, {
            ...session,
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

/** What a promise is rejected with. */
export async function errorOf(promise: Promise<unknown>): Promise<QdgError> {
  const thrown = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(thrown).toBeInstanceOf(QdgError);
  return thrown as QdgError;
}
