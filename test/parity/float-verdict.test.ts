// parity on generated models and the files made from them: where tfjs is right and where it is known to be wrong, files of
// another model, networks that are dead by quantization and by nature.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { float32 } from "../../src/base/tensor.js";
import { exportModel } from "../../src/export/export-model.js";
import { parity, type ParityOptions } from "../../src/parity/parity.js";
import { formatReport, type ParityReport } from "../../src/parity/report.js";
import {
  configsOf,
  randomizeWeights,
  removeFolder,
  saveLayersModel,
  saveToFolder,
  seeded,
} from "../support/layers-models.js";
import { npyOf } from "./tiny-models.js";

const L = tf.layers;
const folders: string[] = [];

beforeAll(async () => {
  tf.env().set("PROD", true);
  await tf.setBackend("cpu");
});
afterAll(() => Promise.all(folders.map((folder) => removeFolder(folder))));

interface Made {
  readonly folder: string;
  readonly path: string;
}

/** Writes a model with random weights; `keys` go into the config of its layer `odd`. */
async function made(
  layers: readonly tf.layers.Layer[],
  keys: Readonly<Record<string, unknown>> = {},
  change: (model: tf.LayersModel) => void = () => undefined,
): Promise<Made> {
  const model = tf.sequential({ layers: [...layers] });
  randomizeWeights(model, seeded(3));
  change(model);
  const saved = await saveLayersModel(model);
  model.dispose();
  Object.assign(configsOf(saved).find(({ name }) => name === "odd") ?? {}, keys);
  const written = await saveToFolder(saved);
  folders.push(written.folder);
  return written;
}

/** `scale` times numbers in -1..1 for [count, ...shape], as a .npy file. */
async function array({ folder }: Made, shape: readonly number[], scale = 1, count = 24): Promise<string> {
  const random = seeded(11);
  const size = shape.reduce((product, dim) => product * dim, count);
  const path = join(folder, `x${scale}.npy`);
  await writeFile(
    path,
    npyOf(
      float32(
        [count, ...shape],
        Float32Array.from({ length: size }, () => scale * (2 * random() - 1)),
      ),
    ),
  );
  return path;
}

async function exported({ folder, path }: Made, options: { calibration?: string } = {}): Promise<string> {
  const { calibration } = options;
  const output = join(folder, calibration === undefined ? "float.onnx" : "quantized.onnx");
  await exportModel(
    calibration === undefined
      ? { model: path, output, float: true, force: true }
      : { model: path, output, bits: 8, calibration: [calibration], force: true },
  );
  return output;
}

const check = (model: string, options: Partial<ParityOptions> = {}): Promise<ParityReport> =>
  parity({ model, data: ["random:6"], targets: ["cpu"], ...options });

const slope = (): tf.layers.Layer[] => [
  L.conv2d({ inputShape: [6, 6, 2], filters: 3, kernelSize: 3 }),
  L.reLU({ name: "odd" }),
  L.flatten(),
  L.dense({ units: 3 }),
];

