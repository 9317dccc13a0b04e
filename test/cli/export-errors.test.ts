// Wrong input and wrong usage of `qdg export`, one row each: one line that says where, what, got against
// expected and the remedy; the right exit code; and nothing written.

import { execFileSync } from "node:child_process";
import { mkdir, readFile, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { float32, tensor } from "../../src/base/tensor.js";
import { npyOf } from "../parity/tiny-models.js";
import { runCli } from "../support/run-cli.js";
import {
  copyFolder,
  editJson,
  listing,
  madeUpScales,
  newFolder,
  removeFolder,
  writeImages,
  writeResnet,
} from "../support/small-models.js";

/** A folder of its own for each row: a copy of the model, and the folders of images beside it. */
interface Place {
  readonly folder: string;
  readonly model: string;
  readonly shard: string;
  readonly output: string;
  /** Nine drawn images. */
  readonly images: string;
  /** Writes a file into the folder. @returns its path */
  readonly file: (name: string, content: string | Uint8Array) => Promise<string>;
  readonly edit: (change: (json: ModelFile) => unknown) => Promise<void>;
}

interface ModelFile {
  modelTopology: { config: { layers: LayerFile[] } };
  weightsManifest: { paths: string[] }[];
  userDefinedMetadata: { qdg: { quantizers: Record<string, Learned> } };
}
interface LayerFile {
  name: string;
  class_name: string;
  config: Record<string, unknown>;
}
interface Learned {
  bits: number;
  scale: number[];
}

interface Row {
  readonly title: string;
  /** Prepares the place. @returns arguments instead of `model --bits 4`; `-o output` is added unless there */
  readonly args: (place: Place) => Promise<readonly string[] | void> | readonly string[];
  readonly code: 1 | 2;
  /** Lines before the error: what --skip-broken leaves out is named at once. */
  readonly before?: RegExp;
  /** All of these are in the line. */
  readonly says: readonly (string | RegExp)[];
}

let origin = "";
beforeAll(async () => {
  origin = await newFolder();
  await writeResnet(join(origin, "plain"));
  const learned = await writeResnet(join(origin, "learned"));
  const qdg = await madeUpScales(learned, { weightBits: 3, activationBits: 3 });
  await editJson(learned, (json: object) => ({ ...json, userDefinedMetadata: { qdg } }));
  await writeImages(join(origin, "images"), 9);
});
afterAll(() => removeFolder(origin));

const INPUT = ["--bits", "4", "--preprocess", "0,1"];

/** Arguments with --calibration on .npy data of the input's shape [N, 16, 16, 3]. */
async function withArray({ model, file }: Place, bytes: Uint8Array): Promise<string[]> {
  return [model, "--bits", "4", "--calibration", await file("x.npy", bytes)];
}

/** The shard's name in model.json. */
const shardNamed =
  (name: (place: Place) => string) =>
  async (place: Place): Promise<void> =>
    place.edit((json) => {
      (json.weightsManifest[0] as { paths: string[] }).paths = [name(place)];
    });

const weightOf = (value: number) => async (place: Place) => {
  const bytes = await readFile(place.shard);
  bytes.writeFloatLE(value, 4 * 10);
  await writeFile(place.shard, bytes);
};

const layer = (index: number, change: Partial<LayerFile>) => async (place: Place) =>
  place.edit((json) => {
    Object.assign(json.modelTopology.config.layers[index] as LayerFile, change);
  });

/** The model with learned scales, changed, without calibration. */
const learned =
  (change: (quantizers: Record<string, Learned>) => unknown, ...more: readonly string[]) =>
  async (place: Place): Promise<readonly string[]> => {
    await copyFolder(join(origin, "learned"), place.folder);
    await place.edit((json) => {
      change(json.userDefinedMetadata.qdg.quantizers);
    });
    return [place.model, ...more];
  };
const quantizer = (quantizers: Record<string, Learned>, name: string): Learned => {
  const found = quantizers[name];
  if (!found) throw new Error(`${name} is none of ${Object.keys(quantizers).join()}`);
  return found;
};
const KERNEL = "stage1_block1_conv1/kernel";

const layerBits = (content: string) => async (place: Place) => [
  place.model,
  "--bits",
  "4",
  "--layer-bits",
  await place.file("bits.json", content),
];

const MODEL_ROWS: readonly Row[] = [
  {
    title: "a model that is not there",
    args: ({ folder }) => [join(folder, "none.json"), "--bits", "4"],
    code: 1,
    says: ["none.json", "no such file", "model.json"],
  },
  {
    title: "a folder without a model.json",
    args: async ({ folder, model, output }) => {
      await rename(model, join(folder, "other.json"));
      return [folder, "--bits", "4", "-o", output];
    },
    code: 1,
    says: [
      "is a folder without a model.json or an ONNX file (it has other.json",
      "give the file of the model",
    ],
  },
  {
    title: "a Keras file",
    args: async ({ model }) => writeFile(model, Buffer.from("\x89HDF\r\n\x1a\n and more", "latin1")),
    code: 1,
    says: ["is a Keras .h5 file, expected a model.json", "tensorflowjs_converter --input_format=keras"],
  },
  {
    title: "a model that is not JSON",
    args: async ({ model }) => writeFile(model, '{"modelTopology": '),
    code: 1,
    says: ["model.json", "not JSON", "give the model.json"],
  },
  {
    title: "JSON that is no model",
    args: async ({ model }) => writeFile(model, "[1, 2]"),
    code: 1,
    says: ["model.json", "got [1,2]", "expected an object with modelTopology"],
  },
  {
    title: "a graph-model without nodes",
    args: async ({ edit }) => edit((json) => ({ ...json, format: "graph-model" })),
    code: 1,
    says: ["modelTopology.node: got nothing", "tensorflowjs_converter"],
  },
  {
    title: "a shard that is missing",
    args: async (place) => shardNamed(() => "group1-shard9of9.bin")(place),
    code: 1,
    says: ["group1-shard9of9.bin", "missing", "copy it beside model.json"],
  },
  {
    title: "a shard that is too short",
    args: async ({ shard }) => writeFile(shard, (await readFile(shard)).subarray(0, -4)),
    code: 1,
    says: ["group1-shard1of1.bin", /got \d+ bytes, expected \d+/, "cut short"],
  },
  {
    title: "a shard that is too long, with more weights after it",
    args: async ({ shard, edit }) => {
      await edit((json) => ({
        ...json,
        weightsManifest: [...(json["weightsManifest"] as unknown[]), { paths: [], weights: [] }],
      }));
      await writeFile(shard, Buffer.concat([await readFile(shard), Buffer.alloc(1)]));
    },
    code: 1,
    says: ["group1-shard1of1.bin", /got \d+ bytes, expected \d+/, "too long", "cut it to"],
  },
  {
    title: "a shard by an absolute path",
    args: shardNamed(({ shard }) => shard),
    code: 1,
    says: ["model.json weightsManifest", "is an absolute path", "in the folder of model.json"],
  },
  {
    title: "a shard by ..",
    args: shardNamed(({ folder }) => `../${folder.split("/").at(-1)}/group1-shard1of1.bin`),
    code: 1,
    says: ["model.json weightsManifest", '".."', "in the folder of model.json"],
  },
  {
    title: "a shard that is a link out of the folder",
    args: async (place) => {
      await symlink(join(origin, "plain", "group1-shard1of1.bin"), join(place.folder, "link.bin"));
      await shardNamed(() => "link.bin")(place);
    },
    code: 1,
    says: ["model.json weightsManifest", '"link.bin" is a link out of the folder'],
  },
  {
    title: "a shard by a URL",
    args: shardNamed(() => "https://example.org/weights.bin"),
    code: 1,
    says: ["model.json weightsManifest", "is a URL", "in the folder of model.json"],
  },
  {
    title: "a weight that is NaN",
    args: weightOf(Number.NaN),
    code: 1,
    says: ["conv1/kernel", "element 10 is NaN", "expected a finite number"],
  },
  {
    title: "a weight that is infinite",
    args: weightOf(Number.NEGATIVE_INFINITY),
    code: 1,
    says: ["conv1/kernel", "element 10 is -Infinity", "expected a finite number"],
  },
  {
    title: "a layer that nobody knows",
    args: layer(3, { class_name: "Blur" }),
    code: 1,
    says: ["relu1", "Blur"],
  },
  {
    title: "a recurrent layer",
    args: layer(3, { class_name: "LSTM" }),
    code: 1,
    says: ["relu1 (LSTM)", "recurrent"],
  },
  {
    title: "a layer with a key that nobody knows",
    args: async (place) =>
      place.edit((json) => {
        (json.modelTopology.config.layers[3] as LayerFile).config["wobble"] = 0.5;
      }),
    code: 1,
    says: ["relu1 (Activation)", '"wobble"', "0.5"],
  },
  {
    title: "a layer whose name holds a line break and terminal codes",
    args: layer(3, { class_name: "Blur", name: "a\nb\u001b[31m", config: { name: "a\nb\u001b[31m" } }),
    code: 1,
    says: ["Blur"],
  },
];

const QUANTIZATION_ROWS: readonly Row[] = [
  ...["--bits", "--weight-bits", "--activation-bits", "--first-last-bits"].flatMap((option) =>
    ["1", "9", "2.5", "abc", "-3", ""].map((value): Row => ({
      title: `${option} "${value}"`,
      args: ({ model }) => [model, "--bits", "4", option, value],
      code: 2,
      says: [option, `got "${value}"`, "from 2 to 8"],
    })),
  ),
  ...["450 apples", "-3kB", "0", "kB", ""].map((value): Row => ({
    title: `--budget "${value}"`,
    args: ({ model }) => [model, "--budget", value],
    code: 2,
    says: ["--budget", `got "${value}"`, "450kB, 1.5MB or 450000"],
  })),
  {
    title: "a budget below what 2 bits take",
    args: ({ model, images }) => [
      model,
      "--budget",
      "1kB",
      "--calibration",
      images,
      "--calibration-count",
      "4",
      "--preprocess",
      "0,1",
    ],
    code: 2,
    says: ["--budget", "got 1 kB", "the file takes", "give at least that"],
  },
  {
    title: "a budget without samples",
    args: ({ model }) => [model, "--average-bits", "4"],
    code: 2,
    says: ["--average-bits", "no samples", "give --calibration"],
  },
  {
    title: "a budget beside bits",
    args: ({ model }) => [model, "--average-bits", "4", "--bits", "4"],
    code: 2,
    says: ["--bits", "got 4, and --average-bits", "--layer-bits"],
  },
  {
    title: "no bits for a model without learned scales",
    args: ({ model }) => [model],
    code: 2,
    says: ["--bits", "got none", "expected 2 to 8"],
  },
  {
    title: "a learned scale of zero",
    args: learned((all) => quantizer(all, KERNEL).scale.splice(1, 1, 0)),
    code: 1,
    says: [`"${KERNEL}"].scale[1]`, "got 0", "expected a finite number > 0"],
  },
  {
    title: "a learned scale below zero",
    args: learned((all) => quantizer(all, "relu1").scale.splice(0, 1, -0.5)),
    code: 1,
    says: ['"relu1"].scale[0]', "got -0.5", "expected a finite number > 0"],
  },
  {
    title: "a learned scale that JSON cannot hold",
    args: async (place) => {
      const args = await learned(() => undefined)(place);
      const text = await readFile(place.model, "utf8");
      await writeFile(
        place.model,
        text.replace(/"relu1":\{([^}]*)"scale":\[[^\]]*\]/, '"relu1":{$1"scale":[NaN]'),
      );
      return args;
    },
    code: 1,
    says: ["model.json", "not JSON"],
  },
  {
    title: "a learned scale that is infinite",
    args: async (place) => {
      const args = await learned(() => undefined)(place);
      const text = await readFile(place.model, "utf8");
      await writeFile(
        place.model,
        text.replace(/"relu1":\{([^}]*)"scale":\[[^\]]*\]/, '"relu1":{$1"scale":[1e999]'),
      );
      return args;
    },
    code: 1,
    says: ['"relu1"].scale[0]', "got Infinity", "expected a finite number > 0"],
  },
  {
    title: "a learned scale that is no number",
    args: learned((all) => quantizer(all, "relu1").scale.splice(0, 1, null as never)),
    code: 1,
    says: ['"relu1"].scale', "expected a list of numbers"],
  },
  {
    title: "a learned scale that no float32 is",
    args: learned((all) => quantizer(all, "relu1").scale.splice(0, 1, 0.1)),
    code: 1,
    says: ['"relu1"].scale[0]', "got 0.1, which no float32 is", "Math.fround"],
  },
  {
    title: "more learned scales than channels",
    args: learned((all) => quantizer(all, KERNEL).scale.push(1)),
    code: 1,
    says: [KERNEL, "got 5 scales, expected 4"],
  },
  {
    title: "several learned scales for an activation",
    args: learned((all) => quantizer(all, "relu1").scale.push(1)),
    code: 1,
    says: ["relu1", "got 2 scales, expected 1"],
  },
  {
    title: "learned scales for a value that is not there",
    args: learned((all) => Object.assign(all, { relu99: quantizer(all, "relu1") })),
    code: 1,
    says: ["relu99", "learned scales", "the name is wrong"],
  },
  {
    title: "learned scales that differ between the operands of an Add",
    args: learned((all) => {
      for (const id of ["relu1", "stage1_block1_conv2_bn"]) {
        all[id] = { ...quantizer(all, "relu1"), scale: [id.length] };
      }
    }),
    code: 1,
    says: [
      /relu1 and stage1_block1_conv2_bn|stage1_block1_conv2_bn and relu1/,
      "must share one quantizer",
      "train them with one",
    ],
  },
  {
    title: "learned bits outside 2 to 8",
    args: learned((all) => (quantizer(all, "relu1").bits = 9)),
    code: 1,
    says: ['"relu1"]', "got 9", "from 2 to 8"],
  },
  {
    title: "bits other than the learned ones",
    args: learned(() => undefined, "--bits", "4"),
    code: 1,
    says: [
      "stage1_block1_conv1/kernel",
      "got 4 bits asked for",
      "learned at 3",
      "leave the options for bits out",
    ],
  },
  {
    title: "weight bits other than the learned ones",
    args: learned(() => undefined, "--weight-bits", "5"),
    code: 1,
    says: ["stage1_block1_conv1/kernel", "got 5 bits asked for", "learned at 3"],
  },
  {
    title: "activation bits other than the learned ones",
    args: learned(() => undefined, "--activation-bits", "2"),
    code: 1,
    says: ["relu1", "got 2 bits asked for", "learned at 3"],
  },
  {
    title: "bits of the ends other than the learned ones",
    args: learned(() => undefined, "--first-last-bits", "4"),
    code: 1,
    says: ["conv1/kernel", "got 4 bits asked for", "learned at 8"],
  },
  {
    title: "powers of two for a model with learned scales",
    args: learned(() => undefined, "--scales", "pow2"),
    code: 1,
    says: ["--scales", "got pow2", "were learned", "leave --scales out"],
  },
  {
    title: "some learned activations missing, and no data to find them on",
    args: learned((all) => delete all["stage2_block1_relu1"]),
    code: 1,
    says: ["stage2_block1_relu1", "no learned scale", "--calibration"],
  },
  {
    title: "bits of layers in a file that is not there",
    args: ({ model, folder }) => [model, "--bits", "4", "--layer-bits", join(folder, "none.json")],
    code: 1,
    says: ["none.json", "cannot be read: there is no such file"],
  },
  {
    title: "bits of layers that are not JSON",
    args: layerBits("{"),
    code: 1,
    says: ["bits.json", "not JSON"],
  },
  {
    title: "bits of layers that are no object",
    args: layerBits("[4]"),
    code: 1,
    says: ["bits.json", "got [4]", 'expected {"layer": bits}'],
  },
  {
    title: "bits of a layer that are text",
    args: layerBits('{"conv1": "4"}'),
    code: 1,
    says: ["bits.json", "conv1", 'got "4"', "expected"],
  },
  {
    title: "bits of a layer under a misspelt key",
    args: layerBits('{"conv1": {"weightBit": 4}}'),
    code: 1,
    says: ["bits.json", "conv1", "weightBit", "expected"],
  },
  {
    title: "bits of a layer out of range",
    args: layerBits('{"conv1": {"weightBits": 1}}'),
    code: 1,
    says: ["conv1 weightBits", "got 1", "from 2 to 8"],
  },
  {
    title: "bits of a layer that the model lacks",
    args: layerBits('{"conv77": 4}'),
    code: 1,
    says: ["conv77", "that the model lacks", "conv1"],
  },
  {
    title: "bits of a pattern that no layer matches",
    args: layerBits('{"block7*": 4}'),
    code: 1,
    says: ["block7*", "a pattern that no layer of the model matches", "conv1"],
  },
  {
    title: "two numbers of weight bits",
    args: ({ model }) => [model, "--bits", "4", "--weight-bits", "3"],
    code: 2,
    says: ["--weight-bits", "got 3, and --bits 4", "give one"],
  },
  {
    title: "activation bits alone, for a model without learned scales",
    args: ({ model }) => [model, "--activation-bits", "8"],
    code: 2,
    says: ["--bits", "got none", "bits of inner weights"],
  },
  {
    title: "int4 storage of five bits",
    args: ({ model }) => [model, "--bits", "5", "--weights", "int4"],
    code: 2,
    says: ["--weights int4", "got weights of 5 bits", "expected at most 4", "packed"],
  },
  {
    title: "int4 storage before opset 21",
    args: ({ model }) => [model, "--bits", "4", "--weights", "int4", "--opset", "20"],
    code: 2,
    says: ["--weights int4", "got opset 20", "expected at least 21"],
  },
];

