import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { packBitPlanes, unpackBitPlanes } from "../../src/quant/pack.js";
import { anyBits } from "../support/arbitrary.js";

const anyIntegers = anyBits.chain((bits) =>
  fc.tuple(
    fc.constant(bits),
    fc.array(fc.integer({ min: -(2 ** (bits - 1)), max: 2 ** (bits - 1) - 1 }), { maxLength: 70 }),
  ),
);

describe("bit-planes", () => {
  test("unpack to what was packed, at any length and width", () => {
    fc.assert(
      fc.property(anyIntegers, ([bits, integers]) => {
        const planes = packBitPlanes(Int32Array.from(integers), bits);
        expect(planes.length).toBe(bits * Math.ceil(integers.length / 8));
        expect([...unpackBitPlanes(planes, bits, integers.length)]).toEqual(integers);
      }),
    );
  });

  test("hold element i at byte i >> 3, bit i & 7 of each plane, the lowest plane first", () => {
    // 3 bits: 1 = 001, -1 = 111, -4 = 100, 2 = 010; the ninth element starts the second byte.
    const planes = packBitPlanes(Int8Array.of(1, -1, -4, 2, 0, 0, 0, 0, 3), 3);
    expect([...planes]).toEqual([0b0011, 0b1, 0b1010, 0b1, 0b0110, 0]);
  });

  test("leave the bits past the end at 0, so that equal weights give equal bytes", () => {
    const planes = packBitPlanes(Int8Array.of(-1, -1, -1), 2);
    expect([...planes]).toEqual([0b111, 0b111]);
  });

  test("unpack by the formulas that the file states, in uint8 and by tables", () => {
    fc.assert(
      fc.property(anyIntegers, ([bits, integers]) => {
        const planes = packBitPlanes(Int32Array.from(integers), bits);
        expect([...byShifts(planes, bits, integers.length)]).toEqual(integers);
        expect([...byTables(planes, bits, integers.length)]).toEqual(integers);
      }),
    );
  });

  test.each([
    [2, 2],
    [-3, 2],
    [4, 3],
    [-129, 8],
    [128, 8],
  ])("refuse %i in %i bits", (integer, bits) => {
    expect(() => packBitPlanes(Int32Array.of(0, integer), bits)).toThrow(`element 1: got ${integer}`);
  });

  test.each([1, 9, 3.5])("refuse a width of %f", (bits) => {
    expect(() => packBitPlanes(new Int8Array(1), bits)).toThrow("expected an integer from 2 to 8");
    expect(() => unpackBitPlanes(new Uint8Array(1), bits, 1)).toThrow("expected an integer from 2 to 8");
  });

  test.each([
    [5, 3, 9],
    [7, 3, 9],
    [0, 3, 1],
    [3, 3, -1],
    [3, 3, 1.5],
    [3, 3, 2 ** 60],
  ])("refuse %i bytes of %i bits for %f elements before they allocate", (sizeBytes, bits, n) => {
    expect(() => unpackBitPlanes(new Uint8Array(sizeBytes), bits, n)).toThrow("[invalid-data]");
  });
});

function byShifts(planes: Uint8Array, bits: number, n: number): Int8Array {
  const stride = Math.ceil(n / 8);
  const u = new Uint8Array(8 * stride);
  for (let b = 0; b < bits; b++) {
    for (let i = 0; i < u.length; i++) {
      const bit = ((planes[b * stride + (i >> 3)] as number) >> (i & 7)) & 1;
      u[i] = (u[i] as number) | (bit << b);
    }
  }
  const s = u.map((value) => value & (1 << (bits - 1)));
  for (let shift = 1; shift <= 8 - bits; shift *= 2) {
    s.forEach((value, i) => {
      s[i] = value | (value << shift);
    });
  }
  return Int8Array.from(u, (value, i) => value | (s[i] as number)).slice(0, n);
}

function byTables(planes: Uint8Array, bits: number, n: number): Int8Array {
  const stride = Math.ceil(n / 8);
  const q = new Int8Array(8 * stride);
  for (let b = 0; b < bits; b++) {
    const weight = b === bits - 1 ? -(2 ** b) : 2 ** b;
    for (let i = 0; i < q.length; i++) {
      const bit = ((planes[b * stride + (i >> 3)] as number) >> (i & 7)) & 1;
      q[i] = (q[i] as number) | (bit * weight);
    }
  }
  return q.slice(0, n);
}
