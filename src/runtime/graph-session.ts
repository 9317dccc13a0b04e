// A session of a graph that qdg computes itself: what it says of inputs and outputs, checks of feeds, results by name.
// Knows nothing of how values are computed.

import { QdgError } from "../base/error.js";
import type { Tensor } from "../base/tensor.js";
import type { Graph, Value } from "../graph/graph.js";
import { isUnknownRank, UNKNOWN_DIM } from "../graph/unknown-shape.js";
import type { Image } from "../image/image.js";
import type { ImageInput } from "../image/to-tensor.js";
import { checkFeeds } from "./feeds.js";
import type { Session, TensorInfo } from "./runtime.js";

/** Computes the outputs of a graph, and maybe more of its values. */
export interface Compute {
  readonly run: (
    feeds: ReadonlyMap<Value, Tensor>,
  ) => ReadonlyMap<Value, Tensor> | Promise<ReadonlyMap<Value, Tensor>>;
  readonly dispose?: () => void;
  /** See Session.imageRun. */
  readonly onImages?: (input: ImageInput) => ((image: Image) => ReadonlyMap<Value, Tensor>) | null;
}

export class GraphSession implements Session {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  readonly #where: string;
  readonly #values: Pick<Graph, "inputs" | "outputs">;
  #compute: Compute | null;

  private constructor(
    where: string,
    values: Pick<Graph, "inputs" | "outputs">,
    infos: Pick<Session, "inputs" | "outputs">,
    compute: Compute,
  ) {
    this.#where = where;
    this.#values = values;
    this.inputs = infos.inputs;
    this.outputs = infos.outputs;
    this.#compute = compute;
  }

  /** @param prepare may change the graph: what the session says is that of the file */
  static async open(
    graph: Graph,
    where: string,
    prepare: (graph: Graph) => Compute | Promise<Compute>,
  ): Promise<GraphSession> {
    const values = { inputs: graph.inputs, outputs: graph.outputs };
    const infos = { inputs: values.inputs.map(infoOf), outputs: values.outputs.map(infoOf) };
    return new GraphSession(where, values, infos, await prepare(graph));
  }

  async run(feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>> {
    const compute = this.#alive(this.#compute);
    checkFeeds(this.inputs, feeds, this.#where);
    const { inputs } = this.#values;
    return this.#named(
      await compute.run(new Map(inputs.map((input) => [input, feeds[input.name] as Tensor]))),
    );
  }

  imageRun(input: ImageInput): ((image: Image) => Promise<Record<string, Tensor>>) | null {
    const run = this.#alive(this.#compute).onImages?.(input) ?? null;
    return (
      run &&
      (async (image) => {
        this.#alive(this.#compute);
        return this.#named(run(image));
      })
    );
  }

  #alive(compute: Compute | null): Compute {
    if (compute) return compute;
    throw new QdgError("runtime", this.#where, "the session was disposed of; open the model again");
  }

  #named(values: ReadonlyMap<Value, Tensor>): Record<string, Tensor> {
    return Object.fromEntries(
      this.#values.outputs.map((output) => {
        const value = values.get(output);
        if (!value) throw new QdgError("invalid-graph", output.name, "is an output that nothing computes");
        return [output.name, value];
      }),
    );
  }

  async dispose(): Promise<void> {
    this.#compute?.dispose?.();
    this.#compute = null;
  }
}

/** Unnamed sizes are "", as with every runtime. */
function infoOf({ name, dtype, shape }: Value): TensorInfo {
  if (isUnknownRank(shape)) return { name, dtype, shape: [] };
  return { name, dtype, shape: shape.map((dim) => (dim === UNKNOWN_DIM ? "" : dim)) };
}
