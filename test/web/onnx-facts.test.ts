import { assert, nat, property, uint8Array } from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { QdgError } from "../../src/base/error.js";
import { readOnnxMetadata } from "../../src/model/onnx-metadata.js";
import { outputKindOf } from "../../src/model/output-kind.js";
import { decodeModel } from "../../src/onnx/codec.js";
import { readOnnxFacts } from "../../src/web/onnx-facts.js";
import { shapesSite } from "./site.js";

let file: Uint8Array;
beforeAll(async () => {
  file = (await shapesSite(false)).files.get("model.onnx") as Uint8Array;
});

/** Never another error than one that a user can act on, and never a hang. */
function readOrRefuse(bytes: Uint8Array): void {
  try {
    readOnnxFacts(bytes, "file");
  } catch (thrown) {
    if (!(thrown instanceof QdgError) || thrown.code !== "invalid-onnx") throw thrown;
  }
}

describe("readOnnxFacts", () => {
  test("reads the metadata and the producers that the full decoder reads", () => {
    const model = decodeModel(file, "file");
    const { metadata, outputs } = readOnnxFacts(file, "file");
    expect(metadata).toEqual(readOnnxMetadata(model.metadataProps ?? [], "file"));
    expect(metadata).toMatchObject({ layout: "nhwc", outputs: new Map([["classes", "softmax"]]) });
    expect([...outputs.keys()]).toEqual(["classes"]);
    // The rule of the full graph finds the same here, once the session tells the shape.
    const output = { ...outputs.get("classes"), shape: [1, 7] };
    expect(output.producer?.op).toBe("Softmax");
    expect(outputKindOf(output)).toBe("softmax");
  });

  test("refuses an empty file, and a page in HTML", () => {
    expect(() => readOnnxFacts(new Uint8Array(0), "file")).toThrow("the file is empty");
    expect(() => readOnnxFacts(new TextEncoder().encode("<!doctype html>"), "file")).toThrow("no ONNX file");
  });

  test("refuses numbers without end and lengths beyond the file", () => {
    expect(() => readOnnxFacts(new Uint8Array(100).fill(0xff), "file")).toThrow("no ONNX file");
    expect(() => readOnnxFacts(Uint8Array.of(0x3a, 0x05, 1), "file")).toThrow("no ONNX file");
    const huge = Uint8Array.of(0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f);
    expect(() => readOnnxFacts(huge, "file")).toThrow("no ONNX file");
  });

  test("reads or refuses any bytes, and any damaged file", () => {
    assert(property(uint8Array({ maxLength: 200 }), readOrRefuse), { numRuns: 500 });
    assert(
      property(nat(file.length - 1), nat(255), (at, byte) => {
        const copy = file.slice();
        copy[at] = byte;
        readOrRefuse(copy);
        readOrRefuse(file.subarray(0, at));
      }),
      { numRuns: 100 },
    );
  });
});
