// The whole quantized network with bits of some of its quantizers fed: what a search over bits tries on.

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
  readonly #feedOf: (index: number, bits: number) => Feeds;
  readonly #feeds: readonly Feeds[];
  readonly #judged: readonly Judged[];
  /** What was fed last for each option, and with how many bits. */
  readonly #fed = new Map<number, { readonly bits: number; readonly feed: Feeds }>();

  private constructor(
    network: OpenNetwork,
    feedOf: (index: number, bits: number) => Feeds,
    feeds: readonly Feeds[],
    judged: readonly Judged[],
  ) {
    this.#network = network;
    this.#feedOf = feedOf;
    this.#feeds = feeds;
    this.#judged = judged;
  }

  /**
   * @param open the network that is tried, giving the judged values
   * @param feedOf what it is fed for one of the choices at so many bits
   */
  static async over(
    float: Graph,
    open: (judged: readonly string[]) => Promise<OpenNetwork>,
    feedOf: (index: number, bits: number) => Feeds,
    calibration: Samples,
  ): Promise<TrialNetwork> {
    const samples = firstOf(calibration);
    const names = judgedValues(float);
    const judged = await judgedInFloat(float, names, samples);
    const feeds: Feeds[] = [];
    for await (const each of samples.read()) feeds.push(each);
    return new TrialNetwork(await open(names), feedOf, feeds, judged);
  }

  /** Activations rounded as in `quantized`, bits of weights fed. @param quantized the network by the bits of all `layers` */
  static overWeights(
    float: Graph,
    quantized: ReadonlyMap<number, Graph>,
    layers: readonly FreeLayer[],
    calibration: Samples,
  ): Promise<TrialNetwork> {
    const [graph] = [...quantized.values()] as [Graph, ...Graph[]];
    const nodes = new Set(layers.flatMap((layer) => layer.nodes));
    const feedOf = (index: number, bits: number): Feeds =>
      parametersFeed(quantized.get(bits) as Graph, layers[index]?.nodes ?? []);
    return TrialNetwork.over(
      float,
      (judged) => OpenNetwork.open(graph, 0, nodes, judged),
      feedOf,
      calibration,
    );
  }

  /** Error of the network's outputs with these bits. */
  async error(chosen: readonly BitOption[]): Promise<number> {
    const parameters: Record<string, Tensor> = {};
    for (const [i, { bits }] of chosen.entries()) {
      let fed = this.#fed.get(i);
      if (fed?.bits !== bits) {
        fed = { bits, feed: this.#feedOf(i, bits) };
        this.#fed.set(i, fed);
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