const DATA_ROWS: readonly Row[] = [
  {
    title: "a calibration folder that is not there",
    args: ({ model, folder }) => [model, ...INPUT, "--calibration", join(folder, "none")],
    code: 1,
    says: ["none", "cannot be read: there is no such file"],
  },
  {
    title: "a calibration folder without an image",
    args: async ({ model, folder, file }) => {
      await mkdir(join(folder, "empty"));
      await file("empty/notes.txt", "none");
      return [model, ...INPUT, "--calibration", join(folder, "empty")];
    },
    code: 1,
    says: ["empty", "no image", ".png"],
  },
  {
    title: "a calibration folder that is a file",
    args: async ({ model, file }) => [model, ...INPUT, "--calibration", await file("x.png", "none")],
    code: 1,
    says: ["x.png", "got a file, expected a folder"],
  },
  {
    title: "two calibration folders",
    args: ({ model, images }) => [model, ...INPUT, "--calibration", images, images],
    code: 2,
    says: [/expected one folder/],
  },
  {
    title: "broken images, all of them named and counted",
    args: async ({ model, images }) => {
      await writeFile(join(images, "002.png"), "not an image");
      await writeFile(join(images, "005.png"), (await readFile(join(images, "005.png"))).subarray(0, 90));
      return [model, ...INPUT, "--calibration", images, "--held-out", "0"];
    },
    code: 1,
    says: ["2 of 9 images", "002.png", "005.png", "--skip-broken"],
  },
  {
    title: "nothing but broken images, even with --skip-broken",
    args: async ({ model, folder, file }) => {
      await mkdir(join(folder, "bad"));
      await file("bad/a.png", "no");
      return [model, ...INPUT, "--calibration", join(folder, "bad"), "--skip-broken"];
    },
    code: 1,
    before: /^skipped .*a\.png: .*\n/,
    says: ["1 of 1 images", "a.png"],
  },
  {
    title: "images without a preprocessing",
    args: ({ model, images }) => [model, "--bits", "4", "--calibration", images],
    code: 2,
    says: ["--preprocess", "got none", "-1,1"],
  },
  {
    title: "a preprocessing that is none",
    args: ({ model, images }) => [model, "--bits", "4", "--calibration", images, "--preprocess", "0..1"],
    code: 2,
    says: ["--preprocess", "0..1"],
  },
  {
    title: "a preprocessing file that is not there",
    args: ({ model, images }) => [model, "--bits", "4", "--calibration", images, "--preprocess", "no.json"],
    code: 1,
    says: ["no.json", "cannot be read"],
  },
  {
    title: "images for a model that leaves its size open",
    args: async ({ folder, images }) => {
      const model = await writeResnet(join(folder, "open"), { size: null });
      return [model, ...INPUT, "--calibration", images];
    },
    code: 2,
    says: ["input_1", "size is not known", "--input-size"],
  },
  {
    title: "an input size that is none",
    args: ({ model }) => [model, "--bits", "4", "--input-size", "224,224"],
    code: 2,
    says: ["--input-size", 'got "224,224"', "192x256"],
  },
  {
    title: "an .npy file that is not there",
    args: ({ model, folder }) => [model, "--bits", "4", "--calibration", join(folder, "none.npy")],
    code: 1,
    says: ["none.npy", "cannot be read: there is no such file"],
  },
  {
    title: "an .npy file that is something else",
    args: (place) => withArray(place, new TextEncoder().encode("PK and so on, a zip")),
    code: 1,
    says: ["x.npy", "is not a .npy file", "numpy.save"],
  },
  {
    title: "an array of the wrong shape",
    args: (place) => withArray(place, npyOf(float32([1, 3, 16, 16], new Float32Array(768)))),
    code: 1,
    says: ["x.npy", "got shape [1, 3, 16, 16]", "expected [N, 16, 16, 3]"],
  },
  {
    title: "an array without samples",
    args: (place) => withArray(place, npyOf(float32([0, 16, 16, 3], new Float32Array(0)))),
    code: 1,
    says: ["x.npy", "got 0 samples"],
  },
  {
    title: "an array that is cut short",
    args: (place) =>
      withArray(place, npyOf(float32([2, 16, 16, 3], new Float32Array(1536))).subarray(0, -100)),
    code: 1,
    says: ["x.npy", "got 6044 bytes of data, expected 6144"],
  },
  {
    title: "an array of text",
    args: (place) => {
      const bytes = npyOf(float32([1, 16, 16, 3], new Float32Array(768)));
      const text = Buffer.from(bytes).toString("latin1").replace("'<f4'", "'<U1'");
      return withArray(place, Buffer.from(text, "latin1"));
    },
    code: 1,
    says: ["x.npy", '"<U1"', "float32"],
  },
  {
    title: "an array with NaN",
    args: (place) =>
      withArray(place, npyOf(float32([4, 16, 16, 3], new Float32Array(3072).fill(Number.NaN)))),
    code: 1,
    says: ["x.npy", "element 0 is NaN", "expected finite numbers"],
  },
  {
    title: "an array of integers for an input of reals",
    args: (place) => withArray(place, npyOf(tensor("uint8", [2, 16, 16, 3], new Uint8Array(1536)))),
    code: 1,
    says: ["x.npy", "got uint8", "expected float32", "astype"],
  },
  {
    title: "an array for an input that the model lacks",
    args: async ({ model, file }) => {
      const path = await file("x.npy", npyOf(tensor("uint8", [2, 16, 16, 3], new Uint8Array(1536))));
      return [model, "--bits", "4", "--calibration", `input_7=${path}`];
    },
    code: 2,
    says: ["input_7", "expected name=file.npy", "input_1"],
  },
];

