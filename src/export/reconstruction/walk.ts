// Runs a network piece by piece over many samples, so that what is decided about one layer is in what the next one
// sees. Keeps of each sample only the values that later nodes read.

import type { Tensor } from "../../base/tensor.js";
import type { Graph, Node, Value } from "../../graph/graph.js";
import { DEFAULT_OPSET } from "../../onnx/opset.js";
import { cpuRuntime } from "../../runtime/cpu.js";
import type { Feeds } from "../arrays.js";
import { floatFile } from "../float-file.js";
import type { Samples } from "../samples.js";
import { withFakeQuantizers } from "./fake-quantizers.js";
import { ValueStore } from "./value-store.js";

/** Of sessions that fit and measure layers; results do not depend on it. */
export const THREADS = 2;

export class Walk {
  readonly #graph: Graph;
  readonly #values = new ValueStore();
  #samples = 0;
  /** Index of the last node that reads a value; outputs of the graph are read by nobody here. */
  readonly #lastReader: ReadonlyMap<string, number>;
  #done = 0;

  private constructor(graph: Graph) {
    this.#graph = graph;
    const last = new Map<string, number>();
    graph.nodes.forEach((node, i) => {
      for (const input of node.inputs) if (input) last.set(input.name, i);
    });
    this.#lastReader = last;
  }

  /**
   * A walk for each graph over the same samples, which are read once.
   *
   * @param graphs float, or annotated: annotated values are rounded, weights are what their integers stand for
   */
  static async over(graphs: readonly Graph[], samples: Samples): Promise<Walk[]> {
    const walks = graphs.map((graph) => new Walk(graph));
    for await (const feeds of samples.read()) for (const walk of walks) await walk.#take(feeds);
    return walks;
  }

  async #take(feeds: Feeds): Promise<void> {
    for (const [name, value] of Object.entries(feeds)) await this.#values.set(this.#samples, name, value);
    this.#samples++;
  }

  get samples(): number {
    return this.#samples;
  }

  /** Computes nodes up to but without that at index `to`, and drops what no node from there on reads. */
  async advance(to: number, keep: ReadonlySet<string> = new Set()): Promise<void> {
    const nodes = this.#graph.nodes.slice(this.#done, to);
    this.#done = to;
    const isNeeded = (name: string): boolean => keep.has(name) || (this.#lastReader.get(name) ?? -1) >= to;
    const { piece, reads } = pieceOf(this.#graph.name, nodes, this.#graph.inputs);
    const gives = nodes.flatMap(({ outputs }) => outputs).filter(({ name }) => isNeeded(name));
    if (gives.length > 0) await this.#run(piece, reads, gives);
    for (const name of this.#values.names) if (!isNeeded(name)) await this.#values.drop(name);
  }

  async #run(piece: Graph, reads: readonly Value[], gives: readonly Value[]): Promise<void> {
    piece.outputs = [...gives];
    const bytes = floatFile(withFakeQuantizers(piece), DEFAULT_OPSET);
    const session = await cpuRuntime.open({ bytes }, { threads: THREADS });
    try {
      for (let sample = 0; sample < this.#samples; sample++) {
        const feeds: Record<string, Tensor> = {};
        for (const { name } of reads) feeds[name] = await this.#values.get(sample, name);
        const results = await session.run(feeds);
        for (const { name } of gives) await this.#values.set(sample, name, results[name] as Tensor);
      }
    } finally {
      await session.dispose();
    }
  }

  /** A value of one sample that is computed and still needed. */
  value(sample: number, name: string): Promise<Tensor> {
    return this.#values.get(sample, name);
  }

  dispose(): Promise<void> {
    return this.#values.dispose();
  }
}

/** Nodes as a graph of their own, and the computed values that it reads. */
export function pieceOf(
  name: string,
  nodes: readonly Node[],
  inputs: readonly Value[],
): { piece: Graph; reads: readonly Value[] } {
  const made = new Set(nodes.flatMap(({ outputs }) => outputs));
  const reads = new Set<Value>();
  for (const node of nodes) {
    for (const input of node.inputs) if (input && !input.constant && !made.has(input)) reads.add(input);
  }
  // Without their producers: what came before is data here.
  const data = new Map([...reads].map((value) => [value, { ...value }]));
  for (const value of data.values()) delete value.producer;
  // A value that was rounded where it was made is not rounded again; the network's input is rounded on its way in.
  for (const [value, copy] of data) if (!inputs.includes(value)) delete copy.quantization;
  const piece: Graph = {
    name,
    inputs: [...data.values()],
    outputs: [],
    nodes: nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map((input) => (input && data.get(input)) ?? input),
    })),
  };
  return { piece, reads: [...reads] };
}
