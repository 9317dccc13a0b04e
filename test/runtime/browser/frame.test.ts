import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { allocate, type DType, sizeOf } from "../../../src/base/tensor.js";
import { decodeFrame, encodeFrame, type FrameTensor } from "../../../src/runtime/browser/frame.js";

const TYPES: readonly DType[] = [
  "float32",
  "float64",
  "int8",
  "uint8",
  "int16",
  "uint16",
  "int32",
  "uint32",
  "int64",
  "uint64",
  "bool",
  "float16",
];

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): number[] => [
  ...new Uint8Array(buffer, byteOffset, byteLength),
];

/** Any bits at all, NaN's among them. */
const tensors: fc.Arbitrary<FrameTensor> = fc
  .record({
    name: fc.oneof(fc.string(), fc.constantFrom("__proto__", "größe/→", "")),
    type: fc.constantFrom(...TYPES),
    dims: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 }),
  })
  .chain(({ name, type, dims }) => {
    const { byteLength } = allocate(type, sizeOf(dims));
    return fc.uint8Array({ minLength: byteLength, maxLength: byteLength }).map((bytes) => {
      const data = allocate(type, sizeOf(dims));
      new Uint8Array(data.buffer).set(bytes);
      return { name, type, dims, data };
    });
  });

/** A frame with any header, and zeros after it. */
function withHeader(header: unknown, sizeBytes = 0): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(4 + text.length + sizeBytes);
  new DataView(bytes.buffer).setUint32(0, text.length, true);
  bytes.set(text, 4);
  return bytes;
}

describe("frames", () => {
  test("keep every bit of every tensor, in order, wherever the frame lies in memory", () => {
    fc.assert(
      fc.property(fc.array(tensors, { maxLength: 4 }), fc.nat(7), (sent, offset) => {
        const frame = encodeFrame(sent);
        const moved = new Uint8Array(frame.length + offset).subarray(offset);
        moved.set(frame);
        const got = decodeFrame(moved);
        expect(got.map(({ name, type, dims }) => ({ name, type, dims }))).toEqual(
          sent.map(({ name, type, dims }) => ({ name, type, dims })),
        );
        expect(got.map(({ data }) => bytesOf(data))).toEqual(sent.map(({ data }) => bytesOf(data)));
        expect(got.map(({ data }) => data.constructor)).toEqual(sent.map(({ data }) => data.constructor));
      }),
    );
  });

  test("take a view into a larger buffer for what it shows", () => {
    const data = new Float32Array([9, 1, 2, 9]).subarray(1, 3);
    const [got] = decodeFrame(encodeFrame([{ name: "x", type: "float32", dims: [2], data }]));
    expect(got?.data).toEqual(new Float32Array([1, 2]));
  });

  test("stand alone, so that a page can be given their text", () => {
    // oxlint-disable-next-line typescript/no-implied-eval
    const [encode, decode] = new Function(
      `return [${encodeFrame.toString()}, ${decodeFrame.toString()}]`,
    )() as [typeof encodeFrame, typeof decodeFrame];
    const sent = [{ name: "x", type: "int64", dims: [1], data: BigInt64Array.of(-(2n ** 63n)) }];
    expect(decode(encode(sent))).toEqual(sent);
  });

  const frame = encodeFrame([{ name: "x", type: "int16", dims: [2], data: new Int16Array(2) }]);
  test.each<[string, Uint8Array, RegExp]>([
    ["nothing", new Uint8Array(0), /got 0 bytes/],
    ["a header longer than the frame", Uint8Array.of(255, 255, 255, 255, 0), /header of 4294967295 bytes/],
    ["a byte too few", frame.subarray(0, -1), /"x": got 4 bytes/],
    ["a byte too many", withHeader([], 1), /1 bytes left over/],
    [
      "a tensor that does not fill its shape",
      withHeader([{ name: "x", type: "int8", dims: [3], sizeBytes: 2 }], 2),
      /got 2 bytes for shape \[3\], expected 3/,
    ],
    [
      "a type that is not passed",
      withHeader([{ name: "x", type: "int4", dims: [2], sizeBytes: 2 }], 2),
      /type int4/,
    ],
  ])("refuse %s", (_, bytes, message) => {
    expect(() => decodeFrame(bytes)).toThrow(message);
  });
});