const USAGE_ROWS: readonly Row[] = [
  {
    title: "an output that exists",
    args: async ({ output }) => writeFile(output, "precious"),
    code: 1,
    says: ["out.onnx", "exists already", "--force"],
  },
  {
    title: "an output in a folder that is a file",
    args: async ({ model, file }) => {
      await file("taken", "a file");
      return [model, "--bits", "4", "-o", join(model, "..", "taken", "deeper", "m.onnx")];
    },
    code: 1,
    says: ["taken", "is a file, expected a folder"],
  },
  {
    title: "an output that is a folder, with --force",
    args: async ({ model, images }) => [model, "--bits", "4", "-o", images, "--force"],
    code: 1,
    says: ["images", "is a folder, expected the name of a file"],
  },
  {
    // A pipe in place of /dev/null, which root would lose for good.
    title: "an output that is no plain file, with --force",
    args: async ({ model, folder }) => {
      execFileSync("mkfifo", [join(folder, "pipe")]);
      return [model, "--bits", "4", "-o", join(folder, "pipe"), "--force"];
    },
    code: 1,
    says: ["pipe", "is no plain file", "not replaced"],
  },
  {
    title: "the model itself as output, with --force",
    args: ({ model }) => [model, "--bits", "4", "-o", model, "--force"],
    code: 2,
    says: ["model.json", "is the model itself"],
  },
  ...["17", "27"].map((opset): Row => ({
    title: `opset ${opset}`,
    args: ({ model }) => [model, "--bits", "4", "--opset", opset],
    code: 2,
    says: ["opset", `got ${opset}`, "expected 18..26"],
  })),
  {
    title: "opset 17 for a float file",
    args: ({ model }) => [model, "--float", "--opset", "17"],
    code: 2,
    says: ["opset", "got 17", "expected 18..26"],
  },
  {
    title: "an opset that is no number",
    args: ({ model }) => [model, "--bits", "4", "--opset", "latest"],
    code: 2,
    says: ["--opset", 'got "latest"', "whole number"],
  },
  {
    title: "a target that is not known",
    args: ({ model }) => [model, "--bits", "4", "--target", "cpu,npu"],
    code: 2,
    says: ["--target", 'got "npu"', "cpu or wasm"],
  },
  {
    title: "a form that is not known",
    args: ({ model }) => [model, "--bits", "4", "--form", "int"],
    code: 2,
    says: ["--form", 'got "int"', "integer or float"],
  },
  {
    title: "an option that is not known",
    args: ({ model }) => [model, "--bitss", "4"],
    code: 2,
    says: ["--bitss", "--bits"],
  },
  {
    title: "an option without its value",
    args: ({ model, output }) => [model, "-o", output, "--bits"],
    code: 2,
    says: ["--bits"],
  },
  {
    title: "a report of what is not quantized",
    args: ({ model, folder }) => [model, "--float", "--report", join(folder, "r.html")],
    code: 2,
    says: ["--report", "--float quantizes nothing", "leave one of the two out"],
  },
  {
    title: "a report in the place of the second file, with --force",
    args: ({ model, folder }) => [
      model,
      "--bits",
      "4",
      "--target",
      "cpu,webgpu",
      "--force",
      "--report",
      join(folder, "out.webgpu.onnx"),
    ],
    code: 2,
    says: ["--report", "out.webgpu.onnx", "the name of another file", "report.html"],
  },
  {
    title: "a report in the place of the model, with --force",
    args: ({ model }) => [model, "--bits", "4", "--force", "--report", model],
    code: 2,
    says: ["--report", "the name of another file"],
  },
  {
    title: "a report that exists",
    args: async ({ model, file }) => [model, "--bits", "4", "--report", await file("r.html", "precious")],
    code: 1,
    says: ["r.html", "exists already", "--force"],
  },
  { title: "no model", args: () => [], code: 2, says: ["missing required argument"] },
  { title: "two models", args: ({ model }) => [model, model], code: 2, says: ["too many arguments"] },
];

