// Operators that ONNX Runtime computes, but not on WebGPU. A session would put them on the CPU, or refuse the file:
// the export says so first.

import { QdgError } from "../base/error.js";
import type { Graph, Node } from "../graph/graph.js";

/** Of those that qdg writes; found by loading each alone in ONNX Runtime 1.30, as test/lower/webgpu-kernels does. */
export const WITHOUT_WEBGPU_KERNEL: ReadonlySet<string> = new Set([
  "Celu",
  "ConstantOfShape",
  "IsInf",
  "IsNaN",
  "LRN",
  "LogSoftmax",
  "Mean",
  "Mod",
  "NonMaxSuppression",
  "NonZero",
  "OneHot",
  "Or",
  "Round",
  "Selu",
  "Sign",
  "Size",
  "Softsign",
  "Sum",
  "Xor",
]);

/** Those that have a kernel for reals and none for integers. */
export const REAL_ON_WEBGPU: ReadonlySet<string> = new Set(["Abs", "Neg"]);

/** Whether ONNX Runtime's WebGPU runs the node, as far as the operator and the type of its result tell. */
export function hasWebgpuKernel({ op, domain, outputs }: Node): boolean {
  if (domain !== "") return true;
  return !WITHOUT_WEBGPU_KERNEL.has(op) && (outputs[0]?.dtype === "float32" || !REAL_ON_WEBGPU.has(op));
}

/** @throws QdgError `unsupported-layer` for the first node that would not run on the GPU */
export function requireWebgpuKernels(graph: Graph): void {
  for (const node of graph.nodes) {
    if (hasWebgpuKernel(node)) continue;
    throw new QdgError(
      "unsupported-layer",
      `${node.origin} (${node.op})`,
      "has no WebGPU kernel in ONNX Runtime; leave webgpu out of --target, or give --calibration where only the weights are quantized",
    );
  }
}
