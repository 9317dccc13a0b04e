// Table: small networks and where their quantizers stand, one line a quantizer.

import { describe, expect, test } from "vitest";
import { float32 } from "../../src/base/tensor.js";
import { GraphBuilder } from "../../src/graph/builder.js";
import type { Graph, Value } from "../../src/graph/graph.js";
import { QUANTIZED_PASSES, runPasses } from "../../src/graph/passes/pipelines.js";
import { placeQuantizers } from "../../src/graph/place-quantizers.js";
import { type AskedBits, recipeOf } from "../../src/graph/recipe.js";

const ASKED: AskedBits = { weightBits: 3, activationBits: 4 };

/** Networks of 1x1 convolutions over [N, 2, 3, 3]. */
class Net extends GraphBuilder {
  readonly x: Value = this.input("x", ["N", 2, 3, 3]);

  conv(name: string, x: Value): Value {
    const kernel = this.constant(`${name}/kernel`, float32([2, 2, 1, 1], [1, 2, 3, 4]));
    return this.node("Conv", name, [x, kernel], { name, shape: x.shape });
  }

  op(op: string, name: string, ...inputs: Value[]): Value {
    return this.node(op, name, inputs, { name, shape: inputs[0]?.shape ?? [] });
  }

  ending(output: Value): Graph {
    this.output(output);
    return this.graph;
  }
}

function placed(graph: Graph, asked: AskedBits = {}): string[] {
  return placeQuantizers(graph, recipeOf({ ...ASKED, ...asked })).map(({ ids, spec }) => {
    const range = spec.signed ? "signed" : spec.symmetric ? "unsigned" : "asymmetric";
    return `${ids.join(" = ")}: ${spec.bits} ${range}${spec.axis === null ? "" : ` axis ${spec.axis}`}`;
  });
}

/** relu1 is read by conv2 and by the Add of what that gives. */
function residual(): Graph {
  const net = new Net("stream");
  const a = net.op("Relu", "relu1", net.conv("conv1", net.x));
  const sum = net.op("Add", "add", net.conv("conv2", a), a);
  const source = net.ending(net.conv("conv4", net.op("Relu", "relu3", net.conv("conv3", sum))));
  return runPasses(source, QUANTIZED_PASSES);
}

function residualIds(learned: readonly string[], activationBits: number): string[] {
  const placements = placeQuantizers(residual(), recipeOf({ activationBits }), new Set(learned));
  return placements.flatMap(({ ids }) => ids);
}

