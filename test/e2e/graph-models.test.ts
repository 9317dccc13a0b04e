// Real graph-models: tfjs is the oracle of the float file, and the 8-bit one has the same integers everywhere. They are not
// part of this repository.

import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Tensor } from "../../src/base/tensor.js";
import { exportModel } from "../../src/export/export-model.js";
import { floatFile } from "../../src/export/float-file.js";
import { randomFeeds } from "../../src/export/random-feeds.js";
import { FLOAT_PASSES, runPasses } from "../../src/graph/passes/pipelines.js";
import { openModel } from "../../src/open/open-model.js";
import { parity } from "../../src/parity/parity.js";
import { runtimeOf } from "../../src/runtime/registry.js";
import { SHARED } from "../support/needs.js";
import { newFolder, removeFolder } from "../support/small-models.js";

const MODELS = "../shared/models";
const NAMES = [
  "graph/autoencoder",
  "graph/blazeface",
  "graph/emotion",
  "graph/handlandmark-lite",
  "graph/mobilenet-v2-mid-uint8",
  "graph/path-planner",
  "graph/sequence-63",
  "mnist-cnn-graph-model",
];
const SAMPLES = 3;

let folder: string;
beforeAll(async () => {
  folder = await newFolder();
});
afterAll(() => removeFolder(folder));

describe("real graph-models", SHARED, () => {
  test.each(NAMES)("%s gives tfjs's outputs", { timeout: 60_000 }, async (name) => {
    const path = join(MODELS, name, "model.json");
    const { graph } = await openModel(path);
    const bytes = floatFile(runPasses(graph, FLOAT_PASSES), 21);
    const tfjs = await (await runtimeOf("float")).open({ path });
    const runs = [
      { target: "cpu", session: await (await runtimeOf("cpu")).open({ bytes }) },
      { target: "wasm", session: await (await runtimeOf("wasm")).open({ bytes }) },
    ];
    const apart = new Map<string, { difference: number; largest: number }>();
    for (let seed = 1; seed <= SAMPLES; seed++) {
      const feeds = randomFeeds(graph, null, { layout: "nhwc" }, seed);
      const expected = await tfjs.run(feeds);
      for (const { target, session } of runs) {
        const got = await session.run(feeds);
        for (const { name: output } of tfjs.outputs) {
          const [ours, theirs] = [got[output] as Tensor, expected[output] as Tensor];
          expect(ours.shape).toEqual(theirs.shape);
          const key = `${target} ${output}`;
          const before = apart.get(key) ?? { difference: 0, largest: 0 };
          for (let k = 0; k < theirs.data.length; k++) {
            const [a, b] = [Number(ours.data[k]), Number(theirs.data[k])];
            before.difference = Math.max(before.difference, Math.abs(a - b));
            before.largest = Math.max(before.largest, Math.abs(b));
          }
          apart.set(key, before);
        }
      }
    }
    for (const { session } of runs) await session.dispose();
    await tfjs.dispose();
    for (const [output, { difference, largest }] of apart) {
      expect(largest, output).toBeGreaterThan(0);
      expect(difference / largest, output).toBeLessThan(1e-5);
    }
  });

  test.each(["mnist-cnn-graph-model", "graph/sequence-63"])(
    "%s at 8 bits has the same integers on cpu and wasm, and tfjs's model beside it",
    { timeout: 60_000 },
    async (name) => {
      const model = join(MODELS, name);
      const output = join(folder, `${name.replace("/", "-")}.onnx`);
      const { graph } = await openModel(model);
      const images = graph.inputs[0]?.shape.length === 4;
      const calibration = images ? ["synthetic"] : [];
      const preprocessing = { range: [0, 1], mean: [0], std: [1], resize: "stretch" } as const;
      const result = await exportModel({
        model,
        output,
        bits: 8,
        calibration,
        calibrationCount: 8,
        heldOutCount: 4,
        preprocessing,
      });
      expect(Object.keys(result.bits).length).toBeGreaterThan(2);
      const report = await parity({ model: output, reference: model, data: ["random:4"] });
      expect(report.reasons).toEqual([]);
      expect(report.float?.runtime).toBe("tfjs");
    },
  );
});
