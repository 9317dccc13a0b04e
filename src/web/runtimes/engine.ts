// qdg's own engine behind the interface of runtimes: low-bit networks on WebAssembly kernels, one thread.

import { QdgError } from "../../base/error.js";
import type { EngineModules } from "../../engine/module.js";
import type { FetchedFile, WebRuntime } from "./web-runtime.js";

/** What a site calls the kernels; as a bundler finds them, where no manifest says. */
export const ENGINE_FILES = { simd: "qdg-simd.wasm", relaxed: "qdg-relaxed.wasm" } as const;

type EngineScript = typeof import("../../runtime/engine-session.js");

/** Compiled once a page, as long as the first start did not fail. */
let modules: Promise<EngineModules> | null = null;

export const engine: WebRuntime = {
  engine: "qdg",
  device: "wasm",
  files: [
    {
      name: ENGINE_FILES.simd,
      kind: "binary",
      url: new URL("../../engine/simd.wasm", import.meta.url).href,
    },
    {
      name: ENGINE_FILES.relaxed,
      kind: "binary",
      url: new URL("../../engine/relaxed.wasm", import.meta.url).href,
    },
  ],

  async start({ threads, files }) {
    if (threads !== undefined && threads !== 1) {
      throw new QdgError("usage", "threads", `got ${threads}, expected 1: the engine has one thread`);
    }
    // A chunk of its own: pages that take ONNX Runtime do without, and others fetch it together with the model.
    const script = import("../../runtime/engine-session.js");
    const starting = (modules ??= Promise.all([files(), script]).then(compile));
    starting.catch(() => {
      if (modules === starting) modules = null;
    });
    const [compiled, { openEngine }] = await Promise.all([starting, script]);
    return { threads: 1, open: (model, where) => openEngine(compiled, model, where) };
  },
};

async function compile([files, { compileModules }]: readonly [
  ReadonlyMap<string, FetchedFile>,
  EngineScript,
]): Promise<EngineModules> {
  const simd = files.get(ENGINE_FILES.simd)?.bytes;
  if (!simd)
    throw new QdgError("unavailable", "the engine", `got no ${ENGINE_FILES.simd}, expected its bytes`);
  try {
    return await compileModules(simd, files.get(ENGINE_FILES.relaxed)?.bytes ?? null);
  } catch (thrown) {
    throw new QdgError(
      "unavailable",
      "the engine",
      `its kernels are not compiled here: ${String(thrown)}; WebAssembly with SIMD is needed, and 'wasm-unsafe-eval' in the page's policy`,
      { cause: thrown },
    );
  }
}