describe.each([
  ["a bad model", MODEL_ROWS],
  ["bad quantization", QUANTIZATION_ROWS],
  ["bad data", DATA_ROWS],
  ["bad usage", USAGE_ROWS],
])("qdg export refuses %s:", (_, rows) => {
  test.each(rows)("$title", async ({ args, code, says, before = /^/ }) => {
    const folder = await newFolder();
    try {
      await copyFolder(join(origin, "plain"), folder);
      const images = join(folder, "images");
      await copyFolder(join(origin, "images"), images);
      const model = join(folder, "model.json");
      const place: Place = {
        folder,
        model,
        shard: join(folder, "group1-shard1of1.bin"),
        output: join(folder, "out.onnx"),
        images,
        file: async (name, content) => {
          await writeFile(join(folder, name), content);
          return join(folder, name);
        },
        edit: (change) => editJson(model, change),
      };
      const given = (await args(place)) ?? [model, "--bits", "4"];
      const untouched = await listing(folder);
      const result = await runCli("export", ...given, ...(given.includes("-o") ? [] : ["-o", place.output]));
      expect(result.stderr).toMatch(before);
      const line = result.stderr.replace(before, "");
      expect(line).toMatch(/^error: [^\n\p{Cc}]+\n$/u);
      for (const part of says) expect(line).toMatch(part);
      expect(result).toMatchObject({ code, stdout: "" });
      expect(await listing(folder)).toEqual(untouched);
    } finally {
      await removeFolder(folder);
    }
  });
});
