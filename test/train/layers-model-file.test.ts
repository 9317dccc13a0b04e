// Round trips through files, with stock tfjs as the other reader; and saves that fail in the middle.

import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { afterEach, describe, expect, test, vi } from "vitest";
import type * as AtomicFile from "../../src/base/atomic-file.js";
import { QdgError } from "../../src/base/error.js";
import { float32 } from "../../src/base/tensor.js";
import { readModel } from "../../src/read/read-model.js";
import { tfjsRuntime } from "../../src/runtime/tfjs.js";
import { type LayersModel, loadLayersModel, saveLayersModel } from "../../src/train/layers-model-file.js";
import { countWeights, graphOf, namedGraphOf } from "../../src/train/trainable-model.js";
import { builtInModel } from "../../src/train/models/built-in.js";
import { saveLayersModel as saveByTfjs, seeded } from "../support/layers-models.js";
import { compareWithTfjs, inFolder, loadByTfjs, modelOf } from "../support/stock-tfjs.js";

const disk = vi.hoisted(() => ({ fullFor: null as RegExp | null }));

vi.mock("../../src/base/atomic-file.js", async (original) => {
  const real = await original<typeof AtomicFile>();
  return {
    ...real,
    // The files before the one at fault have their names by then: the worst moment.
    writeFilesAtomic: async (
      ...[files, options]: Parameters<typeof real.writeFilesAtomic>
    ): Promise<void> => {
      const at = files.findIndex(({ path }) => disk.fullFor?.test(path));
      if (at < 0) return real.writeFilesAtomic(files, options);
      await real.writeFilesAtomic(files.slice(0, at), options);
      throw new QdgError("io", files[at]?.path ?? "", "no space left on device");
    },
  };
});
afterEach(() => {
  disk.fullFor = null;
});

const small = (seed: number): LayersModel => builtInModel("resnet8", { imageSize: 8, classes: 3, seed });

function smallTfjs(): tf.LayersModel {
  const conv = tf.layers.conv2d({ filters: 4, kernelSize: 3, inputShape: [6, 6, 3], activation: "relu" });
  return tf.sequential({
    layers: [
      conv,
      tf.layers.globalAveragePooling2d({}),
      tf.layers.dense({ units: 3, activation: "softmax" }),
    ],
  });
}

describe("a saved model", () => {
  test("loads with the same topology, weights in the same order, and metadata of others", () =>
    inFolder(async (folder) => {
      const path = join(folder, "deep", "model.json");
      const model = {
        ...small(1),
        userDefinedMetadata: { author: "someone", qdg: { version: 1, quantizers: {} } },
      };
      await saveLayersModel(path, model);
      expect(await loadLayersModel(path)).toEqual(model);
      expect([...(await loadLayersModel(path)).weights.keys()]).toEqual([...model.weights.keys()]);
      expect((await readdir(join(folder, "deep"))).sort()).toEqual(["model.json", "weights.bin"]);
      const json = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
      expect(json).toMatchObject({ format: "layers-model", convertedBy: null });
      expect(json["generatedBy"]).toMatch(/^qdg /);
    }));

  test("gives in tfjs's runtime what our graph of it gives", async () => {
    const model = await modelOf(smallTfjs());
    const { difference, magnitude } = await compareWithTfjs(model);
    expect(magnitude).toBeGreaterThan(0.35);
    expect(difference).toBeLessThan(1e-6);
    await inFolder(async (folder) => {
      const path = join(folder, "model.json");
      await saveLayersModel(path, model);
      const session = await tfjsRuntime.open({ path });
      expect(session.outputs.map(({ name }) => name)).toEqual(graphOf(model).outputs.map(({ name }) => name));
      await session.dispose();
    });
  });

  test("weighs what stock tfjs counts", async () => {
    const model = await modelOf(smallTfjs());
    expect(countWeights(model)).toBe(3 * 3 * 3 * 4 + 4 + 4 * 3 + 3);
  });

  test("has tfjs's names for weights that were named by position, and the graph knows which those are", async () => {
    const named = await modelOf(smallTfjs());
    const positions = [...named.weights].map(
      ([name, weight]) => [name.replace("/kernel", "/0").replace("/bias", "/1"), weight] as const,
    );
    const model = { ...named, weights: new Map(positions) };
    const { weightNames } = namedGraphOf(model);
    const [conv] = [...model.weights.keys()].map((name) => name.split("/")[0]);
    expect(weightNames.get(`${conv}/kernel`)).toBe(`${conv}/0`);
    expect(weightNames.get(`${conv}/bias`)).toBe(`${conv}/1`);
    await inFolder(async (folder) => {
      await saveLayersModel(join(folder, "model.json"), model);
      expect([...(await loadLayersModel(join(folder, "model.json"))).weights.keys()]).toEqual([
        ...named.weights.keys(),
      ]);
      const stock = await loadByTfjs(join(folder, "model.json"));
      expect(stock.getWeights()[0]?.dataSync()).toEqual(positions[0]?.[1].data);
    });
  });
});

