// The reference: a small interpreter of the integer graph, raised from the bytes of the file and from nothing
// else. It is the oracle of every lowering and runtime: it must stay slow, plain and obviously right.

import { QdgError } from "../base/error.js";
import type { Tensor } from "../base/tensor.js";
import type { Graph, Value } from "../graph/graph.js";
import { isUnknownRank } from "../graph/unknown-shape.js";
import { decodeModel } from "../onnx/codec.js";
import { modelToGraph } from "../onnx/to-graph.js";
import { checkFeeds } from "./feeds.js";
import { nameOf } from "./onnx-session.js";
import type { Plan } from "./reference/plan.js";
import { planOf, runPlan } from "./reference/plan.js";
import { infoOf } from "./tensor-info.js";
import type { Availability, ModelSource, Runtime, RuntimeOptions, Session, TensorInfo } from "./runtime.js";

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
    const path = await import("node:path");
    return openGraph(modelToGraph(decodeModel(bytes, where), { folder: path.dirname(model.path) }), where);
  },
};

/**
 * A session on a graph in memory: standard operators only.
 *
 * @throws QdgError `unsupported-op` naming the first node that is not computed
 */
export function openGraph(graph: Graph, where: string): Session {
  return new ReferenceSession(graph, where);
}

class ReferenceSession implements Session {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  readonly #graph: Graph;
  readonly #where: string;
  #plan: Plan | null;

  constructor(graph: Graph, where: string) {
    this.#graph = graph;
    this.#where = where;
    this.inputs = graph.inputs.map(infoOf);
    this.outputs = graph.outputs.map(infoOf);
    for (const { name, shape } of graph.inputs) {
      if (!isUnknownRank(shape)) continue;
      throw new QdgError("unsupported-op", `input ${name}`, "has no shape in the file; declare one");
    }
    this.#plan = planOf(graph);
  }

  async run(feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>> {
    if (!this.#plan) {
      throw new QdgError("runtime", this.#where, "the session was disposed of; open the model again");
    }
    checkFeeds(this.inputs, feeds, this.#where);
    const inputs = new Map<Value, Tensor>(
      this.#graph.inputs.map((input) => [input, feeds[input.name] as Tensor]),
    );
    const values = await runPlan(this.#plan, inputs);
    return Object.fromEntries(
      this.#graph.outputs.map((output) => {
        const value = values.get(output);
        if (!value) throw new QdgError("invalid-graph", output.name, "is an output that nothing computes");
        return [output.name, value];
      }),
    );
  }

  async dispose(): Promise<void> {
    this.#plan = null;
  }
}
