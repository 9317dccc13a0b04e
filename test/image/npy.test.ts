import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeNpy } from "../../src/image/npy.js";

/** A .npy file as NumPy writes it: the header padded so that the data starts at a multiple of 64. */
function npy(header: string, data: Uint8Array, major = 1): Uint8Array {
  const start = major === 1 ? 10 : 12;
  const text = Buffer.from(header, major === 3 ? "utf8" : "latin1");
  const length = Math.ceil((start + text.length + 1) / 64) * 64 - start;
  const bytes = Buffer.alloc(start + length, " ");
  bytes.write("\u0093NUMPY", 0, "latin1");
  bytes[6] = major;
  bytes[7] = 0;
  if (major === 1) bytes.writeUInt16LE(length, 8);
  else bytes.writeUInt32LE(length, 8);
  text.copy(bytes, start);
  bytes[start + length - 1] = 10;
  return Buffer.concat([bytes, data]);
}

const header = (descr: string, shape: string, order = "False"): string =>
  `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': ${shape}, }`;
const bytesOf = (array: ArrayBufferView): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

describe("decodeNpy", () => {
  test.each([
    ["<f4", "float32", Float32Array.of(1.5, -2, 0, 3)],
    ["<f8", "float64", Float64Array.of(0.1, -2, 0, 3)],
    ["|u1", "uint8", Uint8Array.of(0, 255, 7, 8)],
    ["|i1", "int8", Int8Array.of(-128, 127, 0, 1)],
    ["<i2", "int16", Int16Array.of(-32768, 1, 2, 3)],
    ["<u2", "uint16", Uint16Array.of(65535, 1, 2, 3)],
    ["<i4", "int32", Int32Array.of(-(2 ** 31), 1, 2, 3)],
    ["<u4", "uint32", Uint32Array.of(2 ** 32 - 1, 1, 2, 3)],
    ["<i8", "int64", BigInt64Array.of(-(2n ** 63n), 1n, 2n, 3n)],
    ["<u8", "uint64", BigUint64Array.of(2n ** 64n - 1n, 1n, 2n, 3n)],
    ["<f2", "float16", Uint16Array.of(0x3c00, 1, 2, 3)],
    ["|b1", "bool", Uint8Array.of(1, 0, 1, 1)],
  ])("reads %s as %s", (descr, dtype, data) => {
    expect(decodeNpy(npy(header(descr, "(2, 2)"), bytesOf(data)), "x.npy")).toEqual({
      dtype,
      shape: [2, 2],
      data,
    });
  });

  test.each([1, 2, 3])("reads version %i, at any offset in memory", (major) => {
    const bytes = npy(header("<f4", "(3,)"), bytesOf(Float32Array.of(1, 2, 3)), major);
    const shifted = new Uint8Array(bytes.length + 1);
    shifted.set(bytes, 1);
    expect([...decodeNpy(shifted.subarray(1), "x.npy").data]).toEqual([1, 2, 3]);
  });

  test.each([
    ["()", [], 1],
    ["(0, 3)", [0, 3], 0],
    ["(2L, 1L)", [2, 1], 2],
    ["( 2 ,1 , )", [2, 1], 2],
  ])("reads the shape %s", (text, shape, length) => {
    const tensor = decodeNpy(npy(header("<f4", text), new Uint8Array(4 * length)), "x.npy");
    expect(tensor.shape).toEqual(shape);
  });

  test("takes the keys in any order", () => {
    const text = "{'shape': (2,), 'fortran_order': False, 'descr': '|u1'}";
    expect([...decodeNpy(npy(text, Uint8Array.of(4, 5)), "x.npy").data]).toEqual([4, 5]);
  });

  test("takes Fortran order where it is also C order", () => {
    const bytes = npy(header("|u1", "(1, 2)", "True"), Uint8Array.of(4, 5));
    expect([...decodeNpy(bytes, "x.npy").data]).toEqual([4, 5]);
  });

  test.each([
    ["Fortran order", npy(header("|u1", "(2, 2)", "True"), new Uint8Array(4)), /Fortran order/],
    ["big-endian data", npy(header(">f4", "(1,)"), new Uint8Array(4)), /byte order: got ">"/],
    ["objects", npy(header("|O", "(1,)"), new Uint8Array(8)), /type: got "\|O"/],
    ["complex numbers", npy(header("<c8", "(1,)"), new Uint8Array(8)), /type: got "<c8"/],
    [
      "structures",
      npy(`{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}`, new Uint8Array(4)),
      /cannot be read/,
    ],
    [
      "code in place of data",
      npy(`{'descr': __import__('os'), 'fortran_order': False, 'shape': (1,)}`, new Uint8Array(4)),
      /cannot be read/,
    ],
    ["data cut short", npy(header("<f4", "(3,)"), new Uint8Array(11)), /got 11 bytes of data, expected 12/],
    ["data too long", npy(header("<f4", "(3,)"), new Uint8Array(13)), /got 13 bytes/],
    [
      "a shape beyond memory",
      npy(header("|u1", "(4294967296, 4294967296)"), new Uint8Array(4)),
      /more elements|expected/,
    ],
    [
      "a large shape without its data",
      npy(header("<f8", "(100000, 100000)"), new Uint8Array(4)),
      /got 4 bytes/,
    ],
    ["a negative size", npy(header("|u1", "(-1,)"), new Uint8Array(1)), /cannot be read/],
    ["a missing key", npy("{'descr': '|u1', 'shape': (1,)}", new Uint8Array(1)), /lacks/],
    [
      "a repeated key",
      npy("{'shape': (1,), 'shape': (2,), 'descr': '|u1', 'fortran_order': False}", new Uint8Array(1)),
      /twice/,
    ],
    [
      "an unknown key",
      npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1,), 'x': True}", new Uint8Array(1)),
      /unknown key "x"/,
    ],
    [
      "a key of a wrong type",
      npy("{'descr': True, 'fortran_order': False, 'shape': (1,)}", new Uint8Array(1)),
      /lacks/,
    ],
    ["bools of 2", npy(header("|b1", "(1,)"), Uint8Array.of(2)), /bools/],
    ["version 4", npy(header("|u1", "(1,)"), new Uint8Array(1), 4), /version: got 4/],
    ["no magic", new TextEncoder().encode("not a numpy file at all"), /not a \.npy file/],
    ["nothing", new Uint8Array(0), /not a \.npy file/],
    [
      "a header cut short",
      npy(header("|u1", "(1,)"), new Uint8Array(1)).subarray(0, 30),
      /within its header/,
    ],
  ])("refuses %s, naming the file", (_, bytes, message) => {
    expect(() => decodeNpy(bytes, "x.npy")).toThrow(message);
    expect(() => decodeNpy(bytes, "x.npy")).toThrow(/^x\.npy: .*\[invalid-data\]$/);
  });

  test("gives an error of its own for any damaged file", () => {
    const good = npy(header("<f4", "(2, 3)"), bytesOf(new Float32Array(6)));
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length), (at, value, length) => {
        const bytes = good.slice(0, length);
        if (at < length) bytes[at] = value;
        let outcome: { code?: unknown; whole?: boolean };
        try {
          const { data, shape } = decodeNpy(bytes, "x.npy");
          outcome = { whole: data.length === shape.reduce((a, b) => a * b, 1) };
        } catch (thrown) {
          outcome = thrown as { code?: unknown };
        }
        expect(outcome.whole ?? outcome.code === "invalid-data").toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});
