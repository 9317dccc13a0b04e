// The stages of an export: one observation serves any recipe, and quantizing waits for nothing and changes nothing.

import { beforeAll, describe, expect, test } from "vitest";
import { float32, sizeOf } from "../../src/base/tensor.js";
import { observe, type Statistics } from "../../src/export/observe.js";
import { quantize, type QuantizedGraph } from "../../src/export/quantize.js";
import type { Samples } from "../../src/export/samples.js";
import { GraphBuilder } from "../../src/graph/builder.js";
import type { Graph, Value } from "../../src/graph/graph.js";
import { printGraph } from "../../src/graph/print.js";
import { QUANTIZED_PASSES, runPasses } from "../../src/graph/passes/pipelines.js";
import { type AskedBits, recipeOf } from "../../src/graph/recipe.js";
import { OBSERVER_NAMES } from "../../src/quant/observers/observers.js";
import { seeded } from "../support/layers-models.js";

const OPTIONS = { preprocessing: null };

/** Three 3x3 convolutions with a ReLU, a tanh and a sum between them. */
function network(): Graph {
  const random = seeded(3);
  const net = new GraphBuilder("network");
  const x = net.input("x", ["N", 2, 6, 6]);
  const conv = (name: string, from: Value): Value => {
    const weights = Float32Array.from({ length: 36 }, () => random() - 0.5);
    const kernel = net.constant(`${name}/kernel`, float32([2, 2, 3, 3], weights));
    const attributes = { kernel_shape: [3, 3], pads: [1, 1, 1, 1] };
    return net.node("Conv", name, [from, kernel], { name, shape: x.shape }, attributes);
  };
  const op = (kind: string, name: string, ...from: Value[]): Value =>
    net.node(kind, name, from, { name, shape: x.shape });
  const relu = op("Relu", "relu", conv("conv1", x));
  const sum = op("Add", "add", relu, op("Tanh", "tanh", conv("conv2", relu)));
  net.output(conv("conv3", sum));
  return runPasses(net.graph, QUANTIZED_PASSES);
}

function samples(shape: readonly number[] = [1, 2, 6, 6]): Samples {
  return {
    count: 5,
    async *read() {
      const random = seeded(9);
      for (let i = 0; i < 5; i++) {
        yield {
          x: float32(
            shape,
            Float32Array.from({ length: sizeOf(shape) }, () => 4 * random() - 1),
          ),
        };
      }
    },
  };
}

/** Every quantizer in words. */
function described({ placements }: QuantizedGraph): string[] {
  return placements.map(({ ids, values }) => {
    const { spec, params } = values[0]?.quantization ?? {};
    return `${ids.join()}: ${spec?.bits} bits, ${params?.scale.join()}, ${params?.zeroPoint.join()}`;
  });
}

const RECIPES: readonly AskedBits[] = [
  { weightBits: 8 },
  { weightBits: 3, activationBits: 3, firstLastBits: 5, signedActivations: "signed" },
  { weightBits: 4, layers: { "conv*": { activationBits: 4 } } },
];

describe.each(OBSERVER_NAMES)("one observation by %s", (observer) => {
  let graph: Graph;
  let statistics: Statistics;
  beforeAll(async () => {
    graph = network();
    statistics = await observe(graph, samples(), { observer });
  });

  test("serves every recipe, in any order, as one made for it alone", async () => {
    const found = new Map(
      [...RECIPES, ...RECIPES.toReversed()].map((asked) => {
        const quantized = quantize(graph, recipeOf(asked), statistics, null, OPTIONS);
        return [JSON.stringify(asked), described(quantized)];
      }),
    );
    for (const asked of RECIPES) {
      const own = network();
      const again = await observe(own, samples(), { observer });
      const alone = quantize(own, recipeOf(asked), again, null, OPTIONS);
      expect(described(alone)).toEqual(found.get(JSON.stringify(asked)));
    }
    expect(new Set([...found.values()].map((lines) => lines.join("\n"))).size).toBe(RECIPES.length);
  });

  test("and the graph it was made on stay as they were", () => {
    const before = printGraph(graph);
    const first = quantize(graph, recipeOf({ weightBits: 2 }), statistics, null, OPTIONS);
    expect(printGraph(graph)).toBe(before);
    expect(printGraph(first.graph)).not.toBe(before);
    expect(first.float).toBe(graph);
  });
});

test("tells one sample, and copies of it, from different ones", async () => {
  const graph = network();
  const of = async (kept: (i: number) => boolean): Promise<boolean> => {
    const all = samples();
    const few: Samples = {
      count: all.count,
      async *read() {
        let i = 0;
        for await (const feeds of all.read()) if (kept(i++)) yield* [feeds, structuredClone(feeds)];
      },
    };
    return (await observe(graph, few, { observer: "mse" })).isOneSample;
  };
  expect(await of((i) => i === 1)).toBe(true);
  expect(await of(() => true)).toBe(false);
});

test("is not made where every activation has a learned scale", async () => {
  const graph = network();
  const statistics = await observe(graph, samples(), { observer: "mse" });
  const { placements } = quantize(graph, recipeOf({ weightBits: 4 }), statistics, null, OPTIONS);
  const quantizers = new Map(
    placements.flatMap(({ role, ids, spec, values }) =>
      role === "weight"
        ? []
        : [
            [
              ids[0] as string,
              {
                bits: spec.bits,
                signed: spec.signed,
                scale: values[0]?.quantization?.params.scale as Float32Array,
              },
            ] as const,
          ],
    ),
  );
  const broken: Samples = {
    count: 1,
    async *read() {
      yield Promise.reject(new Error("nobody reads this"));
    },
  };
  const none = await observe(graph, broken, { observer: "mse", learned: { quantizers } });
  expect([none.observers.size, none.channelMeans.size]).toEqual([0, 0]);
});

test("a quantizer that was not observed is an error, not a guess", () => {
  const nothing: Statistics = { observers: new Map(), channelMeans: new Map(), isOneSample: false };
  expect(() => quantize(network(), recipeOf({}), nothing, null, OPTIONS)).toThrow(/was not observed/);
});

test("without statistics and learned scales only weights are quantized", () => {
  const quantized = quantize(network(), recipeOf({ weightBits: 4 }), null, null, OPTIONS);
  expect(quantized.scales).toBe("weights-only");
  expect(described(quantized).filter((line) => line.includes("undefined"))).toHaveLength(4);
});
