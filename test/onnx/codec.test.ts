import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { QdgError } from "../../src/base/error.js";
import { decodeModel, encodeModel } from "../../src/onnx/codec.js";
import type { AttributeProto, GraphProto, ModelProto } from "../../src/onnx/model-proto.js";
import { readSchema } from "../support/protobuf-schema.js";
import { arbitraryModel } from "./arbitrary-model.js";

const bytesOf = (...parts: (number | readonly number[])[]): Uint8Array => Uint8Array.from(parts.flat());

const varint = (value: number): number[] =>
  value < 128 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];

/** Field `id` of wire type 2: a length and some bytes. */
const field = (id: number, inner: Uint8Array): Uint8Array =>
  bytesOf(varint(id * 8 + 2), varint(inner.length), [...inner]);

/** The QdgError that `work` throws; anything else it throws goes through. */
function errorOf(work: () => unknown): QdgError | undefined {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof QdgError) return thrown;
    throw thrown;
  }
  return undefined;
}

/** The message of the `invalid-onnx` error that `work` throws. */
function refusal(work: () => unknown): string {
  const error = errorOf(work);
  expect(error?.code).toBe("invalid-onnx");
  return error?.message ?? "";
}

const withAttribute = (attribute: AttributeProto): ModelProto => ({
  graph: { node: [{ attribute: [attribute] }] },
});

describe("decode of encode", () => {
  test("is the same model, for any model: explicit zeros, 64-bit integers, NaN and odd strings included", () => {
    fc.assert(
      fc.property(arbitraryModel(), (model) => {
        expect(decodeModel(encodeModel(model))).toStrictEqual(model);
      }),
      { numRuns: 150 },
    );
  });

  test("agrees with protobufjs's own reading and writing of the same schema (which drops enum values that it does not know)", () => {
    const type = readSchema().lookupType("onnx.ModelProto");
    fc.assert(
      fc.property(arbitraryModel(3, "known"), (model) => {
        const theirs = type.encode(type.decode(encodeModel(model))).finish();
        expect(decodeModel(theirs)).toStrictEqual(model);
      }),
      { numRuns: 60 },
    );
  });

  test("keeps an attribute of 0 apart from one that is absent", () => {
    const zero = encodeModel(withAttribute({ i: 0 }));
    const absent = encodeModel(withAttribute({}));
    expect(decodeModel(zero)).toStrictEqual(withAttribute({ i: 0 }));
    expect(decodeModel(absent)).toStrictEqual(withAttribute({}));
    expect([...zero]).toEqual([0x3a, 6, 0x0a, 4, 0x2a, 2, 0x18, 0]);
  });

  test.each<[number | bigint, number]>([
    [2 ** 53 - 1, 8],
    [2n ** 53n, 8],
    [2n ** 63n - 1n, 9],
    [-1, 10],
    [-(2n ** 63n), 10],
    [127, 1],
    [128, 2],
  ])("holds the int64 %s exactly, in %d bytes", (value, size) => {
    const bytes = encodeModel({ irVersion: value });
    expect(bytes.length).toBe(1 + size);
    expect(decodeModel(bytes)).toStrictEqual({ irVersion: value });
  });

  test("gives a safe integer as a number even where it came as a bigint", () => {
    expect(decodeModel(encodeModel({ irVersion: 10n }))).toStrictEqual({ irVersion: 10 });
  });

  test("does not copy tensor data: it is a view on the file's bytes", () => {
    const rawData = new Uint8Array(1000).fill(7);
    const bytes = encodeModel({ graph: { initializer: [{ rawData }] } });
    const read = decodeModel(bytes).graph?.initializer?.[0]?.rawData as Uint8Array;
    expect(read).toEqual(rawData);
    expect(read.buffer).toBe(bytes.buffer);
    const fromBuffer = decodeModel(Buffer.from(bytes)).graph?.initializer?.[0]?.rawData;
    expect(fromBuffer?.constructor).toBe(Uint8Array);
  });
});

