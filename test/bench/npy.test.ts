import { expect, test } from "vitest";
import { encodeNpy } from "../../bench/npy.js";
import { decodeNpy } from "../../src/image/npy.js";

test.each([[[6]], [[2, 3]], [[1, 2, 3, 1]]])("an array of shape %j survives a .npy file", (shape) => {
  const data = Float32Array.of(1, -2.5, 0, 3e-20, 7, -0.1);
  const bytes = encodeNpy(shape, data);
  const tensor = decodeNpy(bytes, "test");
  expect(tensor.dtype).toBe("float32");
  expect(tensor.shape).toEqual(shape);
  expect([...(tensor.data as Float32Array)]).toEqual([...data]);
  expect((bytes.length - 4 * data.length) % 64).toBe(0);
});
