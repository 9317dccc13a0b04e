import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { DType } from "../../src/base/tensor.js";
import { allocate, expectDType, float32, int64, sizeOf, tensor, transpose } from "../../src/base/tensor.js";

const anyShape = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 5 });
const anyPermuted = anyShape.chain((shape) =>
  fc.tuple(
    fc.constant(shape),
    fc.shuffledSubarray(
      shape.map((_, axis) => axis),
      { minLength: shape.length },
    ),
  ),
);

/** Flat index in row-major order. */
function at(index: readonly number[], shape: readonly number[]): number {
  return shape.reduce((flat, dim, axis) => flat * dim + (index[axis] as number), 0);
}

/** Element by element, by index: slow and plain. */
function transposedByIndex(
  shape: readonly number[],
  data: ArrayLike<number>,
  permutation: readonly number[],
): number[] {
  const outShape = permutation.map((axis) => shape[axis] as number);
  const result: number[] = Array.from({ length: data.length }, () => NaN);
  const visit = (index: readonly number[]): void => {
    if (index.length < shape.length) {
      for (let i = 0; i < (shape[index.length] as number); i++) visit([...index, i]);
      return;
    }
    const outIndex = permutation.map((axis) => index[axis] as number);
    result[at(outIndex, outShape)] = data[at(index, shape)] as number;
  };
  visit([]);
  return result;
}

describe("transpose", () => {
  test("moves every element to where its permuted index says", () => {
    fc.assert(
      fc.property(anyPermuted, ([shape, permutation]) => {
        const data = Int32Array.from({ length: sizeOf(shape) }, (_, i) => i + 1);
        const moved = transpose(tensor("int32", shape, data), permutation);
        expect(moved.dtype).toBe("int32");
        expect(moved.shape).toEqual(permutation.map((axis) => shape[axis]));
        expect([...moved.data]).toEqual(transposedByIndex(shape, data, permutation));
      }),
      { numRuns: 300 },
    );
  });

  test("by the inverse permutation gives back what it was", () => {
    fc.assert(
      fc.property(anyPermuted, ([shape, permutation]) => {
        const x = tensor(
          "uint8",
          shape,
          Uint8Array.from({ length: sizeOf(shape) }, (_, i) => i),
        );
        const inverse = permutation.map((_, axis) => permutation.indexOf(axis));
        expect(transpose(transpose(x, permutation), inverse)).toEqual(x);
      }),
    );
  });

  test("keeps 64-bit integers whole", () => {
    const big = 2n ** 60n + 1n;
    const x = tensor("int64", [1, 2], BigInt64Array.of(big, -big));
    expect(transpose(x, [1, 0])).toEqual({ dtype: "int64", shape: [2, 1], data: x.data });
  });

  test("leaves its input as it was", () => {
    const x = float32([2, 2], [1, 2, 3, 4]);
    transpose(x, [1, 0]);
    expect([...x.data]).toEqual([1, 2, 3, 4]);
  });
});

describe("a tensor", () => {
  test.each([
    [[], 1],
    [[3], 3],
    [[2, 3, 4], 24],
    [[2, 0, 4], 0],
  ])("of shape %j has %i elements", (shape, size) => expect(sizeOf(shape)).toBe(size));

  test.each([
    ["float32", Float32Array],
    ["float64", Float64Array],
    ["int8", Int8Array],
    ["uint8", Uint8Array],
    ["int32", Int32Array],
    ["int64", BigInt64Array],
    ["bool", Uint8Array],
    ["int4", Int8Array],
    ["uint4", Uint8Array],
    ["float16", Uint16Array],
  ] as const)("of %s has a typed array of its own", (dtype, type) => {
    expect(allocate(dtype as DType, 3)).toBeInstanceOf(type);
    expect(allocate(dtype as DType, 3)).toHaveLength(3);
  });

  test("whose data does not fill its shape is a bug, and says so", () => {
    expect(() => tensor("float32", [2, 2], new Float32Array(3))).toThrow(
      "got 3 elements for shape [2, 2], expected 4 [internal]",
    );
  });

  test("is made from plain numbers", () => {
    expect(float32([2], [1, 0.1]).data).toEqual(Float32Array.of(1, 0.1));
    expect(int64([2], [-1, 2]).data).toEqual(BigInt64Array.of(-1n, 2n));
    const data = Float32Array.of(1);
    expect(float32([1], data).data).toBe(data);
  });

  test("of another type than expected is refused by name", () => {
    const x = float32([1], [1]);
    expect(expectDType(x, "float32", "fc/kernel")).toBe(x);
    expect(() => expectDType(x, "int8", "fc/kernel")).toThrow(
      "fc/kernel: got a float32 tensor, expected int8 [internal]",
    );
  });
});
