// The names of ONNX Runtime Web's files, apart from what starts them, which a page loads only when it is needed.

export type OrtWebDevice = "wasm" | "webgpu";

/** What ONNX Runtime calls the files of each build: its loader, and the binary that the loader starts. */
export const ORT_WEB_FILES: Readonly<Record<OrtWebDevice, { readonly mjs: string; readonly wasm: string }>> =
  {
    wasm: { mjs: "ort-wasm-simd-threaded.mjs", wasm: "ort-wasm-simd-threaded.wasm" },
    webgpu: { mjs: "ort-wasm-simd-threaded.asyncify.mjs", wasm: "ort-wasm-simd-threaded.asyncify.wasm" },
  };
