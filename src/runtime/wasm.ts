// ONNX Runtime on WebAssembly: the code that browsers run, in Node as well. Loaded at the first probe or
// open. Its .wasm file comes from the installed package, never from a network. Loads in browsers: Node
// built-ins only where a path is read.

import { errorText, QdgError } from "../base/error.js";
import { nameOf, OnnxSession, ortOptions, runtimeError } from "./onnx-session.js";
import type { Availability, ModelSource, Runtime, RuntimeOptions, Session } from "./runtime.js";

type Ort = typeof import("onnxruntime-web");

/** Threads that the one WASM module of this process was started with. */
let startedThreads: number | null = null;

async function load(): Promise<Ort> {
  const ort = await import("onnxruntime-web");
  ort.env.logLevel = "fatal";
  return ort;
}

const remedy = "install onnxruntime-web (npm install onnxruntime-web)";

/**
 * `wasm`: onnxruntime-web. Threads are those of the process: the first model opened decides, since the
 * WASM module is started once.
 */
export const wasmRuntime: Runtime = {
  name: "wasm",

  async probe(): Promise<Availability> {
    try {
      const ort = await load();
      return { available: true, version: `onnxruntime-web ${ort.env.versions.web ?? "unknown"}` };
    } catch (thrown) {
      return { available: false, reason: errorText(thrown), remedy };
    }
  },

  async open(model: ModelSource, options: RuntimeOptions = {}): Promise<Session> {
    const where = nameOf(model);
    const ortSessionOptions = ortOptions("wasm", options);
    if (options.optimizedModelPath !== undefined) {
      throw new QdgError("usage", "optimizedModelPath", "the wasm runtime cannot write files; use cpu");
    }
    let ort: Ort;
    try {
      ort = await load();
    } catch (thrown) {
      throw new QdgError("unavailable", "runtime wasm", `${errorText(thrown)}; ${remedy}`, { cause: thrown });
    }
    const bytes =
      "path" in model
        ? await (await import("../onnx/whole-model.js")).readWholeModel(model.path)
        : model.bytes;
    startThreads(ort, ortSessionOptions.intraOpNumThreads);
    let session: Awaited<ReturnType<Ort["InferenceSession"]["create"]>>;
    try {
      session = await ort.InferenceSession.create(bytes, ortSessionOptions);
    } catch (thrown) {
      throw runtimeError(where, thrown);
    }
    return new OnnxSession(where, session, ort.Tensor);
  },
};

function startThreads(ort: Ort, threads: number): void {
  if (startedThreads === null) {
    startedThreads = threads;
    ort.env.wasm.numThreads = threads;
  } else if (startedThreads !== threads) {
    throw new QdgError(
      "unavailable",
      "runtime wasm",
      `threads: got ${threads}, expected ${startedThreads} as in the first model of this process; run the other number in a process of its own`,
    );
  }
}
