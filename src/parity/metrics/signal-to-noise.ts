// Signal to quantization noise of an output against the float model's.

import type { Tensor } from "../../base/tensor.js";
import { Sqnr } from "../../quant/sqnr.js";
import type { Metric } from "./metric.js";
import { numbersOf } from "./metric.js";

/**
 * `10 log10(sum ref^2 / sum (ref - candidate)^2)` in dB over all pairs; null when it is not finite: no
 * difference at all, no signal, or an element that is not a number.
 */
export class SignalToNoise implements Metric<number | null> {
  readonly #sqnr = new Sqnr();

  add(reference: Tensor, candidate: Tensor): void {
    this.#sqnr.add(numbersOf(reference), numbersOf(candidate));
  }

  result(): number | null {
    return Number.isFinite(this.#sqnr.decibels) ? this.#sqnr.decibels : null;
  }
}
