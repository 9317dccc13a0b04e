// The whole quantized network, activations rounded too, with weights of any bits fed: what a search over bits tries on.

import type { Progress } from "../../base/progress.js";
import type { Tensor } from "../../base/tensor.js";
import type { Graph } from "../../graph/graph.js";
import type { Feeds } from "../arrays.js";
import { uniform } from "../random-feeds.js";
import type { Samples } from "../samples.js";
import type { BitOption, LayerOptions } from "./allocate.js";
import type { FreeLayer } from "./layers.js";
import { OpenNetwork, parametersFeed } from "./open-network.js";
import { type SearchResult, searchBits } from "./search-bits.js";
import { firstOf, type Judged, judgedInFloat, judgedValues, RelativeError } from "./sensitivities.js";

export class TrialNetwork {
  readonly #network: OpenNetwork;
  readonly #quantized: ReadonlyMap<number, Graph>;
  readonly #layers: readonly FreeLayer[];
  readonly #feeds: readonly Feeds[];
  readonly #judged: readonly Judged[];
  /** What each layer was fed last, and with how many bits. */
  readonly #fed = new Map<string, { readonly bits: number; readonly feed: Record<string, Tensor> }>();

  private constructor(
    network: OpenNetwork,
    quantized: ReadonlyMap<number, Graph>,
    layers: readonly FreeLayer[],
    feeds: readonly Feeds[],
    judged: readonly Judged[],
  ) {
    this.#network = network;
    this.#quantized = quantized;
    this.#layers = layers;
    this.#feeds = feeds;
    this.#judged = judged;
  }

  /** @param quantized the network by the bits of all `layers` */
  static async over(
    float: Graph,
    quantized: ReadonlyMap<number, Graph>,
    layers: readonly FreeLayer[],
    calibration: Samples,
  ): Promise<TrialNetwork> {
    const samples = firstOf(calibration);
    const names = judgedValues(float);
    const judged = await judgedInFloat(float, names, samples);
    const feeds: Feeds[] = [];
    for await (const each of samples.read()) feeds.push(each);
    const [graph] = [...quantized.values()] as [Graph, ...Graph[]];
    const nodes = new Set(layers.flatMap((layer) => layer.nodes));
    const network = await OpenNetwork.open(graph, 0, nodes, names);
    return new TrialNetwork(network, quantized, layers, feeds, judged);
  }

  /** Error of the network's outputs with these bits. */
  async error(chosen: readonly BitOption[]): Promise<number> {
    const parameters: Record<string, Tensor> = {};
    for (const [i, { layer, nodes }] of this.#layers.entries()) {
      const { bits } = chosen[i] as BitOption;
      let fed = this.#fed.get(layer);
      if (fed?.bits !== bits) {
        fed = { bits, feed: parametersFeed(this.#quantized.get(bits) as Graph, nodes) };
        this.#fed.set(layer, fed);
      }
      Object.assign(parameters, fed.feed);
    }
    const error = new RelativeError();
    for (const [i, feeds] of this.#feeds.entries())
      error.add(this.#judged[i] as Judged, await this.#network.run(feeds, parameters));
    return error.value;
  }

  /** @param limits bytes of all layers, and how long it may take */
  search(
    layers: readonly LayerOptions[],
    start: readonly BitOption[],
    limits: {
      readonly room: number;
      readonly seconds: number;
      readonly seed: number;
      readonly progress: Progress;
    },
  ): Promise<SearchResult> {
    const { room, seconds, seed, progress } = limits;
    const begin = performance.now();
    const goesOn = (): boolean => {
      const passed = (performance.now() - begin) / 1000;
      progress.report("searching", Math.min(seconds, Math.floor(passed)), seconds);
      return passed < seconds;
    };
    return searchBits(layers, start, (chosen) => this.error(chosen), { room, goesOn, random: uniform(seed) });
  }

  dispose(): Promise<void> {
    return this.#network.dispose();
  }
}
