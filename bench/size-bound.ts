// How large a file may be: the formula that exported files are held against, apart from the code that writes
// them.

/** What a layer with weights must store. */
export interface LayerSize {
  readonly bits: number;
  readonly weights: number;
  readonly biases: number;
  readonly weightScales: number;
}

/** For the graph, the metadata and what a file needs beside its numbers. */
export const FIXED_BYTES = 40_000;
/** Over the bytes that the numbers take. */
export const SLACK = 1.03;

/** `sum of bits * weights / 8 + 4 a bias + 4 a weight scale`, in bytes. */
export function payloadBytes(layers: readonly LayerSize[]): number {
  return layers.reduce(
    (sum, { bits, weights, biases, weightScales }) =>
      sum + (bits * weights) / 8 + 4 * biases + 4 * weightScales,
    0,
  );
}

/** `1.03 * payload + 40 kB`, 1 kB = 1000 bytes. */
export function sizeBound(layers: readonly LayerSize[]): number {
  return SLACK * payloadBytes(layers) + FIXED_BYTES;
}
