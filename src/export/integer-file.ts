// An annotated graph as the bytes of an ONNX file: lowered, verified, encoded.

import type { Graph } from "../graph/graph.js";
import { removeDeadNodes } from "../graph/graph.js";
import { CPU_FILE_PASSES, FILE_PASSES, runPasses } from "../graph/passes/pipelines.js";
import { verifyGraph } from "../graph/verify.js";
import { lower, type Lowered, type LowerOptions } from "../lower/lower.js";
import { shiftFunction } from "../lower/shift-function.js";
import { unpackFunction } from "../lower/unpack-function.js";
import { requireWebgpuKernels } from "../lower/webgpu-kernels.js";
import { MIN_BITS } from "../quant/spec.js";
import { encodeModel } from "../onnx/codec.js";
import { graphToModel } from "../onnx/from-graph.js";
import { irVersionFor } from "../onnx/opset.js";
import { verifyModel } from "../onnx/verify.js";
import { VERSION } from "../base/version.js";

export interface IntegerFile {
  readonly bytes: Uint8Array;
  readonly lowered: Lowered;
}

/**
 * @param metadata by the lowered graph, since it names that graph's values
 * @throws QdgError `unsupported-layer` for what has no exact lowering, or in the webgpu form no kernel
 */
export function integerFile(
  graph: Graph,
  opset: number,
  options: LowerOptions,
  metadata: (lowered: Lowered) => Readonly<Record<string, string>>,
): IntegerFile {
  const lowered = lower(graph, options);
  const expanded = runPasses(lowered.graph, options.form === "webgpu" ? FILE_PASSES : CPU_FILE_PASSES);
  removeDeadNodes(expanded);
  verifyGraph(expanded);
  if (options.form === "webgpu") requireWebgpuKernels(expanded);
  const functions = [shiftFunction(opset)];
  for (let bits = MIN_BITS; bits < 8; bits++) functions.push(unpackFunction(bits, opset));
  const model = graphToModel(expanded, {
    opset,
    irVersion: irVersionFor(opset),
    producerVersion: VERSION,
    metadata: metadata(lowered),
    functions,
  });
  verifyModel(model);
  return { bytes: encodeModel(model), lowered };
}