describe("a model with shards of smaller numbers", () => {
  test.each(["uint8", "uint16", "float16"] as const)(
    "of %s loads as float32 and is saved as that, equal to what stock tfjs reads from the shards",
    (dtype) =>
      inFolder(async (folder) => {
        const saved = await saveByTfjs(smallTfjs());
        const specs = (saved.json as { weightsManifest: { weights: tf.io.WeightsManifestEntry[] }[] })
          .weightsManifest[0]?.weights as tf.io.WeightsManifestEntry[];
        const random = seeded(3);
        const size = specs.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
        // float16: below infinity and NaN, exponent 31.
        const integers = Array.from({ length: size }, () =>
          Math.floor(random() * (dtype === "uint8" ? 256 : 0x7000)),
        );
        const bytes =
          dtype === "uint8" ? Uint8Array.from(integers) : new Uint8Array(Uint16Array.from(integers).buffer);
        const quantization = dtype === "float16" ? { dtype } : { dtype, scale: 0.013, min: -1.1 };
        const json = {
          ...saved.json,
          weightsManifest: [
            { paths: ["q.bin"], weights: specs.map((spec) => Object.assign({}, spec, { quantization })) },
          ],
        };
        await writeFile(join(folder, "model.json"), JSON.stringify(json));
        await writeFile(join(folder, "q.bin"), bytes);
        const original = await loadByTfjs(join(folder, "model.json"));

        const model = await loadLayersModel(join(folder, "model.json"));
        await saveLayersModel(join(folder, "real", "model.json"), model);
        const again = await loadByTfjs(join(folder, "real", "model.json"));
        original.getWeights().forEach((weight, i) => {
          expect(again.getWeights()[i]?.dataSync()).toEqual(weight.dataSync());
        });
        expect(await readFile(join(folder, "real", "model.json"), "utf8")).not.toContain("quantization");
      }),
  );
});

const readFirstKernel = async (path: string): Promise<Float32Array | undefined> =>
  (await loadLayersModel(path)).weights.get("conv1/kernel")?.data;

