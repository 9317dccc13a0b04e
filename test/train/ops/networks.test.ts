// Whole random networks node by node: the float network against ONNX Runtime on its float file, and the lowered
// network of integer-valued float32 against the reference interpreter, integer by integer.

import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { float32, sizeOf, type Tensor } from "../../../src/base/tensor.js";
import { floatFile } from "../../../src/export/float-file.js";
import type { Samples } from "../../../src/export/samples.js";
import { type Graph, type Value, valuesOf } from "../../../src/graph/graph.js";
import { expandComposites } from "../../../src/graph/passes/expand-composites.js";
import { lower } from "../../../src/lower/lower.js";
import { readLayersModel } from "../../../src/read/layers-model.js";
import { cpuRuntime } from "../../../src/runtime/cpu.js";
import { openGraph } from "../../../src/runtime/reference.js";
import { useBackend } from "../../../src/train/backends/backends.js";
import { constantTensor, execute } from "../../../src/train/execute.js";
import { asIs, type HeldTensor, hold } from "../../../src/train/ops/op.js";
import { parseSaved, seeded } from "../../support/layers-models.js";
import { quantizeWith } from "../../support/quantize-with.js";
import { randomNetwork } from "../../support/random-networks.js";
import { BACKENDS } from "../support/backends.js";

const SEEDS = [1, 2, 3, 4, 5, 6];
const BATCH = 2;

interface Network {
  readonly float: Graph;
  /** In the float form, with every quantized activation as an output. */
  readonly lowered: Graph;
  readonly integers: readonly string[];
  readonly feeds: Readonly<Record<string, Tensor>>;
}

type Feeds = Readonly<Record<string, Tensor>>;

function randomFeeds(inputs: readonly Value[], random: () => number, batch: number): Feeds {
  return Object.fromEntries(
    inputs.map(({ name, shape }) => {
      const sizes = shape.map((dim) => (typeof dim === "number" ? dim : batch));
      const data = Float32Array.from({ length: sizeOf(sizes) }, () => 4 * random() - 2);
      return [name, float32(sizes, data)];
    }),
  );
}

async function networkOf(seed: number): Promise<Network> {
  const { model, saved } = await randomNetwork(seed);
  model.dispose();
  const { json, weights } = parseSaved(saved);
  const float = readLayersModel(json, weights);
  const samples: Samples = {
    count: 4,
    async *read() {
      const random = seeded(seed + 100);
      for (let i = 0; i < 4; i++) yield randomFeeds(float.inputs, random, 1);
    },
  };
  const bits = 2 + (seed % 4);
  const { graph } = await quantizeWith(
    readLayersModel(json, weights),
    { bits, activationBits: bits },
    samples,
  );
  const { graph: written, integers } = lower(graph, { form: "float", weights: "int8" });
  const lowered = expandComposites(written);
  const byName = new Map(valuesOf(lowered).map((value) => [value.name, value]));
  const names = integers.map(({ name }) => name);
  for (const name of names) {
    const value = byName.get(name);
    if (value?.producer && !lowered.outputs.includes(value)) lowered.outputs.push(value);
  }
  return { float, lowered, integers: names, feeds: randomFeeds(float.inputs, seeded(seed), BATCH) };
}

function run(graph: Graph, feeds: Feeds): Map<string, Float32Array> {
  const results = new Map<string, Float32Array>();
  tf.tidy(() => {
    const fed = graph.inputs.map((input): [Value, HeldTensor] => {
      const { shape, data } = feeds[input.name] as Tensor;
      return [input, hold(tf.tensor(data as Float32Array, [...shape]), "as-is")];
    });
    const held = execute(graph, new Map(fed), {
      constant: (value) => constantTensor(value.constant as Tensor),
    });
    for (const output of graph.outputs) {
      results.set(output.name, asIs(held.get(output) as HeldTensor).dataSync() as Float32Array);
    }
  });
  return results;
}

const networks = new Map<number, Network>();
const floats = new Map<number, Record<string, Tensor>>();
const integers = new Map<number, Record<string, Tensor>>();
beforeAll(async () => {
  await useBackend("wasm");
  for (const seed of SEEDS) {
    const network = await networkOf(seed);
    networks.set(seed, network);
    const session = await cpuRuntime.open({ bytes: floatFile(network.float, 21) });
    floats.set(seed, await session.run(network.feeds));
    await session.dispose();
    integers.set(seed, await (await openGraph(network.lowered, "lowered")).run(network.feeds));
  }
}, 120_000);

for (const { name, options } of BACKENDS) {
  describe(`on ${name}`, options, () => {
    beforeAll(async () => {
      await useBackend(name);
    });

    test.each(SEEDS)("the float network gives what ONNX Runtime gives (seed %i)", (seed) => {
      const { float, feeds } = networks.get(seed) as Network;
      const got = run(float, feeds);
      for (const [output, { data }] of Object.entries(floats.get(seed) as Record<string, Tensor>)) {
        const want = data as Float32Array;
        const largest = want.reduce((most, x) => Math.max(most, Math.abs(x)), 1);
        const values = got.get(output) as Float32Array;
        expect(values.length).toBe(want.length);
        const difference = values.reduce(
          (most, x, i) => Math.max(most, Math.abs(x - (want[i] as number))),
          0,
        );
        expect(difference / largest, output).toBeLessThan(1e-4);
      }
    });

    test.each(SEEDS)("the lowered network has the reference's integers (seed %i)", (seed) => {
      const { lowered, feeds, integers: names } = networks.get(seed) as Network;
      const got = run(lowered, feeds);
      const want = integers.get(seed) as Record<string, Tensor>;
      expect(names.length).toBeGreaterThan(0);
      for (const each of names) {
        const expected = want[each]?.data as Float32Array;
        const values = got.get(each) as Float32Array;
        expect(values.length).toBe(expected.length);
        const mismatches = expected.reduce((count, x, i) => count + (values[i] === x ? 0 : 1), 0);
        expect(mismatches, each).toBe(0);
      }
    });
  });
}
