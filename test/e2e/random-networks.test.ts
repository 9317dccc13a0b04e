// Networks that nobody would draw, through the float export and through quantization.

import { describe, expect, test } from "vitest";
import { float32, sizeOf } from "../../src/base/tensor.js";
import { integerFile } from "../../src/export/integer-file.js";
import type { Samples } from "../../src/export/samples.js";
import type { Graph, Value } from "../../src/graph/graph.js";
import { type LearnedQuantizer, learnedToJson, parseLearned } from "../../src/quant/learned.js";
import type { Quantization } from "../../src/quant/spec.js";
import { readLayersModel } from "../../src/read/layers-model.js";
import { cpuRuntime } from "../../src/runtime/cpu.js";
import { referenceRuntime } from "../../src/runtime/reference.js";
import { wasmRuntime } from "../../src/runtime/wasm.js";
import { webgpuRuntime } from "../../src/runtime/webgpu.js";
import { chance } from "../support/layer-cases.js";
import { compareFloat, parseSaved, type SavedModel, seeded } from "../support/layers-models.js";
import { quantizeWith } from "../support/quantize-with.js";
import { compareQuantized } from "../support/quantized-models.js";
import { randomNetwork } from "../support/random-networks.js";

const SEEDS = Array.from({ length: 10 }, (_, i) => i + 1);

/** Of 4 samples. */
function samplesFor(inputs: readonly Value[], seed: number): Samples {
  return {
    count: 4,
    async *read() {
      const random = seeded(seed);
      for (let i = 0; i < 4; i++) {
        yield Object.fromEntries(
          inputs.map(({ name, shape }) => {
            const sizes = shape.map((dim) => (typeof dim === "number" ? dim : 1));
            return [
              name,
              float32(
                sizes,
                Float32Array.from({ length: sizeOf(sizes) }, () => 4 * random() - 2),
              ),
            ];
          }),
        );
      }
    },
  };
}

async function readSaved(saved: SavedModel): Promise<Graph> {
  const { json, weights } = parseSaved(saved);
  return readLayersModel(json, weights);
}

const { available } = await webgpuRuntime.probe();

describe("a random network", () => {
  test.each(SEEDS)(
    "computes what tfjs computes, and the same integers on every runtime (seed %i)",
    async (seed) => {
      const c = chance(seed);
      const { model, saved } = await randomNetwork(seed, 10);
      const options = { seed, saved, keepWeights: true, onGpu: available && seed <= 5 };
      const float = await compareFloat(model, options);
      expect(float.difference / Math.max(1, float.magnitude)).toBeLessThan(1e-4);
      const found = await compareQuantized(
        model,
        {
          bits: c.int(2, 8),
          activationBits: c.int(2, 8),
          firstLastBits: c.int(2, 8),
          powerOfTwo: c.int(0, 3) === 0,
          signedActivations: c.pick(["asymmetric", "signed"]),
          observer: c.pick(["mse", "minmax", "percentile"]),
        },
        options,
      );
      expect(found.tensors).toBeGreaterThan(0);
      expect(found.mismatches).toEqual([]);
      expect(found.outputDifference).toBeLessThan(1e-5);
      model.dispose();
    },
  );

  test.each(SEEDS)(
    "makes the same file of scales found by calibration and of the same scales learned (seed %i)",
    async (seed) => {
      const { saved } = await randomNetwork(seed + 100, 8);
      const graph = await readSaved(saved);
      const bits = 2 + (seed % 7);
      const samples = samplesFor(graph.inputs, seed);
      // A scale does not say which integers were chosen for a pair: learned weights are the nearest.
      const asked = { bits, activationBits: bits, biasCorrection: false, freeWeights: true };
      const calibrated = await quantizeWith(graph, asked, samples);
      const quantizers = calibrated.placements.flatMap(({ ids, values }): [string, LearnedQuantizer][] => {
        const [value] = values as [Value];
        const { spec, params } = value.quantization as Quantization;
        const { scale, zeroPoint } = params;
        const learned = {
          bits: spec.bits,
          signed: spec.signed,
          scale,
          ...(spec.symmetric ? {} : { zeroPoint }),
        };
        return [[ids[0] as string, learned]];
      });
      const metadata = { qdg: learnedToJson({ quantizers: new Map(quantizers) }) };
      const learned = parseLearned(JSON.parse(JSON.stringify(metadata)));
      const again = await quantizeWith(await readSaved(saved), {}, null, learned);
      expect(again.scales).toBe("learned");
      const [a, b] = [calibrated, again].map((each) =>
        integerFile(each.graph, 21, { form: "integer", weights: "packed" }, () => ({})),
      );
      expect(Buffer.from(a?.bytes ?? []).equals(b?.bytes ?? new Uint8Array())).toBe(true);
    },
  );

  test.each(SEEDS)(
    "with its weights alone quantized gives the same numbers on every runtime (seed %i)",
    async (seed) => {
      const { saved } = await randomNetwork(seed + 200, 8);
      const graph = await readSaved(saved);
      const quantized = await quantizeWith(graph, { bits: 2 + (seed % 7) }, null);
      const { bytes } = integerFile(
        quantized.graph,
        18 + (seed % 9),
        { form: "integer", weights: "packed" },
        () => ({}),
      );
      const outputs: Float32Array[] = [];
      for (const runtime of [referenceRuntime, cpuRuntime, wasmRuntime]) {
        const session = await runtime.open({ bytes });
        const all: number[] = [];
        for await (const feeds of samplesFor(graph.inputs, seed).read()) {
          for (const result of Object.values(await session.run(feeds)))
            all.push(...(result.data as Float32Array));
        }
        await session.dispose();
        outputs.push(Float32Array.from(all));
      }
      const [reference, ...others] = outputs as [Float32Array, ...Float32Array[]];
      const largest = reference.reduce((most, x) => Math.max(most, Math.abs(x)), 1);
      for (const other of others) {
        const differences = reference.map((x, i) => Math.abs(x - (other[i] ?? Number.NaN)) / largest);
        expect(Math.max(...differences)).toBeLessThan(1e-5);
      }
    },
  );
});
