// Integers and a scale for one row of weights, such that no two neighbours of one sign add up to more than a limit:
// by least squared error under that constraint. What a row is is not known here.

import { QdgError } from "../base/error.js";
import { quantize, roundHalfEven } from "./affine.js";
import { qmax, qmin, type QuantSpec } from "./spec.js";
import { leastSquaresScale, SMALLEST_SCALE } from "./weight-scale.js";

export interface PairedWeights {
  /** > 0, a float32. */
  readonly scale: number;
  /** One a weight. They need not be the nearest to `w / scale`. */
  readonly integers: Int32Array;
}

export interface PairedWeightsOptions {
  /** Only scales 2^e, e a whole number. */
  readonly powerOfTwo?: boolean;
  /** The weight's name, for errors. */
  readonly where?: string;
}

const LARGEST_INT16 = 32767;

/** Candidates between the scale that is best without the constraint and the one that needs none. */
const CANDIDATES = 24;
const FINE_CANDIDATES = 4;
const MOST_ALTERNATIONS = 5;

/**
 * `floor(32767 / largestX)`: two weights of one sign whose sizes add up to at most this cannot leave int16, for any
 * two inputs. (Downwards int16 reaches -32768; the one is not used.) Weights of opposite sign never can.
 *
 * @param largestX largest stored input, 1..255
 */
export function pairLimit(largestX: number): number {
  return Math.floor(LARGEST_INT16 / largestX);
}

/**
 * Integers q in qmin..qmax and a scale s that make `sum_i (w_i - s q_i)^2` small, with
 * `|q_2i| + |q_2i+1| <= limit` wherever the two have one sign. The last of an odd number is free.
 *
 * For a given s the best q are known: each pair rounded and clipped as ever, or, where that breaks the limit, the
 * point of `|q_2i| + |q_2i+1| = limit` that is nearest ({@link assign}). For given q the best s is
 * `<w,q> / <q,q>`. So candidates for s on a geometric grid are judged by the error with their own best s, as in
 * weight-scale.ts, the neighbourhood of the best once more, and then q and s are improved in turns. The grid runs
 * from `free` to the scale that is best at one bit less, whose integers always fit: so the error is never above that of
 * the latter. A row whose integers at `free` fit keeps them.
 *
 * @param w weights in the order in which they meet
 * @param free the scale that is best without the constraint, > 0
 * @param limit at least `2^(bits - 1)`: integers of one bit less keep it
 * @param spec signed, symmetric, without an axis
 * @throws QdgError `invalid-weights` for NaN or infinity, `internal` for another spec or limit
 */
export function pairedWeights(
  w: Float32Array,
  free: number,
  limit: number,
  spec: QuantSpec,
  options: PairedWeightsOptions = {},
): PairedWeights {
  const [low, high] = [qmin(spec), qmax(spec)];
  if (!spec.signed || !spec.symmetric || spec.axis !== null || limit < high + 1) {
    throw new QdgError(
      "internal",
      options.where ?? "weights",
      `pairedWeights needs a signed, symmetric spec without an axis and a limit of at least ${high + 1}, got ${limit}`,
    );
  }
  const params = { scale: Float32Array.of(free), zeroPoint: new Int32Array(1) };
  const integers = quantize(w, [w.length], { spec, params });
  if (rowFits(integers, limit)) return { scale: free, integers };

  const narrow = leastSquaresScale(w, [w.length], { ...spec, bits: spec.bits - 1 }, options);
  const safe = narrow.scale[0] as number;
  const search = new Search(w, limit, low, high, options.powerOfTwo ?? false);
  if (options.powerOfTwo) {
    const [from, to] = [Math.min(free, safe), Math.max(free, safe)];
    for (let scale = from; scale <= to; scale *= 2) search.judge(scale);
    return search.best();
  }
  search.judge(safe);
  search.judge(free);
  const ratio = (safe / free) ** (1 / CANDIDATES);
  let nearest = safe;
  for (let i = 1; i < CANDIDATES; i++) {
    const candidate = free * ratio ** i;
    if (search.judge(candidate)) nearest = candidate;
  }
  for (let i = 1; i < FINE_CANDIDATES; i++) {
    const step = ratio ** (i / FINE_CANDIDATES);
    search.judge(nearest * step);
    search.judge(nearest / step);
  }
  for (let i = 0; i < MOST_ALTERNATIONS && search.judge(search.scale); i++);
  return search.best();
}

