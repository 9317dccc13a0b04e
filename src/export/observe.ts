// Runs the float network over calibration samples and watches the values that get a quantizer. Keeps
// statistics only: no activation outlives its sample, and nothing here depends on bits.

import { isDeepStrictEqual } from "node:util";
import { QdgError } from "../base/error.js";
import { noProgress, type Progress } from "../base/progress.js";
import { expectDType, sizeOf } from "../base/tensor.js";
import type { Graph } from "../graph/graph.js";
import { inputOf } from "../graph/graph.js";
import { kindOf } from "../graph/node-kinds.js";
import { copiedSites, type QuantizerSite, quantizerSites } from "../graph/place-quantizers.js";
import { DEFAULT_OPSET } from "../onnx/opset.js";
import type { LearnedQuantizers } from "../quant/learned.js";
import type { Observer } from "../quant/observers/observer.js";
import { type ObserverName, observers } from "../quant/observers/observers.js";
import { cpuRuntime } from "../runtime/cpu.js";
import type { Feeds } from "./arrays.js";
import { floatFile } from "./float-file.js";
import type { Samples } from "./samples.js";

/** What samples showed of a float network. One observation serves any recipe: nothing in it depends on bits. */
export interface Statistics {
  /** By the name of each activation that was watched; those that share a quantizer share an observer. */
  readonly observers: ReadonlyMap<string, Observer>;
  /** Mean over samples and positions of each channel of what enters a weighted node, by the name of that value. */
  readonly channelMeans: ReadonlyMap<string, Float32Array>;
  /** Whether the samples were one, or one and the same several times: ranges and weights are fitted to that alone. */
  readonly isOneSample: boolean;
}

export interface ObserveOptions {
  readonly observer: ObserverName;
  /** Quantizers with scales of their own: their activations are not watched. */
  readonly learned?: LearnedQuantizers | null;
  readonly progress?: Progress;
}

/**
 * @param graph as quantizers stand in it: after the passes of a quantized network
 * @throws QdgError `invalid-data` when a value is NaN or infinite
 */
export async function observe(
  graph: Graph,
  samples: Samples,
  { observer: observerName, learned = null, progress = noProgress }: ObserveOptions,
): Promise<Statistics> {
  const watched = new Map<string, Observer>();
  const sites = quantizerSites(graph);
  const copied = copiedSites(graph, sites);
  const isLearned = ({ ids }: QuantizerSite): boolean => ids.some((id) => learned?.quantizers.has(id));
  for (const site of sites) {
    const { role, values } = site;
    if (role === "weight" || isLearned(site) || isLearned(copied.get(site) ?? site)) continue;
    const observer = observers[observerName]();
    for (const value of values) watched.set(value.name, observer);
  }
  const means = channelMeanAccumulators(graph);
  if (watched.size === 0) return { observers: watched, channelMeans: new Map(), isOneSample: false };
  const session = await cpuRuntime.open({
    bytes: floatFile(graph, DEFAULT_OPSET, {}, [...new Set([...watched.keys(), ...means.keys()])]),
  });
  let first: Feeds | null = null;
  let isOneSample = true;
  try {
    let done = 0;
    for await (const feeds of samples.read()) {
      first ??= feeds;
      isOneSample &&= isDeepStrictEqual(feeds, first);
      const results = { ...feeds, ...(await session.run(feeds)) };
      for (const [name, observer] of watched) observer.observe(floats(results, name), name);
      for (const [name, mean] of means) mean.add(floats(results, name), shapeOf(results, name));
      progress.report("calibrating", ++done, samples.count);
    }
  } finally {
    await session.dispose();
  }
  return {
    observers: watched,
    channelMeans: new Map([...means].map(([name, mean]) => [name, mean.result()])),
    isOneSample,
  };
}

type Results = Readonly<Record<string, { readonly dtype: string; readonly shape: readonly number[] }>>;

function floats(results: Results, name: string): Float32Array {
  const result = results[name];
  if (!result) throw new QdgError("internal", name, "the float network did not give this value");
  return expectDType(result as never, "float32", name).data;
}

function shapeOf(results: Results, name: string): readonly number[] {
  return results[name]?.shape ?? [];
}

/** One accumulator for each value that enters a weighted node, by its name. */
function channelMeanAccumulators(graph: Graph): Map<string, ChannelMean> {
  const means = new Map<string, ChannelMean>();
  for (const node of graph.nodes) {
    if (kindOf(node) !== "weighted") continue;
    const matrix = node.op === "Gemm" || node.op === "MatMul";
    means.set(inputOf(node, 0).name, new ChannelMean(matrix));
  }
  return means;
}

/** Mean over all axes but the channels': axis 1, or the last one for matrices. */
class ChannelMean {
  readonly #last: boolean;
  #sums = new Float64Array(0);
  #count = 0;

  constructor(last: boolean) {
    this.#last = last;
  }

  add(data: Float32Array, shape: readonly number[]): void {
    const axis = this.#last ? shape.length - 1 : 1;
    const channels = shape[axis] ?? 0;
    if (this.#sums.length === 0) this.#sums = new Float64Array(channels);
    const inner = sizeOf(shape.slice(axis + 1));
    let k = 0;
    for (let start = 0; start < data.length; start += inner) {
      let sum = 0;
      for (let i = start; i < start + inner; i++) sum += data[i] as number;
      this.#sums[k] = (this.#sums[k] as number) + sum;
      k = k + 1 === channels ? 0 : k + 1;
    }
    this.#count += channels === 0 ? 0 : data.length / channels;
  }

  result(): Float32Array {
    return Float32Array.from(this.#sums, (sum) => (this.#count === 0 ? 0 : sum / this.#count));
  }
}
