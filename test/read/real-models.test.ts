// Oracle: tfjs on two real models. They are not part of this repository.

import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { describe, expect, test } from "vitest";
import { readModel } from "../../src/read/read-model.js";
import { compareGraph } from "../support/layers-models.js";
import { SHARED } from "../support/needs.js";

const MODELS = "../shared/models";

async function loadByTfjs(path: string): Promise<tf.LayersModel> {
  const json = JSON.parse(await readFile(path, "utf8")) as {
    modelTopology: object;
    weightsManifest: { paths: string[]; weights: tf.io.WeightsManifestEntry[] }[];
  };
  const shards: Buffer[] = [];
  for (const group of json.weightsManifest) {
    for (const shard of group.paths) shards.push(await readFile(join(dirname(path), shard)));
  }
  const weightData = new Uint8Array(Buffer.concat(shards)).buffer;
  const weightSpecs = json.weightsManifest.flatMap((group) => group.weights);
  return tf.loadLayersModel(tf.io.fromMemory({ modelTopology: json.modelTopology, weightSpecs, weightData }));
}

describe("real models", SHARED, () => {
  const mobilenet = join(MODELS, "mobilenet-v2-035-224/model.json");
  const darknet = join(MODELS, "darknet-tiny-224/model.json");

  test("MobileNetV2 from Teachable Machine gives tfjs's probabilities and brings its preprocessing and labels", async () => {
    const { graph, metadata, sourceHash } = await readModel(mobilenet);
    expect(metadata?.labels).toEqual(["face", "headphones", "pen", "hand"]);
    expect(metadata?.preprocessing).toMatchObject({ range: [-1, 1], resize: "center-crop" });
    expect(sourceHash).toMatch(/^[0-9a-f]{64}$/);
    const { difference, magnitude } = await compareGraph(await loadByTfjs(mobilenet), graph, {
      sizes: { N: 1 },
    });
    expect(magnitude).toBeGreaterThan(0.25);
    expect(difference).toBeLessThan(1e-5);
    expect(graph.nodes.filter(({ op }) => op === "Transpose")).toHaveLength(1);
  });

  test("darknet-tiny with its 31 shards gives tfjs's outputs, channels first as well", async () => {
    const model = await loadByTfjs(darknet);
    for (const layout of ["nhwc", "nchw"] as const) {
      const { graph } = await readModel(darknet, { layout });
      expect(graph.inputs[0]?.shape).toEqual(layout === "nhwc" ? ["N", 224, 224, 3] : ["N", 3, 224, 224]);
      const { difference, magnitude } = await compareGraph(model, graph, { sizes: { N: 1 }, layout });
      expect(difference / magnitude).toBeLessThan(1e-5);
    }
  });

  test("a graph-model is refused by its name", async () => {
    await expect(readModel(join(MODELS, "mnist-cnn-graph-model/model.json"))).rejects.toMatchObject({
      code: "unsupported-model",
      message: expect.stringContaining("graph-model") as string,
    });
  });
});
