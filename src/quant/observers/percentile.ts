// The observer that leaves out the outermost values, whatever they are. No error is weighed; see mse.ts.

import { QdgError } from "../../base/error.js";
import type { QuantParams, QuantSpec } from "../spec.js";
import { Histogram } from "./histogram.js";
import type { Observer, ObserverOptions } from "./observer.js";
import { paramsOfRange } from "./range.js";

export const DEFAULT_PERCENTILE = 99.99;

/**
 * The range is [quantile(1 - p), quantile(p)] of the values that are not 0, p = percentile / 100, 0 included;
 * precise to a bin of the histogram (less than 1/1024 of the largest |x|).
 */
export class PercentileObserver implements Observer {
  readonly #histogram: Histogram = new Histogram();
  readonly #fraction: number;

  /** @throws QdgError `invalid-quantization` unless 50 < percentile <= 100 */
  constructor(percentile: number = DEFAULT_PERCENTILE) {
    if (!(percentile > 50 && percentile <= 100)) {
      throw new QdgError(
        "invalid-quantization",
        "percentile",
        `got ${percentile}, expected a number above 50 and up to 100; ${DEFAULT_PERCENTILE} is usual`,
      );
    }
    this.#fraction = percentile / 100;
  }

  observe(x: Float32Array, where: string = "calibration"): void {
    this.#histogram.add(x, where);
  }

  params(spec: QuantSpec, options: ObserverOptions = {}): QuantParams {
    const low = this.#histogram.quantile(1 - this.#fraction);
    const high = this.#histogram.quantile(this.#fraction);
    return paramsOfRange(low, high, spec, options);
  }
}
