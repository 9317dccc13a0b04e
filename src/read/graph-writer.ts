// The graph under construction: graph inputs, the transposed twin of a value (made once), and names.
// Layers reach it through their LayerCall.

import { QdgError } from "../base/error.js";
import type { DType } from "../base/tensor.js";
import { GraphBuilder } from "../graph/builder.js";
import type { Dim, Graph, Value } from "../graph/graph.js";
import { consumers, removeDeadNodes, replaceUses } from "../graph/graph.js";
import type { FakeQuantized } from "./graph-model/fake-quantized.js";
import { permute, toAsIs, toChannelsFirst, type Held } from "./held.js";

export class GraphWriter {
  readonly builder: GraphBuilder;
  /** A value and the same tensor in the other order of axes. */
  readonly #twins = new Map<Value, Value>();
  /** Masks of tfjs reach every later layer; only Softmax layers heed them. */
  readonly maskSources: string[] = [];
  readonly maskReaders: string[] = [];
  /** Tensors that a graph-model rounds to ranges of its own. */
  readonly ranges: FakeQuantized[] = [];

  constructor(name: string) {
    this.builder = new GraphBuilder(name);
  }

  get graph(): Graph {
    return this.builder.graph;
  }

  /** A graph input, declared with `shape` in tfjs's order or the same one channels first. */
  input(name: string, shape: readonly Dim[], dtype: DType, channelsFirst: boolean): Held {
    const declared = channelsFirst ? permute(shape, toChannelsFirst(shape.length)) : shape;
    const value = this.builder.input(name, declared, dtype);
    return { value, layout: channelsFirst ? "channels-first" : "as-is" };
  }

  /** The tensor with its channels on axis 1; below rank 3 it is that already. */
  channelsFirst(held: Held): Value {
    const rank = held.value.shape.length;
    return held.layout === "channels-first" || rank < 3
      ? held.value
      : this.#twin(held.value, toChannelsFirst(rank), "channels_first");
  }

  /** The tensor in tfjs's own order of axes. */
  asIs(held: Held): Value {
    const rank = held.value.shape.length;
    return held.layout === "as-is" || rank < 3
      ? held.value
      : this.#twin(held.value, toAsIs(rank), "channels_last");
  }

  #twin(value: Value, permutation: number[], suffix: string): Value {
    const known = this.#twins.get(value);
    if (known) return known;
    const origin = value.producer?.origin ?? value.name;
    const twin = this.builder.node(
      "Transpose",
      origin,
      [value],
      { name: `${value.name}/${suffix}`, shape: permute(value.shape, permutation), dtype: value.dtype },
      { perm: permutation },
    );
    this.#twins.set(value, twin);
    this.#twins.set(twin, value);
    return twin;
  }

  /**
   * Declares a graph output. ONNX wants outputs that are computed and named once each; the name of a layer
   * goes to the order of axes that the caller sees.
   */
  output(value: Value): void {
    const source = this.#twins.get(value);
    if (source?.producer && value.producer?.op === "Transpose" && value.producer.inputs[0] === source) {
      const [name, other] = [source.name, value.name];
      if (!this.graph.outputs.includes(source) && other.startsWith(`${name}/`)) {
        source.name = other.endsWith("/channels_last")
          ? this.builder.uniqueName(`${name}/channels_first`)
          : other;
        value.name = name;
      }
    }
    if (value.producer && !this.graph.outputs.includes(value)) {
      this.builder.output(value);
      return;
    }
    const name = `${value.name}/output`;
    this.builder.output(
      this.builder.node("Identity", value.name, [value], { name, shape: value.shape, dtype: value.dtype }),
    );
  }

  /**
   * An input that only its channels-first twin reads is declared channels first itself: for rank 3, where
   * the rank does not tell whether there are channels at all.
   */
  declareChannelsFirst(input: Value): void {
    const twin = this.#twins.get(input);
    const readers = consumers(this.graph).get(input) ?? [];
    if (!twin?.producer || readers.length !== 1 || readers[0] !== twin.producer) return;
    if (this.graph.outputs.includes(input)) return;
    input.shape = twin.shape;
    replaceUses(this.graph, twin, input);
    this.graph.nodes.splice(this.graph.nodes.indexOf(twin.producer), 1);
  }

  /** @throws QdgError `unsupported-layer` when a masked value may reach a layer that heeds masks */
  finish(): Graph {
    const [source] = this.maskSources;
    const [reader] = this.maskReaders;
    if (source !== undefined && reader !== undefined) {
      throw new QdgError(
        "unsupported-layer",
        reader,
        `the mask of ${source} would change this softmax; use an Activation("softmax") layer, or no mask`,
      );
    }
    removeDeadNodes(this.graph);
    return this.graph;
  }
}
