// Signal to quantization noise: how much of a signal the rounding left.

/**
 * `10 log10(sum ref^2 / sum (ref - candidate)^2)` in dB over all that was added; Infinity when nothing
 * differs, and for no signal at all -Infinity when something does.
 */
export class Sqnr {
  #signal = 0;
  #noise = 0;

  add(reference: ArrayLike<number>, candidate: ArrayLike<number>): void {
    for (let i = 0; i < reference.length; i++) {
      const r = reference[i] as number;
      const difference = r - (candidate[i] as number);
      this.#signal += r * r;
      this.#noise += difference * difference;
    }
  }

  get decibels(): number {
    return this.#noise === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10(this.#signal / this.#noise);
  }
}

/** Signal to noise of a relative squared error, in dB; Infinity for none. */
export function decibels(relativeError: number): number {
  return -10 * Math.log10(relativeError);
}
