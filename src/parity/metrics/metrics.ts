// The metrics of a comparison, one line each; nothing registers itself.

import type { Tensor } from "../../base/tensor.js";
import { DifferenceHistogram, type Histogram } from "./difference-histogram.js";
import type { Metric } from "./metric.js";
import { type MismatchCount, Mismatches } from "./mismatches.js";
import { RelativeDifference } from "./relative-difference.js";
import { SignalToNoise } from "./signal-to-noise.js";
import { Top1Agreement } from "./top1.js";

interface Results {
  readonly mismatches: MismatchCount;
  readonly histogram: Histogram;
  readonly relativeDifference: number | null;
  readonly sqnrDb: number | null;
  readonly top1Agreement: number | null;
}

export type MetricName = keyof Results;

const METRICS: { readonly [Name in MetricName]: (floor: number) => Metric<Results[Name]> } = {
  mismatches: () => new Mismatches(),
  histogram: () => new DifferenceHistogram(),
  relativeDifference: (floor) => new RelativeDifference(floor),
  sqnrDb: () => new SignalToNoise(),
  top1Agreement: () => new Top1Agreement(),
};

/** Several metrics over the same pairs. */
export class Measurement<Name extends MetricName> {
  readonly #metrics: readonly (readonly [Name, Metric<unknown>])[];

  /** @param floor of what differences are relative to, see RelativeDifference */
  constructor(names: readonly Name[], floor = 0) {
    this.#metrics = names.map((name) => [name, METRICS[name](floor)]);
  }

  add(reference: Tensor, candidate: Tensor): void {
    for (const [, metric] of this.#metrics) metric.add(reference, candidate);
  }

  result(): Pick<Results, Name> {
    return Object.fromEntries(this.#metrics.map(([name, metric]) => [name, metric.result()])) as Pick<
      Results,
      Name
    >;
  }
}
