// The rule that tells probabilities from logits, on the last operators of networks.

import { describe, expect, test } from "vitest";
import { float32 } from "../../src/base/tensor.js";
import { GraphBuilder } from "../../src/graph/builder.js";
import type { Attribute, Dim, Value } from "../../src/graph/graph.js";
import { numbersOfSample, type OutputKind, outputKindOf } from "../../src/model/output-kind.js";

/** What is put after a Gemm of `[N, units]`, and the shape where it is another. */
type Step = readonly [
  op: string,
  options?: {
    readonly shape?: readonly Dim[];
    readonly attributes?: Readonly<Record<string, Attribute>>;
    /** Of a second operand that is a constant. */
    readonly by?: number;
    /** A second operand that the network computes. */
    readonly twice?: true;
  },
];

function network(steps: readonly Step[], units: Dim = 4): Value {
  const builder = new GraphBuilder("head");
  const weight = builder.constant("w", float32([2, 1], [1, 1]));
  let at = builder.node("Gemm", "dense", [builder.input("x", ["N", 2]), weight], {
    name: "dense",
    shape: ["N", units],
  });
  for (const [op, { shape = at.shape, attributes = {}, by, twice } = {}] of steps) {
    const others = by === undefined ? (twice ? [at] : []) : [builder.constant("c", float32([1], [by]))];
    at = builder.node(op, op, [at, ...others], { name: op, shape }, attributes);
  }
  return at;
}

const reshaped = (...shape: Dim[]): Step => ["Reshape", { shape: ["N", ...shape], by: 0 }];

describe("the numbers of an output", () => {
  test.each<[what: string, kind: OutputKind, steps: readonly Step[]]>([
    ["of a dense layer are logits", "logits", []],
    ["of a softmax", "softmax", [["Softmax"]]],
    ["of sigmoids", "sigmoid", [["Sigmoid"]]],
    ["of hard sigmoids", "sigmoid", [["HardSigmoid"]]],
    ["of a log-softmax are logits, whose softmax gives the probabilities back", "logits", [["LogSoftmax"]]],
    ["of the logarithm of a softmax are the same", "logits", [["Softmax"], ["Log"]]],
    ["of the logarithm of anything else are not", "values", [["Sigmoid"], ["Log"]]],
    ["of a tanh are neither", "values", [["Tanh"]]],
    ["of a ReLU are neither", "values", [["Relu"]]],
    ["of a softmax that is reshaped", "softmax", [["Softmax"], reshaped(1, 1, 4), reshaped(4)]],
    [
      "of a softmax over channels of one pixel",
      "softmax",
      [reshaped(4, 1, 1), ["Softmax", { attributes: { axis: 1 } }], ["Flatten", { shape: ["N", 4] }]],
    ],
    ["of two softmaxes side by side are neither", "values", [reshaped(2, 2), ["Softmax"], reshaped(4)]],
    ["of a softmax over the batch are neither", "values", [["Softmax", { attributes: { axis: 0 } }]]],
    ["of a softmax over one number of each are neither", "values", [reshaped(4, 1), ["Softmax"]]],
    [
      "that are quantized stay what they are",
      "softmax",
      [["Softmax"], ["QuantizeLinear", { by: 1 }], ["DequantizeLinear", { by: 1 }]],
    ],
    [
      "that are stored in fewer bits stay what they are",
      "logits",
      [
        ["QuantizeLinear", { by: 1 }],
        ["Clip", { by: 0 }],
        ["DequantizeLinear", { by: 1 }],
      ],
    ],
    ["that are cut off are neither", "values", [["Clip", { by: 0 }]]],
    [
      "of logits with a bias and a scale are logits",
      "logits",
      [
        ["Add", { by: 1 }],
        ["Mul", { by: 2 }],
      ],
    ],
    [
      "of logits that are averaged are logits",
      "logits",
      [reshaped(4, 2, 2), ["GlobalAveragePool", { shape: ["N", 4, 1, 1] }], reshaped(4)],
    ],
    ["of probabilities that are scaled are neither", "values", [["Softmax"], ["Mul", { by: 255 }]]],
    ["of one minus a sigmoid are neither", "values", [["Sigmoid"], ["Sub", { by: 1 }]]],
    ["of a sum of two computed values are neither", "values", [["Add", { twice: true }]]],
    ["of an operator that is not known are neither", "values", [["TopK"]]],
  ])("%s", (_, kind, steps) => {
    expect(outputKindOf(network(steps))).toBe(kind);
  });

  test.each<[OutputKind, string]>([
    ["sigmoid", "Sigmoid"],
    ["values", "Softmax"],
    ["values", "Identity"],
  ])("are, where there is one, %s after a %s", (kind, op) => {
    expect(outputKindOf(network([[op]], 1))).toBe(kind);
  });

  test("may be of any count", () => {
    expect(outputKindOf(network([["Softmax"]], "K"))).toBe("softmax");
    expect(numbersOfSample(["N", "K"])).toBeNull();
    expect(numbersOfSample(["N", 2, 3])).toBe(6);
    expect(numbersOfSample([7])).toBeNull();
  });

  test("that no operator makes, or one of another domain, are neither", () => {
    expect(outputKindOf({ shape: ["N", 4] })).toBe("values");
    const own = network([["Softmax"]]);
    if (own.producer) own.producer.domain = "qdg";
    expect(outputKindOf(own)).toBe("values");
  });

  test("are told within a bound, whatever stands before them", () => {
    const long = network(Array.from({ length: 500 }, (): Step => ["Identity"]));
    expect(outputKindOf(long)).toBe("values");
    const loop: { shape: readonly Dim[]; producer?: Value["producer"] } = { shape: ["N", 4] };
    loop.producer = {
      op: "Identity",
      domain: "",
      attributes: {},
      inputs: [loop as Value],
      outputs: [],
      origin: "",
    };
    expect(outputKindOf(loop as Value)).toBe("values");
  });
});
