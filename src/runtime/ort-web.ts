// ONNX Runtime Web for pages and workers: on WebAssembly, or on WebGPU. Each device is a build of its own,
// imported when it is first used and started once, with files that the caller has fetched and checked. No
// Node built-ins; models in Node go through wasm.ts and webgpu.ts.

import { errorText, QdgError } from "../base/error.js";
import type { OrtWebDevice } from "./ort-web-files.js";
import { OnnxSession, ortOptions, runtimeError } from "./onnx-session.js";
import type { Session } from "./runtime.js";
import { checkPageThreads, checkThreads, mayThread } from "./threads.js";
import { within } from "./time-limit.js";

type Ort = typeof import("onnxruntime-web");

/** Where a build's two files come from. What is absent, ONNX Runtime looks for beside its own script. */
export interface OrtWebFiles {
  /** The binary's bytes. */
  readonly wasm?: Uint8Array;
  /** Address of the loader; the threads' workers run it too. */
  readonly mjsUrl?: string;
}

export interface OrtWebOptions {
  /** Threads on WebAssembly; when absent those of the started build, or as many as this page may have. */
  readonly threads?: number;
  /** Asked for once per build. */
  readonly files: () => Promise<OrtWebFiles>;
}

/** A started build: opens sessions. */
export interface OrtWeb {
  readonly threads: number;
  /**
   * A session, ready to run. Its calls, and those of all sessions of the device, run one after the other in
   * the order they were made. On WebGPU every node has to run there: a model that would leave part of the
   * work to the CPU is an error. So is a call that takes longer than a minute, and every call after it: a driver
   * that hangs gives nothing back.
   *
   * @param where the model, for messages
   * @throws QdgError `runtime` with the runtime's own words
   */
  open(model: Uint8Array, where: string): Promise<Session>;
}

interface Build {
  readonly ort: Ort;
  readonly threads: number;
  /** The end of the queue: one build does one thing at a time, and calls that overlap would break it. */
  last: Promise<unknown>;
  /** Of the next session: the first one starts the binary. */
  openLimitMs: number;
  /** A call that did not end. What is behind it in the queue would wait for ever. */
  hung: QdgError | null;
}

/**
 * For a session and for a run. A GPU compiles its shaders in seconds, a slow phone the binary in some more.
 * On WebAssembly a run holds up this very timer, so there the limit is for threads that do not start.
 */
const CALL_LIMIT_MS = 60_000;
/** For downloads by the browser, whose bytes cannot be watched: 27 MB at 45 kB/s. */
const DOWNLOAD_LIMIT_MS = 600_000;

const builds = new Map<OrtWebDevice, Promise<Build>>();

/** No more of them than this by default: beyond, small models gain nothing. */
const MOST_DEFAULT_THREADS = 4;

/**
 * The build of ONNX Runtime for a device, started at the first call on this page. `options.files` is called
 * at once, before anything is waited for, or not at all.
 *
 * @throws QdgError `unavailable` when the build cannot be loaded or runs with other threads, `usage` for
 * threads that are no integer >= 1; what `options.files` throws
 */
export async function startOrtWeb(device: OrtWebDevice, options: OrtWebOptions): Promise<OrtWeb> {
  const build = await buildOf(device, options);
  return { threads: build.threads, open: (model, where) => open(device, build, model, where) };
}

async function open(device: OrtWebDevice, build: Build, model: Uint8Array, where: string): Promise<Session> {
  const { ort, threads } = build;
  const session = await inTurn(build, "opening a session", where, build.openLimitMs, async () => {
    try {
      const created = await ort.InferenceSession.create(model, ortOptions(device, { threads }));
      build.openLimitMs = CALL_LIMIT_MS;
      return new OnnxSession(where, created, ort.Tensor);
    } catch (thrown) {
      throw runtimeError(where, thrown);
    } finally {
      // Started by now, or never: the bytes of the binary (14 to 27 MB) are not needed again.
      delete ort.env.wasm.wasmBinary;
    }
  });
  return {
    inputs: session.inputs,
    outputs: session.outputs,
    run: (feeds) => inTurn(build, "a run", where, CALL_LIMIT_MS, () => session.run(feeds)),
    async dispose() {
      // There is no way to free what a call holds that never ends.
      if (build.hung !== null) return;
      await inTurn(build, "closing a session", where, CALL_LIMIT_MS, () => session.dispose());
    },
  };
}

function inTurn<T>(
  build: Build,
  what: string,
  where: string,
  limitMs: number,
  task: () => Promise<T>,
): Promise<T> {
  const result = build.last.then(() => {
    if (build.hung !== null) throw build.hung;
    return within(limitMs, task(), () => {
      build.hung = new QdgError(
        "runtime",
        where,
        `${what} did not end in ${limitMs / 1000} s; restart the browser, or take another device`,
      );
      return build.hung;
    });
  });
  build.last = result.catch(() => undefined);
  return result;
}

async function buildOf(device: OrtWebDevice, options: OrtWebOptions): Promise<Build> {
  const { threads } = options;
  if (threads !== undefined) {
    checkThreads(threads);
    if (threads > 1 && device === "webgpu") {
      throw new QdgError("usage", "threads", `got ${threads}, expected 1 on webgpu, which has its own`);
    }
    checkPageThreads(threads);
  }
  for (;;) {
    const running = builds.get(device);
    if (running === undefined) break;
    const build = await running.catch(() => null);
    // A start that failed, or that its caller aborted, is not the end for others.
    if (build === null) continue;
    if (threads === undefined || threads === build.threads) return build;
    throw new QdgError(
      "unavailable",
      `runtime ${device}`,
      `threads: got ${threads}, expected ${build.threads} as in the first model of this page; run the other number in a worker of its own`,
    );
  }
  const starting = start(device, threads ?? defaultThreads(device), options.files).catch(
    (thrown: unknown) => {
      builds.delete(device);
      throw thrown;
    },
  );
  builds.set(device, starting);
  return starting;
}

async function start(
  device: OrtWebDevice,
  threads: number,
  files: () => Promise<OrtWebFiles>,
): Promise<Build> {
  const [ort, { wasm, mjsUrl }] = await Promise.all([load(device), files()]);
  ort.env.logLevel = "fatal";
  ort.env.wasm.numThreads = threads;
  if (wasm !== undefined) ort.env.wasm.wasmBinary = wasm;
  if (mjsUrl !== undefined) ort.env.wasm.wasmPaths = { mjs: mjsUrl };
  const openLimitMs = wasm === undefined ? DOWNLOAD_LIMIT_MS : CALL_LIMIT_MS;
  return { ort, threads, last: Promise.resolve(), openLimitMs, hung: null };
}

async function load(device: OrtWebDevice): Promise<Ort> {
  const script = device === "wasm" ? import("onnxruntime-web/wasm") : import("onnxruntime-web/webgpu");
  try {
    return await within(
      DOWNLOAD_LIMIT_MS,
      script,
      () => new Error(`its script did not come in ${DOWNLOAD_LIMIT_MS / 1000} s`),
    );
  } catch (thrown) {
    throw new QdgError(
      "unavailable",
      `runtime ${device}`,
      `${errorText(thrown)}; onnxruntime-web has to be served with the page`,
      { cause: thrown },
    );
  }
}

/** Half the cores, at most 4, where threads are allowed. */
function defaultThreads(device: OrtWebDevice): number {
  if (device === "webgpu" || !mayThread()) return 1;
  const { navigator } = globalThis as { navigator?: { hardwareConcurrency?: number } };
  return Math.min(MOST_DEFAULT_THREADS, Math.ceil((navigator?.hardwareConcurrency ?? 1) / 2));
}
