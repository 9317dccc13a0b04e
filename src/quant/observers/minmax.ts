// The observer that clips nothing: good at 8 bits, poor below, where one outlier costs everyone precision.

import type { QuantParams, QuantSpec } from "../spec.js";
import type { Observer, ObserverOptions } from "./observer.js";
import { finiteRange } from "./observer.js";
import { paramsOfRange } from "./range.js";

/** The range is [min, max] of everything seen, 0 included. */
export class MinMaxObserver implements Observer {
  #low = 0;
  #high = 0;

  observe(x: Float32Array, where: string = "calibration"): void {
    const [low, high] = finiteRange(x, where);
    this.#low = Math.min(this.#low, low);
    this.#high = Math.max(this.#high, high);
  }

  params(spec: QuantSpec, options: ObserverOptions = {}): QuantParams {
    return paramsOfRange(this.#low, this.#high, spec, options);
  }
}
