// qdg's own engine behind the interface of runtimes: low-bit networks on WebAssembly kernels, by one thread unless more are
// asked for: most are done before a thread would have started.

import { QdgError } from "../../base/error.js";
import type { EngineModules } from "../../engine/module.js";
import type { Threads, ThreadTask } from "../../engine/team.js";
import { checkPageThreads } from "../../runtime/threads.js";
import { within } from "../../runtime/time-limit.js";
import type { WorkerLike } from "../browser.js";
import type { FetchedFile, WebRuntime } from "./web-runtime.js";

/** What a site calls the kernels; as a bundler finds them, where no manifest says. */
export const ENGINE_FILES = { simd: "qdg-simd.wasm", relaxed: "qdg-relaxed.wasm" } as const;

type EngineScript = typeof import("../../runtime/engine-session.js");

interface Compiled {
  readonly modules: EngineModules;
  /** For memory that threads share. */
  shared(): Promise<EngineModules>;
}

/** Once a page, as long as the first start did not fail. */
let compiled: Promise<Compiled> | null = null;

const START_LIMIT_MS = 10_000;

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

  async start({ threads = 1, files }) {
    checkPageThreads(threads);
    // A chunk of its own: pages that take ONNX Runtime do without, and others fetch it together with the model.
    const script = import("../../runtime/engine-session.js");
    const starting = (compiled ??= Promise.all([files(), script]).then(compile));
    starting.catch(() => {
      if (compiled === starting) compiled = null;
    });
    const [own, { openEngine }] = await Promise.all([starting, script]);
    const others: Threads | null =
      threads === 1 ? null : { count: threads - 1, modules: await own.shared(), spawn };
    return { threads, open: (model, where) => openEngine(own.modules, model, where, others) };
  },
};

/** A worker that computes its parts until it is told to stop. */
async function spawn(task: ThreadTask): Promise<void> {
  const { Worker } = globalThis as unknown as {
    readonly Worker: new (url: URL, options: { readonly type: "module" }) => WorkerLike;
  };
  const worker = new Worker(new URL("../../runtime/engine-thread-web.js", import.meta.url), {
    type: "module",
  });
  const ready = new Promise<void>((resolve, reject) => {
    worker.addEventListener("message", ({ data }) => {
      if (data === "ready") resolve();
      else reject(failed(String(data)));
    });
    worker.addEventListener("error", ({ message = "its script does not load" }) => reject(failed(message)));
  });
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker has none
  worker.postMessage(task);
  try {
    await within(START_LIMIT_MS, ready, () => failed(`it did not answer in ${START_LIMIT_MS / 1000} s`));
  } catch (thrown) {
    worker.terminate();
    throw thrown;
  }
}

function failed(what: string): QdgError {
  return new QdgError("unavailable", "the engine", `a thread did not start: ${what}; use one`);
}

async function compile([files, { compileModules, compileShared }]: readonly [
  ReadonlyMap<string, FetchedFile>,
  EngineScript,
]): Promise<Compiled> {
  const simd = files.get(ENGINE_FILES.simd)?.bytes;
  const relaxed = files.get(ENGINE_FILES.relaxed)?.bytes ?? null;
  if (!simd)
    throw new QdgError("unavailable", "the engine", `got no ${ENGINE_FILES.simd}, expected its bytes`);
  try {
    const modules = await compileModules(simd, relaxed);
    return { modules, shared: () => compileShared(simd, relaxed) };
  } catch (thrown) {
    throw new QdgError(
      "unavailable",
      "the engine",
      `its kernels are not compiled here: ${String(thrown)}; WebAssembly with SIMD is needed, and 'wasm-unsafe-eval' in the page's policy`,
      { cause: thrown },
    );
  }
}
