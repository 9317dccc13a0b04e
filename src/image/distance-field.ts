// How far each point of a grid is from the edge of a shape: what outlines, glows and shading are drawn from.
// Integers and sqrt only, so that every engine finds the same.

/**
 * The signed distance from the center of each cell to the edge of `mask`, in cells: below 0 inside, above 0
 * outside, `+-(sqrt(d2) - 1/2)` with d2 the squared distance to the nearest cell of the other kind.
 * `+-size` where there is none of the other kind.
 *
 * Two passes, each linear in the cells: columns by counting, rows as a lower envelope of parabolas. Source:
 * Meijster, Roerdink, Hesselink, "A general algorithm for computing distance transforms in linear time", 2000.
 *
 * @param mask [size, size], 1 inside, 0 outside
 */
export function signedDistance(mask: Uint8Array, size: number): Float32Array {
  const toInside = squaredDistance(mask, size, 1);
  const toOutside = squaredDistance(mask, size, 0);
  const result = new Float32Array(mask.length);
  for (let i = 0; i < mask.length; i++) {
    const inside = mask[i] === 1;
    const squared = (inside ? toOutside[i] : toInside[i]) as number;
    const distance = squared > 2 * size * size ? size : Math.sqrt(squared) - 0.5;
    result[i] = inside ? -distance : distance;
  }
  return result;
}

/** The squared distance from each cell to the nearest one that holds `value`; huge where there is none. */
function squaredDistance(mask: Uint8Array, size: number, value: number): Int32Array {
  const heights = squaredColumnDistance(mask, size, value);
  const result = new Int32Array(mask.length);
  const apexes = new Int32Array(size);
  const starts = new Int32Array(size);
  for (let row = 0; row < mask.length; row += size) {
    let last = 0;
    apexes[0] = 0;
    for (let u = 1; u < size; u++) {
      const height = heights[row + u] as number;
      let start = 0;
      for (; last >= 0; last--) {
        const apex = apexes[last] as number;
        // The first place where the parabola at u is the lower one of the two.
        const rise = u * u - apex * apex + height - (heights[row + apex] as number);
        start = Math.floor(rise / (2 * (u - apex))) + 1;
        if (start > (starts[last] as number)) break;
      }
      if (last < 0) start = 0;
      if (start >= size) continue;
      last++;
      apexes[last] = u;
      starts[last] = start;
    }
    for (let x = size - 1; x >= 0; x--) {
      const apex = apexes[last] as number;
      result[row + x] = (x - apex) * (x - apex) + (heights[row + apex] as number);
      if (x === starts[last]) last--;
    }
  }
  return result;
}

/** The square of the distance within its column; of 2 size, which is more than any, where there is none. */
function squaredColumnDistance(mask: Uint8Array, size: number, value: number): Int32Array {
  const far = 2 * size;
  const distances = new Int32Array(mask.length);
  for (let i = 0; i < mask.length; i++) {
    const above = i < size ? far : (distances[i - size] as number);
    distances[i] = mask[i] === value ? 0 : Math.min(far, above + 1);
  }
  for (let i = mask.length - 1; i >= 0; i--) {
    const below = i >= mask.length - size ? far : (distances[i + size] as number);
    distances[i] = Math.min(distances[i] as number, below + 1);
  }
  for (let i = 0; i < mask.length; i++) distances[i] = (distances[i] as number) * (distances[i] as number);
  return distances;
}
