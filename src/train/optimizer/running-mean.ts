// The mean of vectors that come one by one, and of two such means. Knows no weights and no reason to average.

/**
 * `mean_n = mean_(n-1) + (x_n - mean_(n-1)) / n`, in float64, kept in float32. Each step rounds to 2^-24 of a number, so
 * that the mean of n is off by less than `n / 2` such roundings, and by about `sqrt(n / 3)` of them where they go both ways.
 */
export class RunningMean {
  readonly values: Float32Array;
  #count: number;

  /** @param values the mean of `count` vectors; taken over, not copied */
  constructor(values: Float32Array, count = 0) {
    this.values = values;
    this.#count = count;
  }

  static empty(length: number): RunningMean {
    return new RunningMean(new Float32Array(length));
  }

  /** Vectors taken in. */
  get count(): number {
    return this.#count;
  }

  add(x: Float32Array): void {
    this.#count += 1;
    const mean = this.values;
    for (let i = 0; i < mean.length; i++) {
      mean[i] = (mean[i] as number) + ((x[i] as number) - (mean[i] as number)) / this.#count;
    }
  }

  /** `(n a + m b) / (n + m)`: the mean of all vectors of both, which stay as they are. */
  and(other: RunningMean): RunningMean {
    if (other.count === 0) return this;
    if (this.count === 0) return other;
    const count = this.count + other.count;
    const [mine, theirs] = [this.count / count, other.count / count];
    const values = this.values.map((x, i) => mine * x + theirs * (other.values[i] as number));
    return new RunningMean(values, count);
  }
}
