// Table: what is said of bits that were asked for in vain.

import { describe, expect, test } from "vitest";
import { float32 } from "../../src/base/tensor.js";
import { GraphBuilder } from "../../src/graph/builder.js";
import type { Graph, Value } from "../../src/graph/graph.js";
import { placeQuantizers } from "../../src/graph/place-quantizers.js";
import { type EffectOptions, vainBits } from "../../src/graph/recipe-effects.js";
import { type AskedBits, recipeOf } from "../../src/graph/recipe.js";

/** 1x1 convolutions with a ReLU after each but the last: conv1, relu1, conv2 ... */
function chain(length: number): Graph {
  const net = new GraphBuilder("chain");
  let x: Value = net.input("x", ["N", 2, 3, 3]);
  for (let i = 1; i <= length; i++) {
    const kernel = net.constant(`conv${i}/kernel`, float32([2, 2, 1, 1], [1, 2, 3, 4]));
    x = net.node("Conv", `conv${i}`, [x, kernel], { name: `conv${i}`, shape: x.shape });
    if (i < length) x = net.node("Relu", `relu${i}`, [x], { name: `relu${i}`, shape: x.shape });
  }
  net.output(x);
  return net.graph;
}

/** conv1, relu1, then relu1 + conv2 into conv3: both operands share a quantizer. */
function residual(): Graph {
  const net = new GraphBuilder("residual");
  const x = net.input("x", ["N", 2, 3, 3]);
  const conv = (name: string, from: Value): Value => {
    const kernel = net.constant(`${name}/kernel`, float32([2, 2, 1, 1], [1, 2, 3, 4]));
    return net.node("Conv", name, [from, kernel], { name, shape: x.shape });
  };
  const relu = net.node("Relu", "relu1", [conv("conv1", x)], { name: "relu1", shape: x.shape });
  const sum = net.node("Add", "add", [relu, conv("conv2", relu)], { name: "add", shape: x.shape });
  net.output(conv("conv3", sum));
  return net.graph;
}

function said(graph: Graph, asked: AskedBits, options: Partial<EffectOptions> = {}): string[] {
  const recipe = recipeOf(asked);
  return vainBits(recipe, placeQuantizers(graph, recipe), { weightsOnly: false, learned: false, ...options });
}

describe("nothing is said", () => {
  test.each<[string, AskedBits]>([
    ["of defaults", {}],
    ["of bits that are set", { weightBits: 3, activationBits: 4, firstLastBits: 6 }],
    [
      "of one number for a layer that has one of the two",
      { layers: { relu1: { weightBits: 4, activationBits: 4 } } },
    ],
    ["of a pattern, some of whose layers have weights", { layers: { "*1": { weightBits: 4 } } }],
    ["of what a rectifier behind the layer gives", { layers: { conv1: { activationBits: 4 } } }],
  ])("%s", (_, asked) => {
    expect(said(chain(4), asked)).toEqual([]);
  });

  test("of activations where weights alone are quantized", () => {
    expect(
      said(chain(2), { activationBits: 4, layers: { conv2: { activationBits: 4 } } }, { weightsOnly: true }),
    ).toEqual([]);
  });

  test("of inner layers where bits were learned, or where first and last ones were asked for", () => {
    expect(said(chain(2), { weightBits: 4 }, { learned: true })).toEqual([]);
    expect(said(chain(2), { weightBits: 4, firstLastBits: 4 })).toEqual([]);
    expect(said(chain(2), { weightBits: 8, activationBits: 8 })).toEqual([]);
  });
});

describe("it is said", () => {
  test("that the last layer has no activation quantizer, a ReLU no weights, and a name has neither", () => {
    expect(said(chain(3), { layers: { conv3: { activationBits: 4 } } })).toEqual([
      "conv3: 4 activation bits have no effect, since no activation quantizer stands there; leave them out, or name the layer that has one",
    ]);
    expect(said(chain(3), { layers: { relu2: { weightBits: 5 } } })).toEqual([
      expect.stringMatching(/^relu2: 5 weight bits have no effect/),
    ]);
    expect(said(chain(3), { layers: { conv3: { weightBits: 4, activationBits: 5 } } })).toEqual([
      expect.stringMatching(/^conv3: 5 activation bits have no effect/),
    ]);
  });

  test("that all weighted layers are first or last, and how to change theirs", () => {
    expect(said(chain(2), { weightBits: 4 })).toEqual([
      "--bits 4 changes nothing: all 2 weighted layers are first or last, with 8 bits; --first-last-bits sets theirs, --layer-bits those of single layers",
    ]);
    expect(said(chain(2), { activationBits: 3 })).toEqual([
      expect.stringMatching(
        /^--activation-bits 3 changes nothing: all activations enter .*--first-last-bits/,
      ),
    ]);
  });

  test("which layers share a quantizer of more bits than they were asked to have", () => {
    const apart = { conv2: { activationBits: 3 }, relu1: { activationBits: 8 } };
    expect(said(residual(), { layers: apart })).toEqual([
      "conv2 (3 asked for, 8 taken): of activations that share a quantizer the most bits win; give all of them the same",
    ]);
    expect(said(residual(), { layers: { conv2: { activationBits: 3 } } })).toEqual([]);
    const both = { conv2: { activationBits: 3 }, relu1: { activationBits: 3 } };
    expect(said(residual(), { layers: both })).toEqual([]);
  });
});
