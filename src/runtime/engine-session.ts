// A session of the engine from the bytes of a file, in Node and on pages alike: no Node built-ins.

import { QdgError } from "../base/error.js";
import type { DType } from "../base/tensor.js";
import { USUAL_OPERATORS } from "../compute/usual-operators.js";
import type { Operators } from "../compute/kernel.js";
import { loadEngine } from "../engine/engine.js";
import type { EngineModules } from "../engine/module.js";
import type { Threads } from "../engine/team.js";
import { withUnpackedWeights } from "../engine/unpacked-weights.js";
import { type Graph, valuesOf } from "../graph/graph.js";
import { decodeModel } from "../onnx/codec.js";
import { modelToGraph } from "../onnx/to-graph.js";
import { type Compute, GraphSession } from "./graph-session.js";
import type { Session } from "./runtime.js";

export { compileModules, compileShared } from "../engine/module.js";

/** Types of which a network has some where it is more than float32. */
const INTEGERS: ReadonlySet<DType> = new Set<DType>(["int4", "uint4", "int8", "uint8"]);

/** @throws QdgError `invalid-onnx`; `unsupported-op` naming what the engine does not compute, and for float networks */
export async function openEngine(
  modules: EngineModules,
  bytes: Uint8Array,
  where: string,
  threads: Threads | null = null,
): Promise<Session> {
  const model = withUnpackedWeights(decodeModel(bytes, where));
  const graph = modelToGraph(model);
  if (!valuesOf(graph).some(({ dtype }) => INTEGERS.has(dtype))) {
    throw new QdgError(
      "unsupported-op",
      where,
      "has no integers, and the engine is for low-bit networks; run it on wasm",
    );
  }
  const open = (raised: Graph, operators: Operators): Promise<Session> =>
    GraphSession.open(raised, where, () => computeOf(raised, modules, operators, threads));
  try {
    return await open(graph, USUAL_OPERATORS);
  } catch (thrown) {
    if (!(thrown instanceof QdgError) || thrown.code !== "unsupported-op") throw thrown;
    // A page loads what few networks have with the first of them. Raised anew: the graph has changed.
    const { ALL_OPERATORS } = await import("../compute/operators.js");
    return open(modelToGraph(model), ALL_OPERATORS);
  }
}

/** A function of its own: what it returns holds the network, and not the graph with all its weights. */
async function computeOf(
  graph: Graph,
  modules: EngineModules,
  operators: Operators,
  threads: Threads | null,
): Promise<Compute> {
  const network = await loadEngine(graph, modules, operators, threads);
  return {
    run: (feeds) => network.run(feeds),
    onImages: (input) => network.pixelRun(input),
    dispose: () => network.dispose(),
  };
}
