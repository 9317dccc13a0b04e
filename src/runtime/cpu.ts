// The native ONNX Runtime on the CPU. onnxruntime-node is loaded at the first probe or open, never when qdg
// is: its binary takes long to load, and a machine without it must still export.

import { access } from "node:fs/promises";
import { errorText, QdgError } from "../base/error.js";
import { nameOf, OnnxSession, ortOptions, runtimeError } from "./onnx-session.js";
import type { Availability, ModelSource, Runtime, RuntimeOptions, Session } from "./runtime.js";

type Ort = typeof import("onnxruntime-node");

async function load(): Promise<Ort> {
  const module = await import("onnxruntime-node");
  const ort = "default" in module ? module.default : module;
  // Read once, when the first session is made. Below that ORT writes to stderr what it throws as well.
  ort.env.logLevel = "fatal";
  return ort;
}

const remedy = "install onnxruntime-node for this platform (npm install onnxruntime-node), or use wasm";

/** `cpu`: onnxruntime-node. A path is given to it as it is, so external data lies beside the file. */
export const cpuRuntime: Runtime = {
  name: "cpu",

  async probe(): Promise<Availability> {
    try {
      const ort = await load();
      return { available: true, version: `onnxruntime-node ${ort.env.versions.node ?? "unknown"}` };
    } catch (thrown) {
      return { available: false, reason: errorText(thrown), remedy };
    }
  },

  async open(model: ModelSource, options: RuntimeOptions = {}): Promise<Session> {
    const where = nameOf(model);
    const ortSessionOptions = {
      ...ortOptions("cpu", options),
      ...(options.optimizedModelPath === undefined
        ? {}
        : { optimizedModelFilePath: options.optimizedModelPath }),
    };
    let ort: Ort;
    try {
      ort = await load();
    } catch (thrown) {
      throw new QdgError("unavailable", "runtime cpu", `${errorText(thrown)}; ${remedy}`, { cause: thrown });
    }
    if ("path" in model) await requireFile(model.path);
    let session: Awaited<ReturnType<Ort["InferenceSession"]["create"]>>;
    try {
      session =
        "path" in model
          ? await ort.InferenceSession.create(model.path, ortSessionOptions)
          : await ort.InferenceSession.create(model.bytes, ortSessionOptions);
    } catch (thrown) {
      throw runtimeError(where, thrown);
    }
    return new OnnxSession(where, session, ort.Tensor);
  },
};

async function requireFile(path: string): Promise<void> {
  try {
    await access(path);
  } catch (thrown) {
    throw new QdgError("not-found", path, `no such file to run: ${errorText(thrown)}`, { cause: thrown });
  }
}
