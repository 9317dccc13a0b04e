// ONNX Runtime Web behind the interface of runtimes: a build for WebAssembly, and one for WebGPU.

import { ORT_WEB_FILES } from "../../runtime/ort-web-files.js";
import type { WebDevice } from "../manifest.js";
import type { WebRuntime } from "./web-runtime.js";

export const onnxruntimeWasm: WebRuntime = onnxruntime("wasm");
export const onnxruntimeWebgpu: WebRuntime = onnxruntime("webgpu");

function onnxruntime(device: WebDevice): WebRuntime {
  const { mjs, wasm } = ORT_WEB_FILES[device];
  return {
    engine: "onnxruntime",
    device,
    files: [
      { name: mjs, kind: "script", url: null },
      { name: wasm, kind: "binary", url: null },
    ],
    async start({ files, ...options }) {
      // At once, before the script comes: both are on their way together.
      const fetching = files();
      fetching.catch(() => undefined);
      const { startOrtWeb } = await import("../../runtime/ort-web.js");
      return startOrtWeb(device, {
        ...options,
        files: async () => {
          const fetched = await fetching;
          const binary = fetched.get(wasm)?.bytes ?? null;
          const script = fetched.get(mjs);
          return { ...(binary && { wasm: binary }), ...(script && { mjsUrl: script.url }) };
        },
      });
    },
  };
}
