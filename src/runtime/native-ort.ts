// Loads onnxruntime-node and opens sessions of it: what the runtimes cpu and webgpu share. Never loaded when qdg
// is: its binary takes long to load, and a machine without it must still export.

import { access } from "node:fs/promises";
import { errorText, QdgError } from "../base/error.js";
import { nameOf, OnnxSession, type OrtOptions, runtimeError } from "./onnx-session.js";
import type { ModelSource, RuntimeOptions, Session } from "./runtime.js";

type Ort = typeof import("onnxruntime-node");

export const INSTALL_NATIVE_ORT = "install onnxruntime-node for this platform (npm install onnxruntime-node)";

/** Throws what the loading of a binary throws. */
export async function loadNativeOrt(): Promise<Ort> {
  const module = await import("onnxruntime-node");
  const ort = "default" in module ? module.default : module;
  // Read once, when the first session is made. Below that ORT writes to stderr what it throws as well.
  ort.env.logLevel = "fatal";
  return ort;
}

/**
 * A path is given to ONNX Runtime as it is, so external data lies beside the file.
 *
 * @param remedy for an onnxruntime-node that does not load
 * @throws QdgError `unavailable`, `not-found` or `runtime`
 */
export async function openNative(
  runtime: "cpu" | "webgpu",
  model: ModelSource,
  ortOptions: OrtOptions,
  { optimizedModelPath }: RuntimeOptions,
  remedy: string,
): Promise<Session> {
  const where = nameOf(model);
  const options = {
    ...ortOptions,
    ...(optimizedModelPath === undefined ? {} : { optimizedModelFilePath: optimizedModelPath }),
  };
  let ort: Ort;
  try {
    ort = await loadNativeOrt();
  } catch (thrown) {
    throw new QdgError("unavailable", `runtime ${runtime}`, `${errorText(thrown)}; ${remedy}`, {
      cause: thrown,
    });
  }
  if ("path" in model) await requireFile(model.path);
  let session: Awaited<ReturnType<Ort["InferenceSession"]["create"]>>;
  try {
    session =
      "path" in model
        ? await ort.InferenceSession.create(model.path, options)
        : await ort.InferenceSession.create(model.bytes, options);
  } catch (thrown) {
    throw runtimeError(where, thrown);
  }
  return new OnnxSession(where, session, ort.Tensor);
}

async function requireFile(path: string): Promise<void> {
  try {
    await access(path);
  } catch (thrown) {
    throw new QdgError("not-found", path, `no such file to run: ${errorText(thrown)}`, { cause: thrown });
  }
}
