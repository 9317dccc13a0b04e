// Table: numbers of weights as published. Oracle: stock tfjs on the saved files.

import { describe, expect, test } from "vitest";
import type { Node } from "../../../src/graph/graph.js";
import type { LayersModel } from "../../../src/train/layers-model-file.js";
import { countWeights, graphOf } from "../../../src/train/trainable-model.js";
import { type BuiltInOptions, builtInModel, MODEL_NAMES } from "../../../src/train/models/built-in.js";
import { divisibleChannels } from "../../../src/train/models/mobilenet-v2.js";
import { compareWithTfjs, scaleWeight } from "../../support/stock-tfjs.js";

/** As the literature counts: without the moving statistics. */
function trainableWeights(model: LayersModel): number {
  return [...model.weights].reduce(
    (sum, [name, { data }]) => sum + (/moving/.test(name) ? 0 : data.length),
    0,
  );
}

function isPool({ op }: Node): boolean {
  return op === "GlobalAveragePool";
}

function features(model: LayersModel): readonly unknown[] | undefined {
  return graphOf(model).nodes.find(isPool)?.inputs[0]?.shape;
}

const options = (changed: Partial<BuiltInOptions>): BuiltInOptions => ({
  imageSize: 32,
  classes: 10,
  seed: 1,
  ...changed,
});
const imagenet = { imageSize: 224, classes: 1000 };

describe("the number of weights", () => {
  test.each([
    ["resnet18, ImageNet: torchvision's 11,689,512", "resnet18", imagenet, 11_689_512],
    ["resnet18, CIFAR stem: 11,173,962", "resnet18", { stem: "cifar" }, 11_173_962],
    ["mobilenet-v2 1.0: torchvision's 3,504,872", "mobilenet-v2", imagenet, 3_504_872],
    [
      "resnet8: 432 + 672 of normalization + 4,608 + 14,336 + 57,344 + 650",
      "resnet8",
      {},
      432 + 672 + 4608 + 14_336 + 57_344 + 650,
    ],
  ] as const)("of %s", (_, name, changed, expected) => {
    expect(trainableWeights(builtInModel(name, options(changed)))).toBe(expected);
  });

  // Keras lists these without the head, moving statistics included.
  test.each([
    [0.35, 410_208],
    [0.5, 706_224],
    [0.75, 1_382_064],
    [1, 2_257_984],
    [1.3, 3_766_048],
    [1.4, 4_363_712],
  ])("of mobilenet-v2 %s without its head is Keras's %i", (width, expected) => {
    const model = builtInModel("mobilenet-v2", options({ width, imageSize: 96 }));
    const head = ["classes/kernel", "classes/bias"].map((name) => model.weights.get(name)?.data.length ?? 0);
    expect(countWeights(model) - (head[0] as number) - (head[1] as number)).toBe(expected);
  });

  test.each([
    [8, 8],
    [3, 8],
    [11.2, 16], // 8 would take away more than a tenth
    [12, 16], // a half goes up
    [33.6, 32],
    [22.4, 24],
  ])("channels of %s become %i", (channels, expected) => {
    expect(divisibleChannels(channels)).toBe(expected);
  });
});

describe("the last feature map", () => {
  test.each([
    ["resnet8", { imageSize: 32 }, [64, 8, 8]],
    ["resnet18", { imageSize: 32 }, [512, 4, 4]],
    ["resnet18", { imageSize: 96 }, [512, 3, 3]],
    ["resnet18", { imageSize: 96, stem: "cifar" }, [512, 12, 12]],
    ["mobilenet-v2", { imageSize: 224 }, [1280, 7, 7]],
    ["mobilenet-v2", { imageSize: 96 }, [1280, 3, 3]],
    ["mobilenet-v2", { imageSize: 65 }, [1280, 3, 3]],
    ["mobilenet-v2", { imageSize: 64 }, [1280, 4, 4]],
    ["mobilenet-v2", { imageSize: 32 }, [1280, 4, 4]],
    ["mobilenet-v2", { imageSize: 16 }, [1280, 4, 4]],
  ] as const)("of %s at %o is %o", (name, changed, expected) => {
    expect(features(builtInModel(name, options(changed)))).toEqual(["N", ...expected]);
  });
});

