// The one resampler of qdg: antialiased bilinear, in exact integer arithmetic, so that Node and every
// browser feed a network the same bytes. A canvas or an image library would each give others.

import type { Image } from "./image.js";
import { checkImage, checkSide } from "./image.js";

/** Fractional bits kept between the horizontal and the vertical pass. */
const MIDDLE_BITS = 8;

/**
 * `y[i] = sum_j w[i,j] x[j] / sum_j w[i,j]` along each axis in turn, width first, with the triangle filter
 *
 * `w[i,j] = max(0, 2 max(n, m) - |(2j + 1) m - (2i + 1) n|)`, n samples in, m out:
 *
 * pixel centers at half integers (align-corners = false), support one input pixel when enlarging and n/m
 * input pixels when reducing, weights normalized over the samples that exist. The weights and all sums are
 * integers below 2^53, so the result does not depend on the machine or on the order of the additions; it
 * is rounded twice, half up: to 1/256 after the first pass, to whole steps after the second.
 *
 * @param image any number of channels, each resampled by itself
 * @throws QdgError `invalid-data` for a side outside 1..65535 or data that does not fill the image
 */
export function resample(image: Image, width: number, height: number): Image {
  checkImage(image, "image");
  checkSide(width, "width");
  checkSide(height, "height");
  const { channels } = image;
  if (width === image.width && height === image.height) return { ...image, data: image.data.slice() };

  // 16 bits on both sides of each pass: one kind of array keeps the inner loop fast. A row at a time, since an image may
  // be as large as memory has room for.
  const row = new Uint16Array(image.width * channels);
  const columns = taps(image.width, width);
  const middle = new Uint16Array(width * image.height * channels);
  for (let y = 0; y < image.height; y++) {
    row.set(image.data.subarray(y * row.length, (y + 1) * row.length));
    for (let x = 0; x < width; x++) {
      const from = (columns.first[x] as number) * channels;
      const to = (y * width + x) * channels;
      filter(row, from, channels, columns, x, channels, 2 ** MIDDLE_BITS, middle, to);
    }
  }

  const rows = taps(image.height, height);
  const result = new Uint16Array(width * height * channels);
  const stride = width * channels;
  for (let y = 0; y < height; y++) {
    const from = (rows.first[y] as number) * stride;
    filter(middle, from, stride, rows, y, stride, 2 ** -MIDDLE_BITS, result, y * stride);
  }
  return { width, height, channels, data: new Uint8Array(result) };
}

/** The weights of each output: those of output i lie at `start[i] .. start[i + 1]`. */
interface Taps {
  /** Index of the first sample that counts. */
  readonly first: Int32Array;
  readonly start: Int32Array;
  /** Integers. */
  readonly weights: Float64Array;
  readonly totals: Float64Array;
}

function taps(samplesIn: number, samplesOut: number): Taps {
  const support = 2 * Math.max(samplesIn, samplesOut);
  const first = new Int32Array(samplesOut);
  const start = new Int32Array(samplesOut + 1);
  const totals = new Float64Array(samplesOut);
  const weights: number[] = [];
  for (let i = 0; i < samplesOut; i++) {
    const center = (2 * i + 1) * samplesIn;
    // The samples with |(2j + 1) m - center| < support.
    const low = Math.max(0, Math.floor((center - support) / (2 * samplesOut) - 0.5));
    const high = Math.min(samplesIn - 1, Math.ceil((center + support) / (2 * samplesOut) - 0.5));
    first[i] = -1;
    for (let j = low; j <= high; j++) {
      const weight = support - Math.abs((2 * j + 1) * samplesOut - center);
      if (weight <= 0) continue;
      if (first[i] === -1) first[i] = j;
      weights.push(weight);
      totals[i] = (totals[i] as number) + weight;
    }
    start[i + 1] = weights.length;
  }
  return { first, start, weights: Float64Array.from(weights), totals };
}

/**
 * `out[to + k] = round(gain * weighted mean of x[from + k + t step])` for k in 0..count. The quotient is
 * exact enough to floor: numerator and denominator are integers, and a true quotient below an integer
 * stays a whole 1/total below it, which is more than the division's rounding error.
 */
function filter(
  x: Uint16Array,
  from: number,
  step: number,
  { start, weights, totals }: Taps,
  index: number,
  count: number,
  gain: number,
  out: Uint16Array,
  to: number,
): void {
  const begin = start[index] as number;
  const end = start[index + 1] as number;
  const total = totals[index] as number;
  const multiplier = gain > 1 ? 2 * gain : 2;
  const half = gain < 1 ? total / gain : total;
  const divisor = 2 * half;
  for (let k = 0; k < count; k++) {
    let sum = 0;
    let position = from + k;
    for (let t = begin; t < end; t++) {
      sum += (weights[t] as number) * (x[position] as number);
      position += step;
    }
    // Storing takes the floor: no quotient is negative, or above 16 bits.
    out[to + k] = (multiplier * sum + half) / divisor;
  }
}
