import { describe, expect, test } from "vitest";
import { float32, int64, type Tensor } from "../../src/base/tensor.js";
import { checkFeeds } from "../../src/runtime/feeds.js";
import type { TensorInfo } from "../../src/runtime/runtime.js";

const inputs: readonly TensorInfo[] = [
  { name: "image", dtype: "float32", shape: ["N", 2, ""] },
  { name: "ids", dtype: "int64", shape: ["N"] },
];
const image = float32([2, 2, 1], [1, 2, 3, 4]);
const ids = int64([2], [5, 6]);

describe("checkFeeds", () => {
  test("takes one tensor an input, of any size where the size is open", () => {
    expect(() => checkFeeds(inputs, { image, ids }, "m")).not.toThrow();
    expect(() =>
      checkFeeds(inputs, { ids: int64([0], []), image: float32([0, 2, 9], []) }, "m"),
    ).not.toThrow();
    expect(() => checkFeeds([], {}, "m")).not.toThrow();
  });

  test.each<[string, Record<string, Tensor>, string]>([
    ["a missing feed", { image }, 'm: no feed for input "ids", expected int64 [N]; feed every input'],
    [
      "an unknown feed",
      { image, ids, mask: ids },
      'm: got a feed for "mask", expected "image" float32 [N, 2, ?], "ids" int64 [N]; feed inputs by the model\'s names',
    ],
    [
      "a feed that every object has",
      { image, ids, toString: ids },
      'm: got a feed for "toString", expected "image" float32 [N, 2, ?], "ids" int64 [N]; feed inputs by the model\'s names',
    ],
    [
      "another type",
      { image, ids: { dtype: "int32", shape: [2], data: Int32Array.of(1, 2) } },
      'm, input "ids": dtype: got int32, expected int64',
    ],
    [
      "another rank",
      { image: float32([2, 2], [1, 2, 3, 4]), ids },
      'm, input "image": rank: got 2 [2, 2], expected 3 [N, 2, ?]',
    ],
    [
      "another size",
      { image: float32([2, 1, 2], [1, 2, 3, 4]), ids },
      'm, input "image": shape: got [2, 1, 2], expected [N, 2, ?]; axis 1 differs',
    ],
    [
      "a size that is none",
      { image: { dtype: "float32", shape: [-1, 2, -2], data: new Float32Array(4) }, ids },
      'm, input "image": shape: got [-1, 2, -2], expected [N, 2, ?]; axis 0 differs',
    ],
    [
      "two sizes for one name",
      { image, ids: int64([3], [1, 2, 3]) },
      'm, input "ids": axis 0 (N): got 3, expected 2 as in input "image"; the two sizes share a name',
    ],
    [
      "data that does not fill its shape",
      { image: { dtype: "float32", shape: [2, 2, 1], data: new Float32Array(3) }, ids },
      'm, input "image": got 3 elements for shape [2, 2, 1], expected 4',
    ],
  ])("refuses %s", (_, feeds, message) => {
    expect(() => checkFeeds(inputs, feeds, "m")).toThrow(
      expect.objectContaining({ code: "runtime", message: `${message} [runtime]` }),
    );
  });
});
