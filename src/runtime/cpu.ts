// The native ONNX Runtime on the CPU. onnxruntime-node is loaded at the first probe or open.

import { errorText } from "../base/error.js";
import { INSTALL_NATIVE_ORT, loadNativeOrt, openNative } from "./native-ort.js";
import { ortOptions } from "./onnx-session.js";
import type { Availability, ModelSource, Runtime, RuntimeOptions, Session } from "./runtime.js";

const remedy = `${INSTALL_NATIVE_ORT}, or use wasm`;

/** `cpu`: onnxruntime-node. A path is given to it as it is, so external data lies beside the file. */
export const cpuRuntime: Runtime = {
  name: "cpu",

  async probe(): Promise<Availability> {
    try {
      const ort = await loadNativeOrt();
      return { available: true, version: `onnxruntime-node ${ort.env.versions.node ?? "unknown"}` };
    } catch (thrown) {
      return { available: false, reason: errorText(thrown), remedy };
    }
  },

  async open(model: ModelSource, options: RuntimeOptions = {}): Promise<Session> {
    return openNative("cpu", model, ortOptions("cpu", options), options, remedy);
  },
};
