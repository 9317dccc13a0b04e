// Runs a model in ONNX Runtime, which judges here what the codec wrote and what to-graph inlined.

import * as ort from "onnxruntime-node";
import type { ModelProto } from "../../src/onnx/model-proto.js";
import { encodeModel } from "../../src/onnx/codec.js";

/** Outputs by name, as plain numbers, of float32 inputs. Without graph optimizations: the file as it is. */
export async function runModel(
  model: ModelProto,
  feeds: Readonly<Record<string, { readonly shape: readonly number[]; readonly data: Float32Array }>>,
): Promise<Record<string, { shape: number[]; data: number[] }>> {
  const session = await ort.InferenceSession.create(encodeModel(model), {
    graphOptimizationLevel: "disabled",
    intraOpNumThreads: 1,
    logSeverityLevel: 3,
  });
  try {
    const inputs = Object.fromEntries(
      Object.entries(feeds).map(([name, { shape, data }]) => [name, new ort.Tensor("float32", data, shape)]),
    );
    const results = await session.run(inputs);
    return Object.fromEntries(
      Object.entries(results).map(([name, { dims, data }]) => [
        name,
        { shape: [...dims], data: Array.from(data as Float32Array, Number) },
      ]),
    );
  } finally {
    await session.release();
  }
}
