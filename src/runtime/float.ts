// The float model, whatever file it is, as stock software computes it: the oracle of floats. tfjs for a model.json, ONNX Runtime for an
// ONNX file. Chooses between the two and computes nothing.

import { modelPath } from "../read/model-path.js";
import { bytesOfNetwork } from "../read/onnx/single-file.js";
import { cpuRuntime } from "./cpu.js";
import type { Availability, ModelSource, Runtime, Session } from "./runtime.js";
import { tfjsRuntime } from "./tfjs.js";

/** What computes a float model. */
export type FloatEngine = "tfjs" | "cpu";

/** @throws QdgError as `modelPath` */
export async function floatEngineOf(path: string): Promise<FloatEngine> {
  return (await modelPath(path)).kind === "model-json" ? "tfjs" : "cpu";
}

/**
 * `float`: a layers-model or a graph-model by tfjs, see {@link tfjsRuntime}; an ONNX file by onnxruntime-node, float16 widened to
 * float32, names of classes left out of its outputs. Quantizers that a file has are computed as they stand there.
 */
export const floatRuntime: Runtime = {
  name: "float",

  async probe(): Promise<Availability> {
    const [tfjs, cpu] = [await tfjsRuntime.probe(), await cpuRuntime.probe()];
    if (!tfjs.available) return tfjs;
    if (!cpu.available) return cpu;
    return { available: true, version: `${tfjs.version}; ${cpu.version} for ONNX files` };
  },

  async open(model: ModelSource, options): Promise<Session> {
    if (!("path" in model)) return cpuRuntime.open(model, options);
    const { kind, path } = await modelPath(model.path);
    if (kind === "model-json") return tfjsRuntime.open({ path }, options);
    // It decodes the file: nothing reaches ONNX Runtime that qdg would refuse.
    const bytes = await bytesOfNetwork(path);
    return cpuRuntime.open(bytes ? { bytes } : { path }, options);
  },
};