describe("initial weights", () => {
  test("are the same for one seed and others for another", () => {
    const [a, b, c] = [7, 7, 8].map((seed) => builtInModel("resnet8", options({ seed })));
    expect(a).toEqual(b);
    expect(c?.weights.get("conv1/kernel")?.data).not.toEqual(a?.weights.get("conv1/kernel")?.data);
  });

  test("of one layer differ from those of another of the same shape", () => {
    const { weights } = builtInModel("resnet8", options({}));
    expect(weights.get("block1_conv1/kernel")?.data).not.toEqual(weights.get("block1_conv2/kernel")?.data);
  });

  test("have He's variance and mean 0, a depthwise kernel by its own nine inputs", () => {
    const { weights } = builtInModel("mobilenet-v2", options({}));
    for (const [name, fanIn] of [
      ["block16_expand/kernel", 160],
      ["block16_depthwise/depthwise_kernel", 9],
    ] as const) {
      const { data } = weights.get(name) as { data: Float32Array };
      const mean = data.reduce((sum, x) => sum + x, 0) / data.length;
      const variance = data.reduce((sum, x) => sum + x * x, 0) / data.length;
      const sigma = Math.sqrt(2 / fanIn);
      // Five standard errors of each.
      expect(Math.abs(mean)).toBeLessThan((5 * sigma) / Math.sqrt(data.length));
      expect(Math.abs(variance / sigma ** 2 - 1)).toBeLessThan(5 * Math.sqrt(2 / data.length));
      // A normal number in 400 is beyond three sigma; a uniform one never.
      expect(data.filter((x) => Math.abs(x) > 3 * sigma).length / data.length).toBeGreaterThan(0.001);
    }
  });

  test("fill every element, also where the length is no multiple of four", () => {
    const { weights } = builtInModel("resnet8", options({ classes: 3 }));
    const kernels = [...weights].filter(([name]) => /kernel/.test(name));
    expect(kernels.filter(([, { data }]) => data.includes(0)).map(([name]) => name)).toEqual([]);
    expect(kernels).toHaveLength(10);
  });
});

describe("stock tfjs", () => {
  test.each([
    ["resnet8", { classes: 7 }],
    ["resnet18", { imageSize: 16, classes: 5 }],
    ["resnet18", { imageSize: 33, classes: 5, stem: "imagenet" }],
    ["mobilenet-v2", { imageSize: 24, classes: 4, width: 0.35 }],
  ] as const)("loads %s with %o and gives the outputs of the graph", async (name, changed) => {
    const model = scaleWeight(builtInModel(name, options(changed)), "classes/kernel", 0.02);
    const { stock, difference, magnitude, graph } = await compareWithTfjs(model);
    expect(graph.outputs[0]?.shape).toEqual(["N", changed.classes]);
    // Neither equal for all classes nor saturated.
    expect(magnitude).toBeGreaterThan(1.02 / changed.classes);
    expect(magnitude).toBeLessThan(0.999);
    expect(difference).toBeLessThan(1e-5);
    expect(stock.layers.at(-1)?.name).toBe("classes");
    expect(stock.countParams()).toBe(countWeights(model));
    stock.dispose();
  });
});

describe("what is refused", () => {
  test.each([
    [
      "another name, with those that are",
      "resnet50",
      {},
      /"resnet50", expected resnet8, resnet18, mobilenet-v2/,
    ],
    ["a width that is not mobilenet's", "resnet8", { width: 0.5 }, /has no width, which is of mobilenet-v2/],
    ["a stem that is not resnet18's", "resnet8", { stem: "cifar" }, /has no stem, which is of resnet18/],
    ["a width out of range", "mobilenet-v2", { width: 2 }, /width: got 2, expected a number in 0.25..1.4/],
    ["a width that is no number", "mobilenet-v2", { width: Number.NaN }, /width: got NaN/],
    ["another stem", "resnet18", { stem: "tiny" as "cifar" }, /stem: got "tiny", expected cifar or imagenet/],
    ["one class", "resnet8", { classes: 1 }, /classes: got 1, expected an integer in 2/],
    ["an image of 4 px", "resnet8", { imageSize: 4 }, /image size: got 4, expected an integer in 8/],
    ["half a pixel", "resnet8", { imageSize: 32.5 }, /image size: got 32.5/],
    ["a seed below 0", "resnet8", { seed: -1 }, /seed: got -1/],
  ] as const)("%s", (_, name, changed, message) => {
    expect(() => builtInModel(name, options(changed))).toThrow(message);
  });

  test("every name of the list makes a model", () => {
    for (const name of MODEL_NAMES)
      expect(builtInModel(name, options({ classes: 2 })).weights.size).toBeGreaterThan(0);
  });
});
