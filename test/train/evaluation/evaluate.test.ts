// Accuracy of networks that a hand can compute, on every runtime.

import { readdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { evaluate, type Evaluation, type EvaluateOptions } from "../../../src/train/evaluation/evaluate.js";
import { formatEvaluation } from "../../../src/train/evaluation/format-evaluation.js";
import { encodeModel } from "../../../src/onnx/codec.js";
import type { Runtime } from "../../../src/runtime/runtime.js";
import { tinyModel, type TinyOptions } from "../../parity/tiny-models.js";
import { runCli } from "../../support/run-cli.js";
import { editJson, madeUpScales, newFolder, removeFolder } from "../../support/small-models.js";
import { colorModel, type Matrix, writeColors, writeModel } from "./colored-data.js";

/** Set in a test: the reference interpreter turns its outputs around. */
const turned = vi.hoisted(() => ({ on: false }));

vi.mock("../../../src/runtime/registry.js", async (original) => {
  const registry = await original<typeof import("../../../src/runtime/registry.js")>();
  return {
    ...registry,
    runtimeOf: async (name: "reference") => {
      const runtime = await registry.runtimeOf(name);
      return turned.on && name === "reference" ? turning(runtime) : runtime;
    },
  };
});

function turning(runtime: Runtime): Runtime {
  return {
    name: runtime.name,
    probe: () => runtime.probe(),
    open: async (model) => {
      const session = await runtime.open(model);
      return {
        inputs: session.inputs,
        outputs: session.outputs,
        dispose: () => session.dispose(),
        run: async (feeds) => {
          const outputs = await session.run(feeds);
          for (const tensor of Object.values(outputs)) (tensor.data as Float32Array).reverse();
          return outputs;
        },
      };
    },
  };
}

const LABELS = ["red", "green", "blue"];
const IDENTITY: Matrix = [
  [1, 0, 0],
  [0, 1, 0],
  [0, 0, 1],
];

let folder = "";
let data = "";
beforeAll(async () => {
  folder = await newFolder();
  // In day 5 of 6 images are what their folder says; at night 2 of 4.
  data = await writeColors(join(folder, "data"), {
    day: { red: ["red", "red", "green"], green: ["green"], blue: ["blue", "blue"] },
    night: { red: ["red"], green: ["blue", "green"], blue: ["red"] },
  });
});
afterAll(() => removeFolder(folder));
beforeEach(() => {
  turned.on = false;
});

const run = (options: Partial<EvaluateOptions>): Promise<Evaluation> =>
  evaluate({ models: [], data, targets: ["float"], cacheFolder: null, ...options });

/** The tiny quantized file, whose class k is the color that is in the image, not with an open batch. */
async function tiny(name: string, options: TinyOptions = {}, batch = 1): Promise<string> {
  const preprocessing = '{"range": [-0.5, 0.5], "mean": [0], "std": [1], "resize": "stretch"}';
  const metadata = {
    "qdg.layout": "nhwc",
    "qdg.labels": JSON.stringify(LABELS),
    "qdg.preprocessing": preprocessing,
  };
  const model = tinyModel({ ...options, metadata: { ...metadata, ...options.metadata } });
  for (const info of [...(model.graph?.input ?? []), ...(model.graph?.output ?? [])]) {
    const dim = info.type?.tensorType?.shape?.dim?.[0] as { dimValue?: bigint } | undefined;
    if (dim) dim.dimValue = BigInt(batch);
  }
  const path = join(folder, name);
  await writeFile(path, encodeModel(model));
  return path;
}

/** Folders of exports under way. */
async function exportFolders(): Promise<string[]> {
  return (await readdir(tmpdir())).filter((name) => name.startsWith("qdg-evaluate-"));
}

function oneOfEach(): Promise<string> {
  return writeColors(join(folder, "pure"), { a: { red: ["red"], green: ["green"], blue: ["blue"] } });
}

describe("accuracy", () => {
  test("is counted by domain and class, whatever the order of the file's classes", async () => {
    const orders: readonly (readonly string[])[] = [LABELS, ["blue", "red", "green"]];
    for (const labels of orders) {
      const matrix = LABELS.map((color) => labels.map((label) => (label === color ? 1 : 0)));
      const model = await writeModel(folder, `order-${labels[0]}`, await colorModel(matrix, labels));
      const { models, classes, images, agrees } = await run({ models: [model] });
      expect({ classes, images, agrees }).toEqual({
        classes: ["blue", "green", "red"],
        images: 10,
        agrees: true,
      });
      const [score] = models[0]?.targets ?? [];
      expect(score).toMatchObject({
        target: "float",
        network: "float",
        count: 10,
        correct: 7,
        accuracy: 0.7,
      });
      expect(score?.domains).toMatchObject([
        { name: "day", count: 6, correct: 5 },
        { name: "night", count: 4, correct: 2, accuracy: 0.5 },
      ]);
      expect(score?.classes).toEqual([
        { name: "blue", count: 3, correct: 2, accuracy: 2 / 3 },
        { name: "green", count: 3, correct: 2, accuracy: 2 / 3 },
        { name: "red", count: 4, correct: 3, accuracy: 3 / 4 },
      ]);
      expect(score?.confusion).toEqual([
        [2, 0, 1],
        [1, 2, 0],
        [0, 1, 3],
      ]);
      expect(score?.domains[1]?.confusion).toEqual([
        [0, 0, 1],
        [1, 1, 0],
        [0, 0, 1],
      ]);
    }
  });

  test("of a quantized file is the same on every target, with any batch", async () => {
    const models = [await tiny("tiny.onnx"), await tiny("tiny4.onnx", {}, 4)];
    const evaluation = await run({ models, targets: ["cpu", "wasm", "reference"] });
    expect(evaluation.agrees).toBe(true);
    for (const { targets, agreement, outputKind } of evaluation.models) {
      expect(targets.map(({ target, correct, network }) => [target, correct, network])).toEqual([
        ["cpu", 7, "quantized"],
        ["wasm", 7, "quantized"],
        ["reference", 7, "quantized"],
      ]);
      expect(agreement).toEqual({ targets: ["cpu", "wasm", "reference"], differing: 0, examples: [] });
      expect(outputKind).toBe("logits");
    }
  });

  test("of chosen domains and of a limited number of images counts those alone", async () => {
    const models = [await writeModel(folder, "some", await colorModel(IDENTITY, LABELS))];
    const night = await run({ models, domains: ["night"] });
    expect(night.models[0]?.targets[0]).toMatchObject({ count: 4, correct: 2 });
    const counts = async (limit: number): Promise<number[][] | undefined> =>
      (await run({ models, limit })).models[0]?.targets[0]?.domains.map(({ classes }) =>
        classes.map(({ count }) => count),
      );
    expect(await counts(3)).toEqual([
      [1, 1, 1],
      [1, 1, 1],
    ]);
    // Green has one image only: the other goes to a larger class.
    expect(await counts(5)).toEqual([
      [2, 1, 2],
      [1, 2, 1],
    ]);
    // As few as go round: the larger classes have them.
    expect(await counts(2)).toEqual([
      [1, 0, 1],
      [0, 1, 1],
    ]);
  });

  test("of more images than a batch holds counts them all", async () => {
    const many = await writeColors(join(folder, "many"), {
      a: { red: Array<"red">(40).fill("red"), green: ["green"], blue: ["red"] },
    });
    const models = [await writeModel(folder, "many-model", await colorModel(IDENTITY, LABELS))];
    expect((await run({ models, data: many })).models[0]?.targets[0]).toMatchObject({
      count: 42,
      correct: 41,
    });
  });
});

describe("a model.json", () => {
  test("runs in float and with its learned scales elsewhere, and leaves no file behind", async () => {
    const model = await writeModel(folder, "learned", await colorModel(IDENTITY, LABELS));
    const learned = await madeUpScales(model, {});
    await editJson(model, (json: { userDefinedMetadata: { qdg: object } }) => {
      Object.assign(json.userDefinedMetadata.qdg, { quantizers: learned["quantizers"] });
    });
    const before = await exportFolders();
    const { models } = await run({ models: [model], targets: ["float", "cpu", "wasm"] });
    expect(models[0]?.targets.map(({ target, network, correct }) => [target, network, correct])).toEqual([
      ["float", "float", 7],
      ["cpu", "quantized", 7],
      ["wasm", "quantized", 7],
    ]);
    expect(models[0]?.agreement?.targets).toEqual(["cpu", "wasm"]);
    expect(await exportFolders()).toEqual(before);
  });

  test("without learned scales runs in float only", async () => {
    const model = await writeModel(folder, "float", await colorModel(IDENTITY, LABELS));
    await expect(run({ models: [model], targets: ["float", "cpu"] })).rejects.toThrow(
      /has no learned scales, which cpu would run; export it with qdg-export --bits.*--targets float/,
    );
  });
});

describe("several files", () => {
  // Rows: a red, a green and a blue image. The first is wrong on green by a large logit, the second on red by a
  // small probability.
  const first: Matrix = [
    [9, 0, 0],
    [10, 9, 0],
    [0, 0, 9],
  ];
  const second: Matrix = [
    [2, 2.2, 0],
    [0, 9, 0],
    [0, 0, 9],
  ];

  test("are averaged by their probabilities, a softmax put on outputs that are none yet", async () => {
    const models = [
      await writeModel(folder, "first", await colorModel(first, LABELS)),
      await writeModel(folder, "second", await colorModel(second, LABELS, "softmax")),
    ];
    const evaluation = await run({ models, data: await oneOfEach() });
    expect(evaluation.models.map(({ outputKind, targets }) => [outputKind, targets[0]?.correct])).toEqual([
      ["logits", 2],
      ["softmax", 2],
    ]);
    // Green: 0.731 and 0.0001 for red, 0.269 and 0.9998 for green. Logits as they are would say red.
    expect(evaluation.ensemble?.[0]).toMatchObject({ target: "float", count: 3, correct: 3 });
    const text = formatEvaluation(evaluation);
    expect(text).toMatch(
      /first[^]*probabilities: softmax of its outputs[^]*second[^]*probabilities: its outputs, which come of a softmax/,
    );
    expect(text).toMatch(/mean probabilities of 2 files[^]*all +3 +100\.00/);
  });

  test("with their classes in other orders are averaged by name", async () => {
    const turnedLabels = ["blue", "green", "red"];
    const models = [
      await writeModel(folder, "first2", await colorModel(first, LABELS)),
      await writeModel(
        folder,
        "second2",
        await colorModel(
          second.map((row) => row.toReversed()),
          turnedLabels,
        ),
      ),
    ];
    const evaluation = await run({ models, data: await oneOfEach() });
    expect(evaluation.ensemble?.[0]).toMatchObject({ correct: 3 });
  });

  test("of which there is one are no ensemble", async () => {
    const models = [await writeModel(folder, "alone", await colorModel(first, LABELS))];
    expect((await run({ models })).ensemble).toBeNull();
  });
});

describe("targets that differ", () => {
  beforeEach(() => {
    turned.on = true;
  });

  test("are counted by image, and end the command with 3", async () => {
    const path = await tiny("differ.onnx");
    const args = ["evaluate", path, "--data", data, "--no-cache", "--targets", "cpu,reference"];
    const { code, stdout } = await runCli(...args);
    expect(code).toBe(3);
    // Turned around, red is blue and blue is red; 3 of 10 images are green.
    expect(stdout).toContain("cpu and reference: 7 differing predictions, as day/blue/0.png");
    const json = JSON.parse((await runCli(...args, "--json")).stdout) as Evaluation;
    expect(json.agrees).toBe(false);
    expect(json.models[0]?.agreement).toMatchObject({ differing: 7 });
  });

  test("of a file without integers are told and no failure", async () => {
    const model = await writeModel(folder, "real", await colorModel(IDENTITY, LABELS));
    const path = join(folder, "real.onnx");
    expect((await runCli("export", model, "--float", "-o", path)).code).toBe(0);
    const args = ["evaluate", path, "--data", data, "--no-cache", "--targets", "cpu,reference"];
    const { code, stdout } = await runCli(...args);
    expect(code).toBe(0);
    expect(stdout).toMatch(/cpu and reference: [1-9]\d* differing/);
  });
});

describe("qdg evaluate", () => {
  afterEach(() => vi.unstubAllEnvs());

  test("prints a table by domain and class", async () => {
    vi.stubEnv("XDG_CACHE_HOME", join(folder, "cache"));
    const path = await tiny("table.onnx");
    const { code, stdout, stderr } = await runCli("evaluate", path, "--data", data);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.replace(path, "table.onnx").replace(data, "data")).toMatchInlineSnapshot(`
      "data: 10 images of 3 classes; accuracy in %

      table.onnx
        domain  images    cpu   wasm
        day          6  83.33  83.33
        night        4  50.00  50.00
        all         10  70.00  70.00

        class   images    cpu   wasm
        blue         3  66.67  66.67
        green        3  66.67  66.67
        red          4  75.00  75.00
        cpu and wasm: 0 differing predictions
      "
    `);
  });

  test.each([
    [["--targets", "gpu"], 2, /--targets: got "gpu", expected names among cpu, wasm, webgpu, /],
    [["--targets", "float"], 2, /bad\.onnx is quantized, and float runs networks in real numbers/],
    [["--domains", "dusk"], 1, /domain dusk: is not in the data, which has day, night/],
    [["--labels", "red,green,black"], 2, /has the classes red, green, black, the data has blue, green, red/],
    [
      ["--labels", "red,green"],
      2,
      /got outputs logits \[1, 3\], expected one output with a number for each of 2 labels/,
    ],
    [["--limit", "0"], 2, /--limit/],
    [["--preprocess", "1"], 2, /--preprocess/],
  ])("refuses %j", async (args, code, message) => {
    const result = await runCli("evaluate", await tiny("bad.onnx"), "--data", data, "--no-cache", ...args);
    expect(result.stderr).toMatch(message);
    expect(result).toMatchObject({ code, stdout: "" });
  });

  test("refuses files that it cannot read, and data that is not there", async () => {
    const path = await tiny("good.onnx");
    expect((await runCli("evaluate", join(folder, "no.onnx"), "--data", data)).stderr).toMatch(
      /no\.onnx.*\[not-found\]/,
    );
    const keras = join(folder, "model.h5");
    await writeFile(keras, Buffer.from("\x89HDF\r\n\x1a\n", "latin1"));
    expect((await runCli("evaluate", keras, "--data", data)).stderr).toMatch(
      /model\.h5: is a Keras \.h5 file, expected a model\.json or an ONNX file/,
    );
    expect((await runCli("evaluate", path, "--data", join(folder, "none"))).stderr).toMatch(
      /none.*\[not-found\]/,
    );
  });

  test("names an image that is broken", async () => {
    const broken = await writeColors(join(folder, "broken"), {
      a: { red: ["red"], green: ["green"], blue: ["blue"] },
    });
    await writeFile(join(broken, "a/green/x.png"), "no image");
    const result = await runCli("evaluate", await tiny("b.onnx"), "--data", broken, "--no-cache");
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/a\/green\/x\.png.*\[invalid-data\]/);
    const skipped = await runCli(
      "evaluate",
      await tiny("b.onnx"),
      "--data",
      broken,
      "--no-cache",
      "--skip-broken",
    );
    expect(skipped.code).toBe(0);
    expect(skipped.stderr).toMatch(/left out: .*x\.png/);
  });

  test("says that classes without names are taken in the order of the data", async () => {
    const model = await writeModel(folder, "nameless", await colorModel(IDENTITY, null));
    const { stdout } = await runCli("evaluate", model, "--data", data, "--no-cache", "--targets", "float");
    expect(stdout).toMatch(/note: .*does not name its classes/);
  });
});