describe("quantizers stand", () => {
  test("on weights, on the input, after the ReLU that follows a convolution, and not on the output", () => {
    const net = new Net("chain");
    const a = net.op("Relu", "relu1", net.conv("conv1", net.x));
    const b = net.op("Relu", "relu2", net.conv("conv2", a));
    expect(placed(net.ending(net.conv("conv3", b)))).toEqual([
      "conv1/kernel: 8 signed axis 0",
      "conv2/kernel: 3 signed axis 0",
      "conv3/kernel: 8 signed axis 0",
      "x: 8 asymmetric",
      "relu1: 4 unsigned",
      "relu2: 8 unsigned",
    ]);
  });

  test("at 8 bits before an activation that is no ReLU, and after it as asked", () => {
    const net = new Net("leaky");
    const a = net.op("LeakyRelu", "leaky", net.conv("conv1", net.x));
    const b = net.op("Relu", "relu", net.conv("conv2", a));
    expect(placed(net.ending(net.conv("conv3", b))).slice(3)).toEqual([
      "x: 8 asymmetric",
      "conv1: 8 asymmetric",
      "leaky: 4 asymmetric",
      "relu: 8 unsigned",
    ]);
  });

  test("once for the operands of an Add, with the bits of a residual, and once for its sum", () => {
    const net = new Net("residual");
    const a = net.op("Relu", "relu1", net.conv("conv1", net.x));
    const sum = net.op("Relu", "relu2", net.op("Add", "add", net.conv("conv2", a), a));
    expect(
      placed(net.ending(net.conv("conv3", net.op("Relu", "relu3", net.conv("conv4", sum))))).slice(4),
    ).toEqual(["x: 8 asymmetric", "relu1 = conv2: 8 asymmetric", "relu2: 4 unsigned", "relu3: 8 unsigned"]);
  });

  describe("where a convolution reads what an Add reads too", () => {
    test("on a copy of its own, where that has fewer bits", () => {
      expect(placed(residual()).slice(4)).toEqual([
        "x: 8 asymmetric",
        "relu1 = conv2: 8 asymmetric",
        "relu1/requantized: 4 unsigned",
        "add: 4 asymmetric",
        "relu3: 8 unsigned",
      ]);
    });

    test("once, where both have the same bits", () => {
      const placements = placeQuantizers(residual(), recipeOf({ ...ASKED, activationBits: 8 }));
      const shared = placements.find(({ ids }) => ids.includes("relu1"));
      expect(shared?.values.map(({ name }) => name)).toEqual(["relu1", "conv2", "relu1/requantized"]);
      expect(placements.some(({ ids }) => ids.includes("relu1/requantized"))).toBe(false);
    });

    test("as training left them: with a copy where that was learned, whatever the recipe says of bits", () => {
      expect(residualIds(["relu1"], 3)).not.toContain("relu1/requantized");
      expect(residualIds(["relu1", "relu1/requantized"], 8)).toContain("relu1/requantized");
      // Weights alone were learned: activations are what the recipe says.
      expect(residualIds(["conv2/kernel"], 3)).toContain("relu1/requantized");
      expect(residualIds(["conv2/kernel"], 8)).not.toContain("relu1/requantized");
    });

    test("with the bits of the layer that gives the value, where it was named", () => {
      const named = placed(residual(), { layers: { relu1: { activationBits: 7 } } }).join(", ");
      expect(named).toContain("relu1 = conv2: 7 asymmetric");
      expect(named).not.toContain("requantized");
      expect(placed(residual(), { layers: { conv2: { activationBits: 5 } } })).toEqual(
        expect.arrayContaining(["relu1 = conv2: 5 asymmetric", "relu1/requantized: 4 unsigned"]),
      );
    });
  });

  test("once for everything that a Concat joins, through chains of them", () => {
    const net = new Net("dense");
    const a = net.op("Relu", "relu1", net.conv("conv1", net.x));
    const b = net.op("Relu", "relu2", net.conv("conv2", a));
    const ab = net.op("Concat", "concat1", a, b);
    const c = net.op("Relu", "relu3", net.conv("conv3", ab));
    expect(placed(net.ending(net.conv("conv4", net.op("Concat", "concat2", ab, c)))).slice(5)).toEqual([
      "relu1 = relu2 = concat1 = relu3 = concat2: 8 unsigned",
    ]);
  });

  test("where integers come from, not again where they only move", () => {
    const net = new Net("moving");
    const pooled = net.op("MaxPool", "pool", net.op("Relu", "relu1", net.conv("conv1", net.x)));
    expect(placed(net.ending(net.conv("conv2", pooled))).slice(2)).toEqual([
      "x: 8 asymmetric",
      "relu1 = pool: 8 unsigned",
    ]);
  });

  test("on both sides of a ReLU that is not the only reader", () => {
    const net = new Net("fork");
    const a = net.conv("conv1", net.x);
    const b = net.op("Add", "add", net.op("Relu", "relu", a), a);
    expect(placed(net.ending(net.conv("conv2", b))).slice(2)).toEqual([
      "x: 8 asymmetric",
      "conv1 = relu: 8 asymmetric",
      "add: 8 asymmetric",
    ]);
  });

  test("once for the copies of a shared weight, but not for layers whose names begin alike", () => {
    const net = new Net("names");
    const [a, b] = [net.conv("block@1", net.x), net.conv("block@2", net.x)];
    const copy = net.constant("block@2/kernel@bn/scaled", float32([2, 2, 1, 1], [1, 2, 3, 4]));
    const c = net.node("Conv", "block@2", [net.x, copy], { name: "bn", shape: net.x.shape });
    [a, b].forEach((value) => net.output(value));
    expect(placed(net.ending(c)).filter((line) => line.includes("kernel"))).toEqual([
      "block@1/kernel: 8 signed axis 0",
      "block@2/kernel: 8 signed axis 0",
    ]);
  });

  test("nowhere after the last weights", () => {
    const net = new Net("tail");
    const logits = net.op("GlobalAveragePool", "gap", net.op("LeakyRelu", "leaky", net.conv("conv", net.x)));
    expect(placed(net.ending(net.op("Softmax", "softmax", logits)))).toEqual([
      "conv/kernel: 8 signed axis 0",
      "x: 8 asymmetric",
    ]);
  });
});

/** Three convolutions in a row. */
function chain(): Graph {
  const net = new Net("bits");
  const a = net.op("Relu", "relu1", net.conv("conv1", net.x));
  const b = net.op("Relu", "relu2", net.conv("conv2", a));
  return net.ending(net.conv("conv3", b));
}

describe("bits", () => {
  test("are those of the layer where it names its own", () => {
    const layers = { conv2: { weightBits: 5 }, relu1: { activationBits: 6 }, conv3: { weightBits: 2 } };
    const lines = placed(chain(), { layers });
    expect(lines).toContain("conv2/kernel: 5 signed axis 0");
    expect(lines).toContain("relu1: 6 unsigned");
    expect(lines).toContain("conv3/kernel: 2 signed axis 0");
  });

  test("of what a ReLU gives can be named by the layer before it", () => {
    const net = new Net("rectified");
    const a = net.op("Relu", "relu1", net.conv("conv1", net.x));
    const graph = net.ending(net.conv("conv3", net.op("Relu", "relu2", net.conv("conv2", a))));
    const bitsOf = (layers: AskedBits["layers"]): string[] =>
      placed(graph, { layers: layers ?? {} }).filter((line) => line.startsWith("relu1"));
    expect(bitsOf({ conv1: { activationBits: 6 } })).toEqual(["relu1: 6 unsigned"]);
    expect(bitsOf({ conv1: { activationBits: 6 }, relu1: { activationBits: 5 } })).toEqual([
      "relu1: 5 unsigned",
    ]);
  });

  test("of signed activations can be symmetric", () => {
    expect(placed(chain(), { signedActivations: "signed" })).toContain("x: 8 signed");
  });

  test("for a layer that is not there are refused, with the layers that are", () => {
    expect(() => placed(chain(), { layers: { conv9: { weightBits: 4 } } })).toThrow(/conv9: .*conv1, relu1/);
  });

  test.each([1, 9, 2.5, Number.NaN])("of %d are refused", (bits) => {
    expect(() => placed(chain(), { weightBits: bits })).toThrow(
      /^inner layers weightBits: .*expected an integer from 2 to 8/,
    );
    expect(() => placed(chain(), { layers: { conv1: { activationBits: bits } } })).toThrow(
      /conv1 activationBits/,
    );
  });
});
