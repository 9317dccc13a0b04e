// Every operator of training against ONNX Runtime on the float file of the same node, on every backend and in every
// order of axes, and gradients against finite differences.

import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { errorText } from "../../../src/base/error.js";
import type { Tensor } from "../../../src/base/tensor.js";
import { useBackend } from "../../../src/train/backends/backends.js";
import { asIs, type HeldTensor, hold } from "../../../src/train/ops/op.js";
import { OPS } from "../../../src/train/ops/ops.js";
import { Random } from "../../runtime/sketch.js";
import { BACKENDS } from "../support/backends.js";
import {
  computed,
  expected,
  heldInputs,
  nodeOf,
  type OperatorCase,
  type Way,
  WAYS,
} from "./operator-cases.js";
import { CASES } from "./operator-list.js";

const OPERATORS = [...new Set(CASES.map(({ op }) => op))];

function titleOf({ inputs, attributes = {} }: OperatorCase): string {
  const shapes = inputs.map((input) =>
    input === null ? "-" : `[${("constant" in input ? input.constant : input).shape.join()}]`,
  );
  return `${shapes.join(", ")} ${JSON.stringify(attributes)}`;
}

const oracle = new Map<OperatorCase, Tensor>();
beforeAll(async () => {
  for (const each of CASES) oracle.set(each, await expected(each));
});

// Not and Where take bool tensors, which the float file cannot be fed: a test of their own, below.
test("every operator of the list has a case", () => {
  const tested = new Set(CASES.map(({ op }) => op));
  const missing = Object.keys(OPS).filter((op) => !tested.has(op));
  expect(missing.toSorted()).toEqual(["Not", "Where"]);
});

for (const { name, options } of BACKENDS) {
  describe(`on ${name}`, options, () => {
    beforeAll(async () => {
      await useBackend(name);
    });

    test.each(OPERATORS)("%s gives what ONNX Runtime gives, in every order of axes", (op) => {
      expect(failures(op, checkValues)).toEqual([]);
    });

    test("choices by comparisons have the gradient of what was chosen", () => {
      tf.tidy(() => {
        const x = tf.tensor([0.5, 2, -3, 1], [1, 2, 2, 1]);
        expect([...chosen(x).dataSync()]).toEqual([1.5, -2, -9, -1]);
        expect([...tf.grad(chosen)(x).dataSync()]).toEqual([3, -1, 3, -1]);
      });
    });

    test.each(OPERATORS.filter((op) => CASES.some((each) => each.op === op && each.gradient)))(
      "%s has the gradient of its differences, in every order of axes",
      (op) => {
        expect(failures(op, (each, way) => each.gradient && checkGradients(each, way))).toEqual([]);
      },
    );
  });
}

function run(op: string, ...inputs: HeldTensor[]): HeldTensor {
  const { node } = nodeOf({ op, inputs: [] });
  return computed({ op, inputs: [] }, node, inputs);
}

/** `x < 1 ? 3 x : -x`, through Less, Not and Where; x channels last. */
function chosen(x: tf.Tensor): tf.Tensor {
  const scalars = [1, 3, -1].map((value) => hold(tf.scalar(value), "as-is"));
  const [one, three, minus] = scalars as [HeldTensor, HeldTensor, HeldTensor];
  const held = hold(x, "channels-last");
  const above = run("Not", run("Less", held, one));
  return run("Where", above, run("Mul", held, minus), run("Mul", held, three)).tensor;
}

/** What is wrong with the cases of an operator: short, as a report of tfjs's own stack would take minutes. */
function failures(op: string, check: (each: OperatorCase, way: Way) => void): string[] {
  const found: string[] = [];
  for (const each of CASES.filter((other) => other.op === op)) {
    for (const way of WAYS) {
      try {
        tf.tidy(() => check(each, way));
      } catch (thrown) {
        found.push(`${titleOf(each)}, ${way}: ${errorText(thrown)}`);
      }
    }
  }
  return found;
}

function checkValues(each: OperatorCase, way: Way): void {
  const want = oracle.get(each) as Tensor;
  const { node } = nodeOf(each);
  const y = asIs(computed(each, node, heldInputs(each, node, way)));
  if (String(y.shape) !== String(want.shape)) {
    throw new Error(`got shape [${y.shape.join()}], expected [${want.shape.join()}]`);
  }
  const largest = Math.max(1, ...Array.from(want.data as ArrayLike<number>, Math.abs));
  const difference = differenceOf(y, want) / largest;
  if (!(difference <= (each.tolerance ?? 0))) throw new Error(`differs by ${difference}`);
}

function differenceOf(y: tf.Tensor, want: Tensor): number {
  const got = y.dataSync();
  let difference = 0;
  got.forEach((value, i) => {
    const distance = Math.abs(value - Number(want.data[i]));
    difference = Math.max(difference, Number.isNaN(distance) ? Number.POSITIVE_INFINITY : distance);
  });
  return difference;
}

/** `(L(x + e d) - L(x - e d)) / 2e` against `<gradient, d>` for L = sum of y r, d and r random. */
function checkGradients(each: OperatorCase, way: Way): void {
  const { node } = nodeOf(each);
  const held = heldInputs(each, node, way);
  const random = new Random(3);
  const noise = (shape: readonly number[]): tf.Tensor => {
    const size = shape.reduce((product, dim) => product * dim, 1);
    return tf.tensor(
      Float32Array.from({ length: size }, () => 2 * random.next() - 1),
      [...shape],
      "float32",
    );
  };
  const weights = noise(asIs(computed(each, node, held)).shape);
  for (const [index, input] of held.entries()) {
    if (!input || input.tensor.dtype !== "float32" || "constant" in (each.inputs[index] ?? {})) continue;
    const loss = (x: tf.Tensor): tf.Scalar => {
      const inputs: (HeldTensor | null)[] = held.with(index, { ...input, tensor: x });
      const y = asIs(computed(each, node, inputs));
      return tf.sum(tf.mul(y, weights));
    };
    const gradient = tf.grad(loss)(input.tensor);
    if (String(gradient.shape) !== String(input.tensor.shape)) {
      throw new Error(`input ${index}: got a gradient of shape [${gradient.shape.join()}]`);
    }
    const direction = noise(input.tensor.shape);
    const step = 2 ** -6;
    const at = (size: number): number =>
      loss(tf.add(input.tensor, tf.mul(direction, size))).dataSync()[0] as number;
    const difference = (at(step) - at(-step)) / (2 * step);
    const product = tf.sum(tf.mul(gradient, direction)).dataSync()[0] as number;
    const scale = Math.sqrt(tf.sum(tf.square(gradient)).dataSync()[0] as number);
    const distance = Math.abs(difference - product) / Math.max(1, scale);
    if (scale === 0 || !(distance < 0.02)) {
      throw new Error(`input ${index}: got ${product} along a direction, expected ${difference}`);
    }
  }
}
