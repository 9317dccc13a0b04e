// What each layer, or anything else that is quantized, alone does to the network's output at each number of bits, the rest
// in float. Decides nothing.

import { noProgress, type Progress } from "../../base/progress.js";
import type { Tensor } from "../../base/tensor.js";
import type { Graph } from "../../graph/graph.js";
import type { Feeds } from "../arrays.js";
import { Walk } from "../reconstruction/walk.js";
import type { Samples } from "../samples.js";
import type { FreeLayer } from "./layers.js";
import { OpenNetwork, parametersFeed } from "./open-network.js";

/** Bits that are tried: each is stored in exactly that many. */
export const BIT_CHOICES = [2, 3, 4, 5, 6, 8] as const;

/** Samples that errors are measured on. */
export const MEASURED_SAMPLES = 16;

/** The error of the network's outputs by the bits of one layer, see {@link RelativeError}. */
export type Sensitivity = ReadonlyMap<number, number>;

/** What can be quantized alone. */
export interface Subject {
  readonly name: string;
  /** Index of the first node that it changes. */
  readonly from: number;
  /** The float network from there on, with this alone fed. @param judged names of values to give */
  readonly open: (judged: readonly string[]) => Promise<OpenNetwork>;
  /** What it is fed by its bits; made when its turn comes. */
  readonly feeds: () => ReadonlyMap<number, Feeds>;
}

/** By the name of the value. */
export type Judged = Readonly<Record<string, Float32Array>>;

/**
 * Each layer alone.
 *
 * @param float after QUANTIZED_PASSES
 * @param quantized by bits: the same network with all weights of `layers` at these bits
 * @param samples see {@link firstOf}
 */
export function measureLayers(
  float: Graph,
  quantized: ReadonlyMap<number, Graph>,
  layers: readonly FreeLayer[],
  samples: Samples,
  progress: Progress = noProgress,
): Promise<ReadonlyMap<string, Sensitivity>> {
  const subjects = layers.map(({ layer, nodes }): Subject => ({
    name: layer,
    from: nodes[0] ?? 0,
    open: (judged) => OpenNetwork.open(float, nodes[0] ?? 0, new Set(nodes), judged),
    feeds: () => new Map([...quantized].map(([bits, graph]) => [bits, parametersFeed(graph, nodes)])),
  }));
  const report = (done: number): void => progress.report("measuring layers", done, layers.length);
  return measureSensitivities(float, subjects, samples, report);
}

/**
 * @param float after QUANTIZED_PASSES
 * @param samples see {@link firstOf}
 * @param onDone told how many are measured
 * @returns by the name of the subject
 */
export async function measureSensitivities(
  float: Graph,
  subjects: readonly Subject[],
  samples: Samples,
  onDone: (done: number) => void,
): Promise<ReadonlyMap<string, Sensitivity>> {
  const names = judgedValues(float);
  const judged = await judgedInFloat(float, names, samples);
  const found = new Map<string, Sensitivity>();
  const inOrder = [...subjects].sort((a, b) => a.from - b.from);
  const [walk] = (await Walk.over([float], samples)) as [Walk];
  try {
    for (const { name, from, open, feeds } of inOrder) {
      await walk.advance(from);
      const network = await open(names);
      try {
        const errors = [...feeds()].map(([bits, feed]) => [bits, feed, new RelativeError()] as const);
        for (let i = 0; i < judged.length; i++) {
          const values: Record<string, Tensor> = {};
          for (const read of network.reads) values[read] = await walk.value(i, read);
          for (const [, feed, error] of errors)
            error.add(judged[i] as Judged, await network.run(values, feed));
        }
        found.set(name, new Map(errors.map(([bits, , error]) => [bits, error.value])));
      } finally {
        await network.dispose();
      }
      onDone(found.size);
    }
  } finally {
    await walk.dispose();
  }
  return found;
}

/** Outputs; of one that a softmax or a sigmoid gives, what enters it: saturated, it does not see what was lost. */
export function judgedValues({ outputs }: Graph): string[] {
  return outputs.map((output) => {
    const { producer } = output;
    const isSaturating = producer?.domain === "" && (producer.op === "Softmax" || producer.op === "Sigmoid");
    return (isSaturating ? producer.inputs[0] : output)?.name ?? output.name;
  });
}

/** What the float network gives for them, of each sample. */
export async function judgedInFloat(
  float: Graph,
  names: readonly string[],
  samples: Samples,
): Promise<Judged[]> {
  const network = await OpenNetwork.open(float, 0, new Set(), names);
  const judged: Judged[] = [];
  try {
    for await (const feeds of samples.read()) judged.push(await network.run(feeds, {}));
  } finally {
    await network.dispose();
  }
  return judged;
}

/** `sum (y - y')^2 / sum y^2` over all samples, the mean over outputs. An output that is 0 has its error as it is. */
export class RelativeError {
  readonly #sums = new Map<string, { signal: number; noise: number }>();

  /** @param got values that are not there are the same */
  add(expected: Judged, got: Judged): void {
    for (const [name, y] of Object.entries(expected)) {
      let sums = this.#sums.get(name);
      if (!sums) this.#sums.set(name, (sums = { signal: 0, noise: 0 }));
      const other = got[name];
      for (let i = 0; i < y.length; i++) {
        const value = y[i] as number;
        sums.signal += value * value;
        if (other) sums.noise += (value - (other[i] as number)) ** 2;
      }
    }
  }

  get value(): number {
    const all = [...this.#sums.values()].map(({ signal, noise }) => (signal === 0 ? noise : noise / signal));
    return all.length === 0 ? 0 : all.reduce((sum, each) => sum + each, 0) / all.length;
  }
}

/** The first samples of many. */
export function firstOf(samples: Samples, most: number = MEASURED_SAMPLES): Samples {
  return {
    count: Math.min(most, samples.count),
    async *read() {
      let done = 0;
      for await (const feeds of samples.read()) {
        if (done++ >= most) return;
        yield feeds;
      }
    },
  };
}