describe("decodeModel", () => {
  test("takes packed and unpacked lists alike, and joins runs", () => {
    const attribute = bytesOf(0x40, 1, 0x42, 3, 2, 0x80, 1, 0x40, 3);
    const ints = field(7, field(1, field(5, attribute)));
    expect(decodeModel(ints)).toStrictEqual(withAttribute({ ints: [1, 2, 128, 3] }));
    const apart = field(7, field(5, bytesOf(0x38, 5, [...field(7, bytesOf(6, 7))], 0x38, 8)));
    expect(decodeModel(apart)).toStrictEqual({
      graph: { initializer: [{ int64Data: BigInt64Array.of(5n, 6n, 7n, 8n) }] },
    });
  });

  test("merges a message that comes twice, and keeps the last of a oneof", () => {
    const twice = bytesOf([...field(7, field(2, bytesOf(0x61)))], [...field(7, field(10, bytesOf(0x62)))]);
    expect(decodeModel(twice)).toStrictEqual({ graph: { name: "a", docString: "b" } });
    // dim_value 5, then dim_param "n"
    const dim = field(1, bytesOf(0x08, 5, 0x12, 1, 0x6e));
    const model = field(7, field(11, field(2, field(1, field(2, dim)))));
    const shape = decodeModel(model).graph?.input?.[0]?.type?.tensorType?.shape;
    expect(shape).toStrictEqual({ dim: [{ dimParam: "n" }] });
  });

  test.each([
    ["ModelProto", 99, bytesOf(0x9a, 6, 1, 0)],
    ["GraphProto", 3, field(7, bytesOf(0x18, 1))],
    ["NodeProto", 11, field(7, field(1, bytesOf(0x58, 1)))],
    ["TensorProto", 15, field(7, field(5, bytesOf(0x7a, 0)))],
    ["TypeProto.Opaque", 3, field(7, field(11, field(2, field(7, bytesOf(0x18, 1)))))],
    ["FunctionProto", 2, field(25, bytesOf(0x10, 1))],
  ])("refuses a %s with the unknown field %d instead of dropping it", (name, id, bytes) => {
    const message = refusal(() => decodeModel(bytes, "file.onnx"));
    expect(message).toContain("file.onnx");
    expect(message).toContain(`${name} has a field number ${id} `);
  });

  test.each([
    ["no bytes", bytesOf(), "is empty"],
    ["another wire type", bytesOf(0x0d, 0, 0, 0, 0), "ModelProto.ir_version has wire type 5, expected 0"],
    ["a group", bytesOf(0x0b), "wire type 3"],
    ["field number 0", bytesOf(0x00, 0), "field number 0"],
    ["a number beyond 64 bits", bytesOf(0x08, Array(9).fill(0xff), 2), "beyond 64 bits"],
    ["a length beyond the file", bytesOf(0x3a, 5, 0), "a length of 5 bytes, but 1 are left"],
    ["a length beyond the message", bytesOf(0x3a, 2, 0x12, 1, 0x61), "a length of 1 bytes, but 0 are left"],
    ["a string that is not UTF-8", bytesOf(0x12, 1, 0xff), "not UTF-8"],
    ["half a float", field(7, field(5, field(4, bytesOf(1, 2, 3)))), "TensorProto.float_data"],
    ["half a number in a list", field(7, field(5, field(7, bytesOf(1, 0x80)))), "end inside a number"],
    ["an int32 beyond 32 bits", field(7, field(5, bytesOf(0x10, 0xff, 0xff, 0xff, 0xff, 0x7f))), "int32"],
    ["text", new TextEncoder().encode("<html><body>404</body></html>"), "file.onnx"],
  ])("refuses %s", (_, bytes, text) => {
    expect(refusal(() => decodeModel(bytes, "file.onnx"))).toContain(text);
  });

  test("refuses messages nested without end, before the stack is full", () => {
    let graph: GraphProto = {};
    for (let i = 0; i < 45; i++) graph = { node: [{ attribute: [{ g: graph }] }] };
    expect(refusal(() => encodeModel({ graph }))).toContain("nested");
    let inner = bytesOf();
    for (let i = 0; i < 200; i++) inner = field(6, field(1, field(5, inner)));
    expect(refusal(() => decodeModel(field(7, inner.subarray(3))))).toContain("nested");
  });

  test("throws nothing but a QdgError for a file that is cut off at any byte", () => {
    fc.assert(
      fc.property(arbitraryModel(3), (model) => {
        const bytes = encodeModel(model);
        for (let length = 0; length < bytes.length; length++) {
          const error = errorOf(() => decodeModel(bytes.subarray(0, length)));
          expect(error?.code ?? "invalid-onnx").toBe("invalid-onnx");
        }
      }),
      { numRuns: 8 },
    );
  });

  test("throws nothing but a QdgError for bytes that are changed or made up", () => {
    fc.assert(
      fc.property(arbitraryModel(3), fc.array(fc.tuple(fc.nat(), fc.nat(255))), (model, changes) => {
        const bytes = encodeModel(model);
        for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte;
        errorOf(() => {
          const read = decodeModel(bytes);
          const again = encodeModel({ irVersion: 1, ...read });
          expect(decodeModel(again)).toStrictEqual({ irVersion: 1, ...read });
        });
      }),
      { numRuns: 300 },
    );
  });
});

describe("encodeModel", () => {
  test.each<[string, object, string]>([
    ["a misspelt key", { irversion: 3 }, "ModelProto: has a key irversion"],
    ["a fraction for an int64", { irVersion: 1.5 }, "irVersion: got number 1.5, expected int64"],
    ["an int64 beyond 64 bits", { irVersion: 2n ** 63n }, "irVersion"],
    ["an unsafe number", { irVersion: 2 ** 53 }, "irVersion"],
    ["text for a number", { irVersion: "3" }, "got string"],
    ["a lone surrogate", { producerName: "\ud800" }, "producerName"],
    ["one item for a list", { opsetImport: {} }, "opsetImport is no list"],
    ["a plain list for packed floats", { graph: { initializer: [{ floatData: [1] }] } }, "floatData"],
    ["an int32 beyond 32 bits", { graph: { initializer: [{ dataType: 2 ** 31 }] } }, "dataType"],
    [
      "two values of a oneof",
      { graph: { input: [{ type: { tensorType: {}, mapType: {} } }] } },
      "TypeProto: has both tensorType and mapType",
    ],
  ])("refuses %s", (_, model, text) => {
    expect(refusal(() => encodeModel(model))).toContain(text);
  });

  test("leaves out lists that are empty", () => {
    expect(decodeModel(encodeModel({ irVersion: 1, opsetImport: [] }))).toStrictEqual({ irVersion: 1 });
  });
});
