// Oracle: the integers that were stored, against what ONNX Runtime and the reference unpack from the file.

import { describe, expect, test } from "vitest";
import { Emitter } from "../../src/lower/emitter.js";
import { multiplied, storeWeights } from "../../src/lower/stored-weights.js";
import { shiftFunction } from "../../src/lower/shift-function.js";
import { unpackFunction } from "../../src/lower/unpack-function.js";
import { encodeModel } from "../../src/onnx/codec.js";
import { graphToModel } from "../../src/onnx/from-graph.js";
import { irVersionFor } from "../../src/onnx/opset.js";
import { cpuRuntime } from "../../src/runtime/cpu.js";
import { referenceRuntime } from "../../src/runtime/reference.js";
import { wasmRuntime } from "../../src/runtime/wasm.js";
import type { WeightStorage } from "../../src/lower/form.js";

async function unpacked(
  integers: Int32Array,
  bits: number,
  storage: WeightStorage,
  opset = 21,
  factor = 1,
): Promise<number[][]> {
  const emitter = new Emitter("weights");
  const weights = storeWeights(emitter, integers, [integers.length], bits, storage, "layer");
  const { zeroPoint } = weights;
  const value = multiplied(emitter, weights.value, factor, "layer");
  const output = emitter.node("Identity", "out", [value], {
    name: "out",
    shape: value.shape,
    dtype: value.dtype,
  });
  emitter.output(output);
  const functions = [shiftFunction(opset), ...(bits < 8 ? [unpackFunction(bits, opset)] : [])];
  const irVersion = irVersionFor(opset);
  const bytes = encodeModel(
    graphToModel(emitter.graph, { opset, irVersion, producerVersion: "test", functions }),
  );
  const results: number[][] = [];
  for (const runtime of [referenceRuntime, cpuRuntime, wasmRuntime]) {
    const session = await runtime.open({ bytes });
    const { out } = await session.run({});
    results.push(Array.from(out?.data as Int8Array, (stored) => stored - zeroPoint));
    await session.dispose();
  }
  return results;
}

/** Every integer of `bits` bits at least once where there is room, in an order without a period of 8. */
function someIntegers(bits: number, length: number): Int32Array {
  return Int32Array.from({ length }, (_, i) => ((i * 5 + 3) % 2 ** bits) - 2 ** (bits - 1));
}

describe("weights come out of a file as the integers that went in", () => {
  test.each([2, 3, 4, 5, 6, 7])("as bit-planes of %d bits, at lengths around a byte", async (bits) => {
    for (const length of [1, 7, 8, 9, 129]) {
      const integers = someIntegers(bits, length);
      for (const result of await unpacked(integers, bits, "packed")) expect(result).toEqual([...integers]);
    }
  });

  test("as bit-planes at opset 18 and 25", async () => {
    const integers = someIntegers(3, 21);
    for (const opset of [18, 25]) {
      for (const result of await unpacked(integers, 3, "packed", opset))
        expect(result).toEqual([...integers]);
    }
  });

  test.each([
    [2, 64, "packed"],
    [3, 32, "packed"],
    [3, 2, "packed"],
    [4, 16, "int4"],
    [5, 8, "int8"],
  ] as const)(
    "of %d bits times %d as %s: the kernel's are multiples of it",
    async (bits, factor, storage) => {
      const integers = someIntegers(bits, 77);
      const expected = Array.from(integers, (q) => q * factor);
      for (const result of await unpacked(integers, bits, storage, 21, factor))
        expect(result).toEqual(expected);
    },
  );

  test.each([
    [4, "int4"],
    [3, "int4"],
    [7, "int8"],
    [8, "packed"],
    [8, "int8"],
  ] as const)("of %d bits as %s", async (bits, storage) => {
    const integers = someIntegers(bits, 257);
    for (const result of await unpacked(integers, bits, storage)) expect(result).toEqual([...integers]);
  });
});

test("int4 storage of 5-bit weights is refused, with what to use instead", () => {
  expect(() => storeWeights(new Emitter("x"), someIntegers(5, 4), [4], 5, "int4", "conv")).toThrow(
    "conv: int4 storage: got 5-bit weights, expected at most 4 bits; use --weights packed or int8 [invalid-quantization]",
  );
});
