import { expect, test } from "vitest";
import type { Dim } from "../../src/graph/graph.js";
import { GraphBuilder } from "../../src/graph/builder.js";
import { imageInput } from "../../src/export/samples.js";
import { rangePreprocessing } from "../../src/image/preprocessing.js";

const facts = { layout: "nhwc", preprocessing: rangePreprocessing(0, 1) } as const;

function input(shape: readonly Dim[]): Parameters<typeof imageInput>[0] {
  return new GraphBuilder("images").input("x", shape);
}

test("a size that the graph leaves open is the one given, and one that it states needs none", () => {
  expect(imageInput(input(["N", "H", "W", 3]), facts, [24, 32])).toMatchObject({ height: 24, width: 32 });
  expect(imageInput(input(["N", 24, 32, 3]), facts, undefined)).toMatchObject({ height: 24, width: 32 });
  expect(imageInput(input(["N", 24, 32, 3]), facts, [24, 32])).toMatchObject({ height: 24, width: 32 });
});

test.each([
  [
    "another size than the graph states",
    ["N", 24, 32, 3],
    [32, 24],
    /--input-size: got 32x24, but x takes 24x32; leave it out \[usage\]/,
  ],
  [
    "no size where it is open",
    ["N", "H", "W", 3],
    undefined,
    /give --input-size, for example 224 or 192x256 \[usage\]/,
  ],
  [
    "a side that no image has",
    ["N", "H", "W", 3],
    [70000, 24],
    /x: got 70000, expected an integer from 1 to 65535/,
  ],
  [
    "an input that holds no images",
    ["N", 24, 32, 7],
    undefined,
    /expected \[N, H, W, 1 or 3\] to feed images/,
  ],
] as const)("%s is an error", (_, shape, size, says) => {
  expect(() => imageInput(input(shape), facts, size)).toThrow(says);
});
