// What the page calls runtimes, and which files of a site are whose.

import type { Manifest, Model } from "../src/web.js";

type Runtime = Pick<Model, "engine" | "device">;

export function nameOf({ engine, device }: Runtime): string {
  if (engine === "qdg") return "qdg's engine";
  return `ONNX Runtime, ${device === "webgpu" ? "WebGPU" : "WebAssembly"}`;
}

/** Whose files the service worker keeps. */
export function roleOf({ engine, device }: Runtime): string {
  return engine === "qdg" ? "engine" : device;
}

/** Bytes of a runtime's own files, the page's scripts not among them. */
export function runtimeBytes({ runtime }: Manifest, { engine, device }: Runtime): number {
  return runtime.files
    .filter((file) => file.engine === engine && file.device === device)
    .reduce((sum, file) => sum + file.sizeBytes, 0);
}
