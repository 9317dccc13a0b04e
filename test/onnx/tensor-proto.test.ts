import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DType, Tensor } from "../../src/base/tensor.js";
import { allocate } from "../../src/base/tensor.js";
import { decodeModel, encodeModel } from "../../src/onnx/codec.js";
import { BITS_IN_FILE, DATA_TYPE } from "../../src/onnx/data-type.js";
import { dataIn } from "../../src/onnx/external-data.js";
import type { TensorProto } from "../../src/onnx/model-proto.js";
import { packNibbles, protoToTensor, tensorToProto, unpackNibbles } from "../../src/onnx/tensor-proto.js";

const DTYPES = Object.keys(DATA_TYPE) as DType[];
const entry = (key: string, value: string): { key: string; value: string } => ({ key, value });

/** Random bits of a type; floats may be NaN. */
function arbitraryTensor(dtype: DType): fc.Arbitrary<Tensor> {
  return fc.array(fc.nat(4), { maxLength: 3 }).chain((shape) => {
    const length = shape.reduce((product, dim) => product * dim, 1);
    const bytes = Math.max(1, BITS_IN_FILE[dtype] / 8);
    return fc.uint8Array({ minLength: length * bytes, maxLength: length * bytes }).map((raw) => {
      if (dtype === "bool") raw.forEach((byte, i) => (raw[i] = byte & 1));
      if (dtype === "uint4") raw.forEach((byte, i) => (raw[i] = byte & 15));
      if (dtype === "int4") raw.forEach((byte, i) => (raw[i] = (byte & 15) - 8));
      const Type = allocate(dtype, 0).constructor as new (buffer: ArrayBuffer) => Tensor["data"];
      return { dtype, shape, data: new Type(raw.slice().buffer) };
    });
  });
}

const bits = (tensor: Tensor): Uint8Array =>
  new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength);

describe("protoToTensor of tensorToProto", () => {
  test.each(DTYPES)("gives the same bits, through a file, for any tensor of %s", (dtype) => {
    fc.assert(
      fc.property(arbitraryTensor(dtype), fc.nat(8), (tensor, shift) => {
        const initializer = [tensorToProto(tensor, "t")];
        // The name before it shifts the data to any alignment.
        const bytes = encodeModel({ producerName: "x".repeat(shift), graph: { initializer } });
        const read = protoToTensor(decodeModel(bytes).graph?.initializer?.[0] as TensorProto);
        expect([read.dtype, read.shape]).toEqual([tensor.dtype, tensor.shape]);
        expect(read.data.constructor).toBe(tensor.data.constructor);
        expect(bits(read)).toEqual(bits(tensor));
      }),
      { numRuns: 40 },
    );
  });

  test("shares aligned data instead of copying it", () => {
    const data = Float32Array.of(1, 2);
    const proto = tensorToProto({ dtype: "float32", shape: [2], data });
    expect(proto.rawData?.buffer).toBe(data.buffer);
    expect(protoToTensor(proto).data.buffer).toBe(data.buffer);
  });
});

describe("int4 and uint4", () => {
  test("are packed two to a byte, the first in the low half, an odd one padded with 0", () => {
    expect([...packNibbles(Int8Array.of(-8, 7, -1))]).toEqual([0x78, 0x0f]);
    expect([...packNibbles(Uint8Array.of(1, 15, 9, 0))]).toEqual([0xf1, 0x09]);
    expect([...unpackNibbles(Uint8Array.of(0x78, 0xff), 3, true)]).toEqual([-8, 7, -1]);
    expect([...unpackNibbles(Uint8Array.of(0x78, 0xff), 3, false)]).toEqual([8, 7, 15]);
  });

  test("come out of pack and unpack as they were, at any length", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -8, max: 7 })), (list) => {
        const elements = Int8Array.from(list);
        const packed = packNibbles(elements);
        expect(packed.length).toBe(Math.ceil(list.length / 2));
        expect(unpackNibbles(packed, list.length, true)).toEqual(elements);
      }),
    );
  });
});