/** Whether two integers have opposite signs, one of them is 0, or `|a| + |b| <= limit`. */
export function pairFits(a: number, b: number, limit: number): boolean {
  return a * b <= 0 || Math.abs(a + b) <= limit;
}

function rowFits(q: Int32Array, limit: number): boolean {
  for (let i = 0; i + 1 < q.length; i += 2) {
    if (!pairFits(q[i] as number, q[i + 1] as number, limit)) return false;
  }
  return true;
}

/** The best of the scales that were judged. */
class Search {
  /** The best scale for the integers of the best candidate so far. */
  scale = 0;
  #candidate = 0;
  readonly #w: Float32Array;
  readonly #limit: number;
  readonly #low: number;
  readonly #high: number;
  readonly #powerOfTwo: boolean;
  readonly #q: Int32Array;
  /** By how much less than `<w,w>` the squared error is. */
  #gain = Number.NEGATIVE_INFINITY;

  constructor(w: Float32Array, limit: number, low: number, high: number, powerOfTwo: boolean) {
    this.#w = w;
    this.#limit = limit;
    this.#low = low;
    this.#high = high;
    this.#powerOfTwo = powerOfTwo;
    this.#q = new Int32Array(w.length);
  }

  /** Whether it is better than all before. */
  judge(candidate: number): boolean {
    assign(this.#w, candidate, this.#limit, this.#low, this.#high, this.#q);
    let [wq, qq] = [0, 0];
    for (let i = 0; i < this.#q.length; i++) {
      const q = this.#q[i] as number;
      wq += (this.#w[i] as number) * q;
      qq += q * q;
    }
    if (qq === 0) return false;
    const scale = this.#powerOfTwo ? candidate : Math.max(Math.fround(wq / qq), SMALLEST_SCALE);
    const gain = 2 * scale * wq - scale * scale * qq;
    if (gain <= this.#gain) return false;
    this.#gain = gain;
    this.#candidate = candidate;
    this.scale = scale;
    return true;
  }

  best(): PairedWeights {
    assign(this.#w, this.#candidate, this.#limit, this.#low, this.#high, this.#q);
    return { scale: this.scale, integers: this.#q };
  }
}

/**
 * The integers nearest to `w / scale` under the constraint, exactly: a pair whose clipped roundings break the limit
 * has its best point on the edge `a + b = limit` (of sizes), since from any point within, a step towards the
 * roundings comes nearer; on the edge the error is a parabola in a with its least value at `(x - y + limit) / 2`.
 */
function assign(
  w: Float32Array,
  scale: number,
  limit: number,
  low: number,
  high: number,
  q: Int32Array,
): void {
  const reciprocal = 1 / scale;
  const even = w.length - (w.length % 2);
  for (let i = 0; i < even; i += 2) {
    const x = (w[i] as number) * reciprocal;
    const y = (w[i + 1] as number) * reciprocal;
    let a = roundHalfEven(Math.min(Math.max(x, low), high));
    let b = roundHalfEven(Math.min(Math.max(y, low), high));
    if (!pairFits(a, b, limit)) {
      const sign = a > 0 ? 1 : -1;
      const most = Math.min(limit, a > 0 ? high : -low);
      const size = roundHalfEven((sign * (x - y) + limit) / 2);
      const clipped = Math.min(Math.max(size, limit - most), most);
      a = sign * clipped;
      b = sign * (limit - clipped);
    }
    q[i] = a;
    q[i + 1] = b;
  }
  if (even < w.length) {
    q[even] = roundHalfEven(Math.min(Math.max((w[even] as number) * reciprocal, low), high));
  }
}
