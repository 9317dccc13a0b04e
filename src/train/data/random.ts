// Random numbers as a pure function of where they are used: no state that a checkpoint would have to keep,
// and no order of calls that threads could change. Never for secrets.

/** What numbers are drawn for: two purposes never see the same ones. */
export type Stream = "split" | "order" | "augmentation" | "bits";

const STREAMS: readonly Stream[] = ["split", "order", "augmentation", "bits"];

/** Four 32-bit words, each 0..2^32 - 1. */
export type Words = readonly [number, number, number, number];

/**
 * Philox4x32-10: ten rounds of
 *
 * `(c0, c1, c2, c3) <- (hi(B c2) ^ c1 ^ k0, lo(B c2), hi(A c0) ^ c3 ^ k1, lo(A c0))`,
 * `A = 0xD2511F53`, `B = 0xCD9E8D57`, with `k0 += 0x9E3779B9, k1 += 0xBB67AE85` between rounds.
 *
 * A bijection of the counter for each key, so two counters never give the same words. Integers only, the
 * same on every machine. Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3",
 * SC 2011.
 */
export function philox(counter: Words, key: readonly [number, number]): Words {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const high0 = highProduct(0xd2511f53, c0);
    const low0 = Math.imul(0xd2511f53, c0) >>> 0;
    const high2 = highProduct(0xcd9e8d57, c2);
    const low2 = Math.imul(0xcd9e8d57, c2) >>> 0;
    c0 = (high2 ^ c1 ^ k0) >>> 0;
    c1 = low2;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0;
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** The upper 32 bits of the 64 of a product; every number on the way is an integer below 2^53. */
function highProduct(a: number, b: number): number {
  const low = Math.floor(((a & 0xffff) * b) / 0x10000);
  return Math.floor(((a >>> 16) * b + low) / 0x10000);
}

/** FNV-1a over UTF-16 code units: one word that stands for a name. */
export function wordOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/**
 * The numbers of one place: number n of it is `philox((n / 2, item, index mod 2^32, index / 2^32),
 * (seed, stream))`, two of its words a number.
 */
export class Random {
  private readonly key: readonly [number, number];
  private readonly item: number;
  private readonly low: number;
  private readonly high: number;
  private block = 0;
  private spare: number | null = null;

  /**
   * @param seed an integer in 0..2^32 - 1; @param item a word that tells one thing of the stream from
   * another, as wordOf a domain; @param index a count of that thing, up to 2^53 - 1
   */
  constructor(seed: number, stream: Stream, item: number, index: number) {
    this.key = [seed >>> 0, STREAMS.indexOf(stream)];
    this.item = item >>> 0;
    this.low = index >>> 0;
    this.high = Math.floor(index / 2 ** 32);
  }

  /** The next number in [0, 1): a multiple of 2^-53. */
  uniform(): number {
    if (this.spare !== null) {
      const { spare } = this;
      this.spare = null;
      return spare;
    }
    const words = philox([this.block++, this.item, this.low, this.high], this.key);
    this.spare = fraction(words[2], words[3]);
    return fraction(words[0], words[1]);
  }

  between(low: number, high: number): number {
    return low + (high - low) * this.uniform();
  }

  /** An integer in 0..below - 1. */
  integer(below: number): number {
    return Math.floor(this.uniform() * below);
  }

  /** 0..count - 1 in random order: Fisher and Yates's shuffle. */
  permutation(count: number): Uint32Array {
    const order = Uint32Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      const other = order[j] as number;
      order[j] = order[i] as number;
      order[i] = other;
    }
    return order;
  }
}

/** 27 bits of one word above 26 of another. */
function fraction(a: number, b: number): number {
  return ((a >>> 5) * 0x4000000 + (b >>> 6)) / 2 ** 53;
}