describe("saving over a model", () => {
  test("is refused without force, and changes nothing", () =>
    inFolder(async (folder) => {
      const path = join(folder, "model.json");
      await saveLayersModel(path, small(1));
      await expect(saveLayersModel(path, small(2))).rejects.toMatchObject({ code: "exists" });
      expect(await readdir(folder)).toHaveLength(2);
      expect(await loadLayersModel(path)).toEqual(small(1));
    }));

  test("never writes into the weights in use, and leaves two files each time", () =>
    inFolder(async (folder) => {
      const path = join(folder, "model.json");
      for (const seed of [1, 2, 3]) {
        await saveLayersModel(path, small(seed), { force: true });
        expect((await readdir(folder)).sort()).toEqual([
          "model.json",
          seed % 2 === 1 ? "weights.bin" : "weights-2.bin",
        ]);
        expect(await loadLayersModel(path)).toEqual(small(seed));
      }
    }));

  test.each([
    ["the weights", /weights/],
    ["model.json", /model\.json$/],
  ])("that fails at %s leaves the old pair, and the next save works", (_, fullFor) =>
    inFolder(async (folder) => {
      const path = join(folder, "model.json");
      for (const seed of [1, 2]) {
        disk.fullFor = null;
        await saveLayersModel(path, small(seed), { force: true });
        disk.fullFor = fullFor;
        await expect(saveLayersModel(path, small(9), { force: true })).rejects.toMatchObject({ code: "io" });
        expect(await readFirstKernel(path)).toEqual(small(seed).weights.get("conv1/kernel")?.data);
        expect((await readModel(path)).graph.nodes.length).toBeGreaterThan(0);
      }
      disk.fullFor = null;
      await saveLayersModel(path, small(3), { force: true });
      expect(await loadLayersModel(path)).toEqual(small(3));
      expect(await readdir(folder)).toHaveLength(2);
    }),
  );

  test("two models in one folder have weights of their own", () =>
    inFolder(async (folder) => {
      await saveLayersModel(join(folder, "model.json"), small(1));
      await saveLayersModel(join(folder, "best.json"), small(2));
      await saveLayersModel(join(folder, "best.json"), small(3), { force: true });
      expect(await loadLayersModel(join(folder, "model.json"))).toEqual(small(1));
      expect(await loadLayersModel(join(folder, "best.json"))).toEqual(small(3));
    }));

  test("removes no file that a save does not write", () =>
    inFolder(async (folder) => {
      const path = join(folder, "model.json");
      await saveLayersModel(path, small(1));
      const json = await readFile(path, "utf8");
      await writeFile(path, json.replace("weights.bin", "group1-shard1of1.bin"));
      await writeFile(join(folder, "group1-shard1of1.bin"), await readFile(join(folder, "weights.bin")));
      await saveLayersModel(path, small(2), { force: true });
      expect((await readdir(folder)).sort()).toEqual(["group1-shard1of1.bin", "model.json", "weights.bin"]);
      expect(await loadLayersModel(path)).toEqual(small(2));
    }));

  test.each([
    ["NaN", Number.NaN],
    ["an infinity", Number.NEGATIVE_INFINITY],
  ])("with %s among the weights names the weight and keeps the old model", (_, x) =>
    inFolder(async (folder) => {
      const path = join(folder, "model.json");
      await saveLayersModel(path, small(1));
      const broken = small(2);
      (broken.weights.get("bn1/beta") as { data: Float32Array }).data[5] = x;
      await expect(saveLayersModel(path, broken, { force: true })).rejects.toThrow(
        /^bn1\/beta: element 5 is/,
      );
      expect(await loadLayersModel(path)).toEqual(small(1));
    }),
  );

  test("with a weight that does not fill its shape is refused", () =>
    inFolder(async (folder) => {
      const model = small(1);
      const short = { ...float32([2], [1, 2]), shape: [3] };
      const broken = { ...model, weights: new Map([...model.weights, ["bn1/beta", short]]) } as LayersModel;
      await expect(saveLayersModel(join(folder, "model.json"), broken)).rejects.toThrow(
        /got 2 elements, expected 3/,
      );
      expect(await readdir(folder)).toEqual([]);
    }));
});

describe("loading refuses", () => {
  test.each([
    [
      "metadata that is a text",
      { userDefinedMetadata: "notes" },
      /userDefinedMetadata: got "notes", expected an object/,
    ],
    [
      "weights of integers",
      { weightsManifest: [{ paths: ["w.bin"], weights: [{ name: "a/b", shape: [1], dtype: "int32" }] }] },
      /a\/b: got a int32 weight, expected float32/,
    ],
  ])("%s", (_, changed, message) =>
    inFolder(async (folder) => {
      const json = { modelTopology: small(1).topology, weightsManifest: [], ...changed };
      await writeFile(join(folder, "model.json"), JSON.stringify(json));
      await writeFile(join(folder, "w.bin"), new Uint8Array(4));
      await expect(loadLayersModel(join(folder, "model.json"))).rejects.toThrow(message);
    }),
  );
});
