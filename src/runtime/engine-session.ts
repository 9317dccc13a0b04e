// A session of the engine from the bytes of a file, in Node and on pages alike: no Node built-ins.

import { QdgError } from "../base/error.js";
import { loadEngine } from "../engine/engine.js";
import type { EngineModules } from "../engine/module.js";
import { withUnpackedWeights } from "../engine/unpacked-weights.js";
import { decodeModel } from "../onnx/codec.js";
import { modelToGraph } from "../onnx/to-graph.js";
import { GraphSession } from "./graph-session.js";
import type { Session } from "./runtime.js";

export { compileModules } from "../engine/module.js";

/** @throws QdgError `invalid-onnx`; `unsupported-op` naming what the engine does not compute, and for float networks */
export async function openEngine(modules: EngineModules, bytes: Uint8Array, where: string): Promise<Session> {
  const graph = modelToGraph(withUnpackedWeights(decodeModel(bytes, where)));
  if (!graph.nodes.some(({ op }) => op === "QuantizeLinear" || op === "DequantizeLinear")) {
    throw new QdgError(
      "unsupported-op",
      where,
      "has no integers, and the engine is for low-bit networks; run it on wasm",
    );
  }
  return GraphSession.open(graph, where, async () => {
    const network = await loadEngine(graph, modules);
    return (feeds) => network.run(feeds);
  });
}
