// Which output names the classes, and who says what its numbers are.

import { expect, test } from "vitest";
import type { Dim } from "../../src/graph/graph.js";
import {
  type ClassifierQuestion,
  classifierOutput,
  type NamedOutput,
} from "../../src/model/classifier-output.js";

function output(name: string, op: string, shape: readonly Dim[]): NamedOutput {
  const input = { shape };
  return { name, shape, producer: { op, domain: "", attributes: {}, inputs: [input] } };
}

const ask = (outputs: readonly NamedOutput[], more: Partial<ClassifierQuestion> = {}) =>
  classifierOutput({
    outputs,
    metadata: null,
    classes: 3,
    kind: undefined,
    where: "m.onnx",
    option: "--output-kind",
    ...more,
  });

test("the operators tell where nobody else does, then the file, then the caller goes first", () => {
  const outputs = [output("y", "Softmax", ["N", 3])];
  const metadata = { outputs: new Map([["y", "sigmoid"]] as const) };
  expect(ask(outputs)).toEqual({ name: "y", kind: "softmax" });
  expect(ask(outputs, { metadata })).toEqual({ name: "y", kind: "sigmoid" });
  expect(ask(outputs, { metadata, kind: "logits" })).toEqual({ name: "y", kind: "logits" });
});

test("of several outputs it is the one with a number for each class", () => {
  const outputs = [output("box", "Gemm", ["N", 4]), output("y", "Gemm", ["N", 3])];
  expect(ask(outputs)).toEqual({ name: "y", kind: "logits" });
  expect(() => ask(outputs, { classes: null })).toThrow(
    "m.onnx: got outputs box [N, 4], y [N, 3], expected one output; give the names of its classes as --labels",
  );
  expect(() => ask(outputs, { classes: 5 })).toThrow(
    "expected one output with a number for each of 5 labels;",
  );
  expect(() => ask([...outputs, output("z", "Gemm", ["N", 3])])).toThrow(
    "got outputs box [N, 4], y [N, 3], z",
  );
});

test("one sigmoid fits two classes; one number of another kind does not", () => {
  expect(ask([output("y", "Sigmoid", ["N", 1])], { classes: 2 })).toEqual({ name: "y", kind: "sigmoid" });
  expect(() => ask([output("y", "Gemm", ["N", 1])], { classes: 2 })).toThrow(
    "expected one output with a number for each of 2 labels, or one sigmoid",
  );
  expect(ask([output("y", "Gemm", ["N", 1])], { classes: 2, kind: "sigmoid" }).kind).toBe("sigmoid");
});

test("numbers of which nobody says what they are are asked for", () => {
  expect(() => ask([output("y", "Tanh", ["N", 3])])).toThrow(
    "m.onnx: output y, made by Tanh, is neither probabilities nor logits as far as the file says; say what its numbers are with --output-kind [usage]",
  );
  const metadata = { outputs: new Map([["y", "values"]] as const) };
  expect(() => ask([output("y", "Softmax", ["N", 3])], { metadata })).toThrow("say what its numbers are");
  expect(ask([output("y", "Tanh", ["N", 3])], { kind: "logits" }).kind).toBe("logits");
});

test("the only output is taken where its size is open, and the run will tell", () => {
  expect(ask([output("y", "Softmax", ["N", "K"])])).toEqual({ name: "y", kind: "softmax" });
});