describe("data in typed lists", () => {
  test.each<[DType, TensorProto, (number | bigint)[]]>([
    ["float32", { floatData: Float32Array.of(1.5, -0) }, [1.5, -0]],
    ["float64", { doubleData: Float64Array.of(0.1, 2) }, [0.1, 2]],
    ["int32", { int32Data: Int32Array.of(-(2 ** 31), 5) }, [-(2 ** 31), 5]],
    ["int8", { int32Data: Int32Array.of(-128, 127) }, [-128, 127]],
    ["uint8", { int32Data: Int32Array.of(0, 255) }, [0, 255]],
    ["int16", { int32Data: Int32Array.of(-32768, 3) }, [-32768, 3]],
    ["uint16", { int32Data: Int32Array.of(65535, 3) }, [65535, 3]],
    ["float16", { int32Data: Int32Array.of(0x3c00, 0xbc00) }, [0x3c00, 0xbc00]],
    ["bool", { int32Data: Int32Array.of(0, 1) }, [0, 1]],
    ["uint32", { uint64Data: BigUint64Array.of(4294967295n, 1n) }, [4294967295, 1]],
    ["uint64", { uint64Data: BigUint64Array.of(2n ** 64n - 1n, 1n) }, [2n ** 64n - 1n, 1n]],
    ["int64", { int64Data: BigInt64Array.of(-(2n ** 63n), 1n) }, [-(2n ** 63n), 1n]],
    ["int4", { int32Data: Int32Array.of(0x78) }, [-8, 7]],
    ["uint4", { int32Data: Int32Array.of(0xf1) }, [1, 15]],
  ])("are read for %s", (dtype, data, expected) => {
    const tensor = protoToTensor({ dims: [2], dataType: DATA_TYPE[dtype], ...data });
    expect([...tensor.data]).toEqual(expected);
    expect(tensor.data.constructor).toBe(allocate(dtype, 0).constructor);
  });
});

const raw = (length: number): { rawData: Uint8Array } => ({ rawData: new Uint8Array(length) });

test.each<[string, TensorProto, string, string]>([
  ["too few bytes", { dims: [3], dataType: 1, ...raw(11) }, "invalid-onnx", "11 bytes of data, expected 12"],
  ["too many bytes", { dims: [3], dataType: 22, ...raw(3) }, "invalid-onnx", "3 bytes of data, expected 2"],
  ["no data", { dims: [3], dataType: 1 }, "invalid-onnx", "has no data, expected 3"],
  ["a huge shape", { dims: [2 ** 30, 2 ** 30], dataType: 1, ...raw(4) }, "invalid-onnx", "beyond any file"],
  ["a negative dimension", { dims: [-1], dataType: 1 }, "invalid-onnx", "a dimension of -1"],
  ["a dimension beyond 2^53", { dims: [2n ** 60n], dataType: 1 }, "invalid-onnx", "a dimension of"],
  [
    "too few entries",
    { dims: [3], dataType: 22, int32Data: new Int32Array(3) },
    "invalid-onnx",
    "expected 2",
  ],
  ["the wrong list", { dims: [1], dataType: 1, int32Data: new Int32Array(1) }, "invalid-onnx", "floatData"],
  [
    "an entry out of range",
    { dims: [1], dataType: 2, int32Data: Int32Array.of(256) },
    "invalid-onnx",
    "0..255",
  ],
  ["a bool of 2", { dims: [1], dataType: 9, rawData: Uint8Array.of(2) }, "invalid-onnx", "bool"],
  [
    "two kinds of data",
    { dims: [0], dataType: 1, ...raw(0), floatData: Float32Array.of(1) },
    "invalid-onnx",
    "rawData and floatData",
  ],
  ["a segment", { dims: [1], dataType: 1, ...raw(4), segment: { begin: 0 } }, "invalid-onnx", "segment"],
  ["bfloat16", { dims: [1], dataType: 16, ...raw(2) }, "unsupported-op", "BFLOAT16"],
  ["strings", { dims: [1], dataType: 8, stringData: [new Uint8Array(1)] }, "unsupported-op", "STRING"],
  ["a type of the future", { dims: [1], dataType: 99, ...raw(1) }, "unsupported-op", "type 99"],
  ["no type", { dims: [1], ...raw(1) }, "unsupported-op", "UNDEFINED"],
])("a tensor with %s is an error that says so", (_, proto, code, text) => {
  const expected = {
    name: "QdgError",
    code,
    where: "tensor w",
    message: expect.stringContaining(text) as string,
  };
  expect(() => protoToTensor(proto, "tensor w")).toThrow(expect.objectContaining(expected) as Error);
});

