// Functions of one byte by sixteen look-ups and choices between two: what relaxed SIMD leaves to the machine is not made use of
// (indices are below 16, masks whole bytes), so that results are the same on all.

// @ts-ignore: decorator
@inline function looked(table: usize, low: v128): v128 {
  return i8x16.relaxed_swizzle(v128.load(table), low);
}

// @ts-ignore: decorator
@inline function chosen(zero: v128, one: v128, mask: v128): v128 {
  return i8x16.relaxed_laneselect(one, zero, mask);
}

/** The 64 entries from `table` on, by the low four bits of an index and the masks of the next two. */
// @ts-ignore: decorator
@inline function quarter(table: usize, low: v128, bit4: v128, bit5: v128): v128 {
  return chosen(
    chosen(looked(table, low), looked(table + 16, low), bit4),
    chosen(looked(table + 32, low), looked(table + 48, low), bit4),
    bit5,
  );
}

// @ts-ignore: decorator
@inline function mapped(table: usize, index: v128): v128 {
  const zero = i8x16.splat(0);
  const low = v128.and(index, i8x16.splat(15));
  const bit7 = i8x16.lt_s(index, zero);
  const twice = i8x16.add(index, index);
  const bit6 = i8x16.lt_s(twice, zero);
  const fourfold = i8x16.add(twice, twice);
  const bit5 = i8x16.lt_s(fourfold, zero);
  const bit4 = i8x16.lt_s(i8x16.add(fourfold, fourfold), zero);
  return chosen(
    chosen(quarter(table, low, bit4, bit5), quarter(table + 64, low, bit4, bit5), bit6),
    chosen(quarter(table + 128, low, bit4, bit5), quarter(table + 192, low, bit4, bit5), bit6),
    bit7,
  );
}

/** `to[i] = table[from[i]]`: arguments as those of lookUp. */
export function selectLookUp(
  from: usize,
  to: usize,
  rows: i32,
  length: i32,
  pitchFrom: i32,
  pitchTo: i32,
  table: usize,
): void {
  for (let y = 0; y < rows; y++) {
    let i: usize = 0;
    for (; i + 16 <= <usize>length; i += 16) v128.store(to + i, mapped(table, v128.load(from + i)));
    if (i < <usize>length) v128.store64_lane(to + i, mapped(table, v128.load64_zero(from + i)), 0);
    from += pitchFrom;
    to += pitchTo;
  }
}
