// The reference: a small interpreter of the integer graph, raised from the bytes of the file and from nothing
// else. It is the oracle of every lowering and runtime: it must stay slow, plain and obviously right.

import { QdgError } from "../base/error.js";
import type { Graph } from "../graph/graph.js";
import { isUnknownRank } from "../graph/unknown-shape.js";
import { decodeModel } from "../onnx/codec.js";
import { modelToGraph } from "../onnx/to-graph.js";
import { GraphSession } from "./graph-session.js";
import { nameOf } from "./onnx-session.js";
import { planOf, runPlan } from "./reference/plan.js";
import type { Availability, ModelSource, Runtime, RuntimeOptions, Session } from "./runtime.js";

/**
 * `reference`: computes what a file says, integer patterns as the integer kernels do (fused-kernels.ts),
 * everything else literally in float32. Options make no difference: there is one thread, and patterns
 * are part of the semantics.
 */
export const referenceRuntime: Runtime = {
  name: "reference",

  async probe(): Promise<Availability> {
    return { available: true, version: "reference interpreter" };
  },

  async open(model: ModelSource, _options: RuntimeOptions = {}): Promise<Session> {
    const where = nameOf(model);
    if (!("path" in model)) return openGraph(modelToGraph(decodeModel(model.bytes, where)), where);
    const { readBytes } = await import("../base/read-bytes.js");
    const bytes = await readBytes(model.path);
    const { dataIn } = await import("../onnx/external-data.js");
    const path = await import("node:path");
    return openGraph(
      modelToGraph(decodeModel(bytes, where), { external: dataIn(path.dirname(model.path)) }),
      where,
    );
  },
};

/**
 * A session on a graph in memory: standard operators only.
 *
 * @throws QdgError `unsupported-op` naming the first node that is not computed
 */
export function openGraph(graph: Graph, where: string): Promise<Session> {
  return GraphSession.open(graph, where, () => {
    for (const { name, shape } of graph.inputs) {
      if (!isUnknownRank(shape)) continue;
      throw new QdgError("unsupported-op", `input ${name}`, "has no shape in the file; declare one");
    }
    const plan = planOf(graph);
    return { run: (feeds) => runPlan(plan, feeds) };
  });
}
