// Runs the float network over calibration samples and watches the values that get a quantizer. Keeps
// statistics only: no activation outlives its sample.

import { QdgError } from "../base/error.js";
import { noProgress, type Progress } from "../base/progress.js";
import { expectDType, sizeOf } from "../base/tensor.js";
import type { Graph, Value } from "../graph/graph.js";
import { inputOf } from "../graph/graph.js";
import { kindOf } from "../graph/node-kinds.js";
import type { Placement } from "../graph/place-quantizers.js";
import { DEFAULT_OPSET } from "../onnx/opset.js";
import type { Observer } from "../quant/observers/observer.js";
import { type ObserverName, observers } from "../quant/observers/observers.js";
import { cpuRuntime } from "../runtime/cpu.js";
import { floatFile } from "./float-file.js";
import type { Samples } from "./samples.js";

export interface Calibration {
  /** What was seen of each activation placement. */
  readonly observers: ReadonlyMap<Placement, Observer>;
  /** Mean of each channel of the inputs of weighted nodes, by value, over samples and positions. */
  readonly channelMeans: ReadonlyMap<Value, Float32Array>;
}

/**
 * @param placements activations to watch; values that share one are shown to one observer
 * @throws QdgError `invalid-data` when a value is NaN or infinite
 */
export async function calibrate(
  graph: Graph,
  placements: readonly Placement[],
  samples: Samples,
  observerName: ObserverName,
  progress: Progress = noProgress,
): Promise<Calibration> {
  const watched = new Map<string, Observer>();
  const byPlacement = new Map<Placement, Observer>();
  for (const placement of placements) {
    const observer = observers[observerName]();
    byPlacement.set(placement, observer);
    for (const value of placement.values) watched.set(value.name, observer);
  }
  const means = channelMeanAccumulators(graph);
  const names = new Set([...watched.keys(), ...[...means.keys()].map((value) => value.name)]);
  const session = await cpuRuntime.open({ bytes: floatFile(graph, DEFAULT_OPSET, {}, [...names]) });
  try {
    let done = 0;
    for await (const feeds of samples.read()) {
      const results = { ...feeds, ...(await session.run(feeds)) };
      for (const [name, observer] of watched) observer.observe(floats(results, name), name);
      for (const [value, mean] of means) mean.add(floats(results, value.name), shapeOf(results, value.name));
      progress.report("calibrating", ++done, samples.count);
    }
  } finally {
    await session.dispose();
  }
  return {
    observers: byPlacement,
    channelMeans: new Map([...means].map(([value, mean]) => [value, mean.result()])),
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

/** One accumulator for each value that enters a weighted node. */
function channelMeanAccumulators(graph: Graph): Map<Value, ChannelMean> {
  const means = new Map<Value, ChannelMean>();
  for (const node of graph.nodes) {
    if (kindOf(node) !== "weighted") continue;
    const matrix = node.op === "Gemm" || node.op === "MatMul";
    means.set(inputOf(node, 0), new ChannelMean(matrix));
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
