// What is made once, when a network is loaded: weights in the order of the kernels, and lists of addresses.

/**
 * Weights of convolution from the order of a file.
 *
 * @param from i8 [outputs][channels][elements]
 * @param to i8 [outputs / 8][elements][chunks][8 outputs][4], zeros before
 * @param chunks steps of four bytes that an element takes: `ceil(channels / 4)`
 * @param sums i32 [outputs][2]: the sum of the weights of each output and of their absolute values
 * @returns all weights, bit by bit or-ed
 *
 * Where channels are odd every second element begins a byte late, so that products meet in pairs as they do in a list of all
 * elements' channels: 2i and 2i + 1.
 */
export function pack(
  from: usize,
  to: usize,
  outputs: i32,
  channels: i32,
  elements: i32,
  chunks: i32,
  sums: usize,
): i32 {
  const block = <usize>(elements * chunks) << 5;
  let bits = 0;
  for (let k = 0; k < outputs; k++) {
    const first = to + <usize>(k >> 3) * block + (<usize>(k & 7) << 2);
    let sum = 0;
    let absolute = 0;
    for (let c = 0; c < channels; c++) {
      for (let e = 0; e < elements; e++) {
        const weight = <i32>load<i8>(from++);
        const at = c + ((e * channels) & 1);
        store<i8>(first + (<usize>(e * chunks + (at >> 2)) << 5) + (at & 3), <i8>weight);
        sum += weight;
        absolute += abs(weight);
        bits |= weight;
      }
    }
    store<i32>(sums, sum);
    store<i32>(sums, absolute, 4);
    sums += 8;
  }
  return bits;
}

/** Divides `bytes` weights by 2^shift, which all of them are multiples of. */
export function shiftWeights(weights: usize, bytes: i32, shift: i32): void {
  const end = weights + bytes;
  for (; weights < end; weights += 16) v128.store(weights, i8x16.shr_s(v128.load(weights), shift));
}

// @ts-ignore: decorator
@inline function larger(sums: v128, most: v128): v128 {
  return i16x8.max_u(most, sums);
}

/**
 * The largest sum of weights of one sign of a pair over `group` steps, the first at a multiple of it: times the largest byte it
 * bounds what is added in 16 bits. Of more than 511 steps it is no bound.
 *
 * @param weights i8 [blocks][steps][16 pairs][2]
 */
export function largestPairs(weights: usize, blocks: i32, steps: i32, group: i32): i32 {
  const zero = i16x8.splat(0);
  let most = zero;
  for (let b = 0; b < blocks; b++) {
    for (let s = 0; s < steps; ) {
      const end = min(s + group, steps);
      let up0 = zero, up1 = zero, down0 = zero, down1 = zero;
      for (; s < end; s++) {
        const w0 = v128.load(weights);
        const w1 = v128.load(weights, 16);
        up0 = i16x8.add(up0, i16x8.extadd_pairwise_i8x16_s(i8x16.max_s(w0, zero)));
        up1 = i16x8.add(up1, i16x8.extadd_pairwise_i8x16_s(i8x16.max_s(w1, zero)));
        down0 = i16x8.sub(down0, i16x8.extadd_pairwise_i8x16_s(i8x16.min_s(w0, zero)));
        down1 = i16x8.sub(down1, i16x8.extadd_pairwise_i8x16_s(i8x16.min_s(w1, zero)));
        weights += 32;
      }
      most = larger(up0, larger(up1, larger(down0, larger(down1, most))));
    }
  }
  let result = 0;
  for (let i = 0; i < 8; i++) {
    result = max(result, <i32>i16x8.extract_lane_u(most, 0));
    most = i8x16.shuffle(most, most, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1);
  }
  return result;
}

/**
 * Addresses of positions, row by row, the last one again until there are `count`.
 *
 * @param to u32 [count]
 * @param first the address of the first position
 */
export function listPositions(
  to: usize,
  count: i32,
  rows: i32,
  columns: i32,
  first: i32,
  pitch: i32,
  step: i32,
): void {
  const end = to + (<usize>count << 2);
  let address = first;
  for (let y = 0; y < rows; y++) {
    address = first + y * pitch;
    for (let x = 0; x < columns; x++) {
      store<u32>(to, address);
      address += step;
      to += 4;
    }
  }
  for (; to < end; to += 4) store<u32>(to, address - step);
}
