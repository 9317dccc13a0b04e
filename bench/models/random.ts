// Seeded random numbers: the same on every machine, so that synthetic models are the same files everywhere.

/** A source of numbers in (0, 1): a 32-bit counter, mixed by multiplications and shifts. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (((mixed ^ (mixed >>> 14)) >>> 0) + 0.5) / 2 ** 32;
  };
}

/** n numbers from a normal distribution of mean 0, by Box and Muller. */
export function gaussian(
  n: number,
  seed: number | (() => number),
  sigma: number = 1,
): Float32Array<ArrayBuffer> {
  const next = typeof seed === "number" ? seeded(seed) : seed;
  const x = new Float32Array(n);
  for (let i = 0; i < n; i += 2) {
    const radius = sigma * Math.sqrt(-2 * Math.log(next()));
    const angle = 2 * Math.PI * next();
    x[i] = radius * Math.cos(angle);
    if (i + 1 < n) x[i + 1] = radius * Math.sin(angle);
  }
  return x;
}
