// Operators that ONNX Runtime computes, but not on WebGPU. A session would put them on the CPU, or refuse the file:
// the export says so first.

import { QdgError } from "../base/error.js";
import type { Graph } from "../graph/graph.js";

/** Of those that qdg writes; found by loading each alone in ONNX Runtime 1.30, as test/lower/webgpu-kernels does. */
export const WITHOUT_WEBGPU_KERNEL: ReadonlySet<string> = new Set([
  "Celu",
  "LogSoftmax",
  "Mean",
  "Selu",
  "Softsign",
  "Sum",
]);

/** @throws QdgError `unsupported-layer` for the first node that would not run on the GPU */
export function requireWebgpuKernels(graph: Graph): void {
  for (const { op, origin, domain } of graph.nodes) {
    if (domain !== "" || !WITHOUT_WEBGPU_KERNEL.has(op)) continue;
    throw new QdgError(
      "unsupported-layer",
      `${origin} (${op})`,
      "has no WebGPU kernel in ONNX Runtime; leave webgpu out of --target, or give --calibration where only the weights are quantized",
    );
  }
}