describe("a float file of a model at which tfjs is known to deviate", () => {
  test.each<[string, () => tf.layers.Layer[], Readonly<Record<string, unknown>>]>([
    ["negative_slope", slope, { negative_slope: 0.3 }],
    ["threshold", slope, { threshold: 0.4 }],
    [
      "dilation_rate",
      () => [
        L.depthwiseConv2d({ inputShape: [6, 6, 2], kernelSize: 2, name: "odd" }),
        L.globalAveragePooling2d({}),
        L.dense({ units: 3 }),
      ],
      { dilation_rate: [3, 2] },
    ],
    ["axis 1", () => [L.batchNormalization({ inputShape: [5, 4, 3], axis: 1, name: "odd" })], {}],
  ])("passes by the plain reference, and says so (%s)", async (_, layers, keys) => {
    const model = await made(layers(), keys);
    const report = await check(await exported(model), { reference: model.path });
    expect(report.reasons).toEqual([]);
    expect(report.float?.runtime).toBe("reference");
    expect(report.float?.outputs[0]?.relativeDifference).toBeLessThan(1e-5);
    expect(report.checks.flatMap(({ notJudged }) => notJudged ?? [])).toEqual([
      expect.stringMatching(/^tfjs deviates at odd \(/),
    ]);
    const text = formatReport(report);
    expect(text).toMatch(/\nnot judged: tfjs deviates at odd .*; the plain reference judges instead\n/);
    expect(text).toContain("(plain reference)\n");
  });

  test("fails where the file has another slope than the model", async () => {
    const [model, other] = [
      await made(slope(), { negative_slope: 0.3 }),
      await made(slope(), { negative_slope: 0.1 }),
    ];
    const report = await check(await exported(model), { reference: other.path });
    expect(report.reasons).toEqual([expect.stringMatching(/differs from .* by the plain reference by/)]);
    expect(report.passed).toBe(false);
  });

  test("is judged by tfjs's other backend where only WebAssembly is wrong", async () => {
    const model = await made([L.prelu({ inputShape: [4, 5, 3], sharedAxes: [3], name: "odd" })]);
    const report = await check(await exported(model), { reference: model.path });
    expect(report.reasons).toEqual([]);
    expect(report.float?.runtime).toBe("tfjs");
    expect(report.float?.outputs[0]?.relativeDifference).toBeLessThan(1e-5);
    expect(report.notes.join("\n")).toMatch(/tfjs ran on its plain JavaScript backend: at odd \(PReLU\)/);
  });
});

const dense = (): tf.layers.Layer[] => [
  L.dense({ inputShape: [5], units: 4, activation: "tanh" }),
  L.dense({ units: 3 }),
];

describe("a float file", () => {
  test("passes against its own model", async () => {
    const model = await made(dense());
    const report = await check(await exported(model), { reference: model.path });
    expect(report.reasons).toEqual([]);
    expect(report.float?.runtime).toBe("tfjs");
  });

  test("fails against a model with another weight, though its targets agree", async () => {
    const model = await made(dense());
    const other = await made(dense(), {}, (changed) => {
      const [kernel, ...rest] = changed.getWeights();
      changed.setWeights([tf.mul(kernel as tf.Tensor, 1.01), ...rest]);
    });
    const report = await check(await exported(model), { reference: other.path });
    expect(report.reasons).toEqual([expect.stringMatching(/output .* is far from .*SQNR \d+\.\d dB/)]);
  });

  test("of one class for all inputs passes with a note, with and without its model", async () => {
    const model = await made(
      [L.dense({ inputShape: [5], units: 3, activation: "softmax" })],
      {},
      (changed) => {
        changed.setWeights([tf.zeros([5, 3]), tf.tensor1d([0, 4, 0])]);
      },
    );
    const file = await exported(model);
    for (const reference of [model.path, undefined]) {
      const report = await check(file, reference === undefined ? {} : { reference });
      expect(report.reasons).toEqual([]);
      expect(report.notes.join("\n")).toMatch(/is class 1 for all inputs/);
    }
  });

  test.each(["sigmoid", "softmax", "tanh"] as const)(
    "may be as far from 0 as runtimes round a %s",
    async (activation) => {
      // Logits of about -16 (0 for tanh): outputs near 1e-7, where a runtime's last bits are all there is.
      const model = await made(
        [L.dense({ inputShape: [32], units: 16, activation: "relu" }), L.dense({ units: 2, activation })],
        {},
        (changed) => {
          const [kernel, bias, second] = changed.getWeights() as [tf.Tensor, tf.Tensor, tf.Tensor];
          const last = activation === "tanh" ? [0, 0] : [-16, activation === "softmax" ? 0 : -16];
          changed.setWeights([
            kernel,
            bias,
            tf.mul(second, activation === "tanh" ? 1e-7 : 0.5),
            tf.tensor1d(last),
          ]);
        },
      );
      const report = await check(await exported(model), { reference: model.path, targets: ["cpu", "wasm"] });
      expect(report.reasons).toEqual([]);
      expect(report.targets.flatMap(({ outputs }) => outputs.map(({ floor }) => floor))).toEqual([1, 1]);
    },
  );
});

const convolutions = (): tf.layers.Layer[] => [
  L.conv2d({ inputShape: [6, 6, 2], filters: 4, kernelSize: 3, activation: "relu", name: "alive" }),
  L.conv2d({ filters: 4, kernelSize: 1, activation: "relu", name: "odd" }),
  L.flatten(),
  L.dense({ units: 3, name: "head" }),
];
/** A bias that no input reaches: the rectifier gives zeros, in float too. */
const silent = (model: tf.LayersModel): void => {
  const layer = model.getLayer("odd");
  const [kernel] = layer.getWeights();
  layer.setWeights([kernel as tf.Tensor, tf.tensor1d([-1000, -1000, -1000, -1000])]);
};

describe("a quantized file", () => {
  test("of a tensor that is constant in float passes with a note, and fails where no float model is given", async () => {
    const model = await made(convolutions(), {}, silent);
    const data = await array(model, [6, 6, 2]);
    const file = await exported(model, { calibration: data });
    const report = await check(file, { data: [data], reference: model.path });
    expect(report.reasons).toEqual([]);
    expect(report.notes.join("\n")).toMatch(
      /fewer than 3 levels are used of odd, .*: the float model takes no more/,
    );
    // A float file as the reference has the same tensor.
    const byFile = await check(file, { data: [data], reference: await exported(model) });
    expect(byFile.reasons).toEqual([]);
    const alone = await check(file, { data: [data] });
    expect(alone.reasons.join("\n")).toMatch(/dead network: layer odd .* give it as --reference/);
  });

  test("that is dead where the float model is alive fails, by levels and by classes", async () => {
    const model = await made(convolutions());
    // Calibrated on numbers 1000 times larger, so that none of the data leaves zero.
    const file = await exported(model, { calibration: await array(model, [6, 6, 2], 1000) });
    const data = [await array(model, [6, 6, 2])];
    for (const options of [{ data }, { data: ["random:12"] }]) {
      const report = await check(file, { ...options, reference: model.path });
      const text = report.reasons.join("\n");
      expect(text).toMatch(/layer alive uses 1 level.* where the float model takes 3 or more values/);
      expect(text).toMatch(
        /dead network: output head is class \d for all inputs, where the float model gives/,
      );
      expect(report.notes.join("\n")).toMatch(/output head: SQNR .* below 10 dB/);
    }
  });

  test("is measured against the plain reference where tfjs deviates", async () => {
    const model = await made(slope(), { negative_slope: 0.5 });
    const data = await array(model, [6, 6, 2]);
    const report = await check(await exported(model, { calibration: data }), {
      data: [data],
      reference: model.path,
    });
    expect(report.reasons).toEqual([]);
    expect(report.float?.runtime).toBe("reference");
    // tfjs leaves the slope out.
    expect(report.float?.outputs[0]?.sqnrDb).toBeGreaterThan(25);
  });

  test("of weights alone is no float file", async () => {
    const model = await made(convolutions());
    const output = join(model.folder, "weights.onnx");
    await exportModel({ model: model.path, output, bits: 3 });
    const report = await check(output, { reference: model.path });
    expect(report.float?.outputs[0]?.sqnrDb).toBeLessThan(60);
    expect(report.reasons).toEqual([]);
  });
});
