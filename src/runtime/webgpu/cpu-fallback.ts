// What ONNX Runtime says when a node would leave the GPU, said so that a user can act on it. Shared by Node and browser,
// which forbid that detour in the same way.

import { errorText, QdgError } from "../../base/error.js";

/** `thrown` as it is, or a QdgError `runtime` where it is about a node without a kernel for WebGPU. */
export function explainedFallback(thrown: unknown, where: string): unknown {
  if (!errorText(thrown).includes("assigned to the default CPU EP")) return thrown;
  return new QdgError(
    "runtime",
    where,
    "has nodes that ONNX Runtime has no WebGPU kernel for; export it with --target webgpu, or run it on cpu or wasm",
    { cause: thrown },
  );
}