describe("external data", () => {
  let root = "";
  let folder = "";
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), "qdg-external-"));
    folder = join(root, "model");
    mkdirSync(join(folder, "sub"), { recursive: true });
    mkdirSync(join(root, "model-other"));
    const data = new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer);
    writeFileSync(join(folder, "data.bin"), data);
    writeFileSync(join(folder, "sub", "data.bin"), data);
    writeFileSync(join(root, "secret.bin"), data);
    writeFileSync(join(root, "model-other", "data.bin"), data);
    symlinkSync(join(root, "secret.bin"), join(folder, "link.bin"));
    symlinkSync(root, join(folder, "linked"));
    symlinkSync(join(folder, "data.bin"), join(folder, "inner.bin"));
    execFileSync("mkfifo", [join(folder, "pipe")]);
  });
  afterAll(() => rmSync(root, { recursive: true }));

  const read = (location: string, more: Record<string, string> = {}, known = true): readonly number[] => {
    const externalData = [entry("location", location), ...Object.entries(more).map(([k, v]) => entry(k, v))];
    const proto: TensorProto = { dims: [2], dataType: 1, dataLocation: 1, externalData };
    return [...protoToTensor(proto, "w", known ? dataIn(folder) : undefined).data].map(Number);
  };

  test("is read from the model's folder, at its offset", () => {
    expect(read("data.bin")).toEqual([1, 2]);
    expect(read("data.bin", { offset: "8", length: "8" })).toEqual([3, 4]);
    expect(read("sub/data.bin", { offset: "4" })).toEqual([2, 3]);
    expect(read("./inner.bin")).toEqual([1, 2]);
  });

  test.each<[string, Record<string, string>, string]>([
    ["../secret.bin", {}, "invalid-path"],
    ["sub/../../secret.bin", {}, "invalid-path"],
    ["sub\\..\\..\\secret.bin", {}, "invalid-path"],
    ["../model-other/data.bin", {}, "invalid-path"],
    ["/etc/passwd", {}, "invalid-path"],
    ["\\\\server\\share", {}, "invalid-path"],
    ["C:\\data.bin", {}, "invalid-path"],
    ["http://example.org/data.bin", {}, "invalid-path"],
    ["", {}, "invalid-path"],
    ["data.bin\0", {}, "invalid-path"],
    ["link.bin", {}, "invalid-path"],
    ["linked/secret.bin", {}, "invalid-path"],
    ["linked/model-other/data.bin", {}, "invalid-path"],
    [".", {}, "invalid-path"],
    ["sub", {}, "invalid-path"],
    ["pipe", {}, "invalid-path"],
    ["missing.bin", {}, "not-found"],
    ["data.bin", { offset: "12" }, "invalid-onnx"],
    ["data.bin", { offset: "-4" }, "invalid-onnx"],
    ["data.bin", { offset: "0x4" }, "invalid-onnx"],
    ["data.bin", { offset: "99999999999999999999" }, "invalid-onnx"],
    ["data.bin", { length: "4" }, "invalid-onnx"],
    ["data.bin", { length: "16" }, "invalid-onnx"],
    ["data.bin", { location: "data.bin" }, "invalid-onnx"],
    ["data.bin", { compression: "zip" }, "invalid-onnx"],
  ])("at %j with %j is refused as %s", (location, more, code) => {
    expect(() => read(location, more)).toThrow(expect.objectContaining({ name: "QdgError", code }) as Error);
  });

  test("is refused while the folder is not known", () => {
    expect(() => read("data.bin", {}, false)).toThrow(/another file/);
  });
});
