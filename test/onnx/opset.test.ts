import { describe, expect, test } from "vitest";
import {
  irVersionFor,
  isDefaultAttribute,
  MAX_OPSET,
  MIN_OPSET,
  operator,
  operatorNames,
  resultType,
} from "../../src/onnx/opset.js";

test("an opset comes with the IR version that it was released with", () => {
  expect([18, 19, 20, 21, 22, 23, 24, 25, 26].map(irVersionFor)).toEqual([8, 9, 9, 10, 10, 11, 12, 13, 13]);
  for (const opset of [MIN_OPSET - 1, MAX_OPSET + 1, 21.5, NaN])
    expect(() => irVersionFor(opset)).toThrow(/18\.\.26/);
});

describe("the operator table", () => {
  // Golden: onnx 1.23.2, onnx.defs.get_schema(name, 26): min_input, max_input, min_output, max_output; Dropout and GatherND among them.
  test.each<[string, number, number, number, number]>([
    ["Conv", 2, 3, 1, 1],
    ["Clip", 1, 3, 1, 1],
    ["BatchNormalization", 5, 5, 1, 3],
    ["QuantizeLinear", 2, 3, 1, 1],
    ["QLinearConv", 8, 9, 1, 1],
    ["Resize", 1, 4, 1, 1],
    ["TopK", 2, 2, 2, 2],
    ["Split", 1, 2, 1, 2147483647],
    ["Pad", 2, 4, 1, 1],
  ])("has the inputs and outputs of %s", (name, minIn, maxIn, minOut, maxOut) => {
    expect(operator(name)).toMatchObject({ inputs: [minIn, maxIn], outputs: [minOut, maxOut] });
  });

  test("says nothing about names that every object has", () => {
    expect(operator("constructor")).toBeUndefined();
    expect(operator("toString")).toBeUndefined();
    expect(isDefaultAttribute("Conv", "constructor", 1)).toBe(false);
  });

  test("is in alphabetical order, so that an operator is found at a glance", () => {
    expect(operatorNames()).toEqual(operatorNames().toSorted((a, b) => (a < b ? -1 : 1)));
  });
});

test.each<[string, Parameters<typeof resultType>, string | undefined]>([
  ["Cast: to", ["Cast", { to: 3 }, ["float32"], 0], "int8"],
  ["Cast to what a Tensor lacks", ["Cast", { to: 16 }, ["float32"], 0], undefined],
  ["QuantizeLinear: its zero point", ["QuantizeLinear", {}, ["float32", "float32", "int8"], 0], "int8"],
  ["QuantizeLinear without one: uint8", ["QuantizeLinear", {}, ["float32", "float32"], 0], "uint8"],
  [
    "QuantizeLinear: output_dtype",
    ["QuantizeLinear", { output_dtype: 22 }, ["float32", "float32"], 0],
    "int4",
  ],
  ["DequantizeLinear: its scale", ["DequantizeLinear", {}, ["uint8", "float16"], 0], "float16"],
  ["Where: its second input", ["Where", {}, ["bool", "int64", "int64"], 0], "int64"],
  ["MaxPool's indices", ["MaxPool", {}, ["uint8"], 1], "int64"],
  ["comparisons", ["Less", {}, ["float32", "float32"], 0], "bool"],
  ["ConstantOfShape without a value", ["ConstantOfShape", {}, ["int64"], 0], "float32"],
  ["an operator that is not in the table", ["Foo", {}, ["float32"], 0], undefined],
])("the element type of %s", (_, input, expected) => {
  expect(resultType(...input)).toBe(expected);
});
