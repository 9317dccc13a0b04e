import { expect, test } from "vitest";
import { float32 } from "../../src/base/tensor.js";
import type { Value } from "../../src/graph/graph.js";
import { LiveValues } from "../../src/compute/live-values.js";

test("the bytes of live tensors are counted once for each data, until its last holder is gone", () => {
  const values = new LiveValues();
  const [a, b, c] = ["a", "b", "c"].map((name): Value => ({ name, dtype: "float32", shape: [] })) as [
    Value,
    Value,
    Value,
  ];
  const first = float32([4], [1, 2, 3, 4]);
  values.set(a, first);
  expect(values.bytes).toBe(16);
  values.set(b, { ...first, shape: [2, 2] });
  expect(values.bytes).toBe(16);
  values.set(c, float32([3], [1, 2, 3]));
  expect(values.bytes).toBe(28);
  values.delete(a);
  values.delete(a);
  expect(values.bytes).toBe(28);
  values.set(b, float32([1], [1]));
  expect(values.bytes).toBe(16);
  values.delete(b);
  values.delete(c);
  expect([values.bytes, values.size]).toEqual([0, 0]);
});
