// What each layer alone does to the network's output at each number of bits, the rest in float. Decides nothing.

import { noProgress, type Progress } from "../../base/progress.js";
import type { Tensor } from "../../base/tensor.js";
import type { Graph } from "../../graph/graph.js";
import { Walk } from "../reconstruction/walk.js";
import type { Samples } from "../samples.js";
import type { FreeLayer } from "./layers.js";
import { OpenNetwork, parametersFeed } from "./open-network.js";

/** Bits that are tried: each is stored in exactly that many. */
export const BIT_CHOICES = [2, 3, 4, 5, 6, 8] as const;

/** Samples that errors are measured on. */
export const MEASURED_SAMPLES = 16;

/** The error of the network's outputs by the bits of one layer, see {@link relativeError}. */
export type Sensitivity = ReadonlyMap<number, number>;

export interface Sensitivities {
  readonly byLayer: ReadonlyMap<string, Sensitivity>;
  /** What the outputs are in float, of each sample: what was compared with. */
  readonly judged: readonly Judged[];
}

/** By the name of the value. */
export type Judged = Readonly<Record<string, Float32Array>>;

/**
 * @param float after QUANTIZED_PASSES
 * @param quantized by bits: the same network with all weights of `layers` at these bits
 * @param samples see {@link firstOf}
 */
export async function measureSensitivities(
  float: Graph,
  quantized: ReadonlyMap<number, Graph>,
  layers: readonly FreeLayer[],
  samples: Samples,
  progress: Progress = noProgress,
): Promise<Sensitivities> {
  const names = judgedValues(float);
  const judged = await judgedInFloat(float, names, samples);
  const byLayer = new Map<string, Sensitivity>();
  const inOrder = [...layers].sort((a, b) => (a.nodes[0] ?? 0) - (b.nodes[0] ?? 0));
  const [walk] = (await Walk.over([float], samples)) as [Walk];
  try {
    for (const [done, { layer, nodes }] of inOrder.entries()) {
      const from = nodes[0] ?? 0;
      await walk.advance(from);
      const network = await OpenNetwork.open(float, from, new Set(nodes), names);
      try {
        const parameters = [...quantized].map(
          ([bits, graph]) => [bits, parametersFeed(graph, nodes), new RelativeError()] as const,
        );
        for (let i = 0; i < judged.length; i++) {
          const values: Record<string, Tensor> = {};
          for (const name of network.reads) values[name] = await walk.value(i, name);
          for (const [, feed, error] of parameters) {
            error.add(judged[i] as Judged, await network.run(values, feed));
          }
        }
        byLayer.set(layer, new Map(parameters.map(([bits, , error]) => [bits, error.value])));
      } finally {
        await network.dispose();
      }
      progress.report("measuring layers", done + 1, layers.length);
    }
  } finally {
    await walk.dispose();
  }
  return { byLayer, judged };
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
