// The networks that are measured: where their models are, what they are fed, and their exported files, each
// made once. A network whose model or images are absent is a reason to skip, never an error.

import { existsSync } from "node:fs";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { exportModel, type ExportOptions, type ExportResult, parsePreprocessing } from "qdg";
import { kept } from "./cache.js";
import { CACHE_FOLDER, hashOfFolders, hashOfModel, PACKAGE_FOLDER, SHARED_FOLDER } from "./environment.js";
import { gaussian } from "./models/random.js";
import { mobilenetV1Tiny } from "./models/mobilenet.js";
import { resnet18, resnet50Shaped, resnet8, resnetSmall } from "./models/resnet.js";
import { writeNpy } from "./npy.js";
import type { Reporter } from "./reporter.js";
import { runNode } from "./child.js";

export const NETWORK_NAMES = [
  "shapes",
  "shapes-dg",
  "shapes-calibrated",
  "mobilenet-v2-0.35",
  "darknet-tiny",
  "efficientnet-lite0",
  "resnet-small",
  "resnet-18",
  "resnet-50",
  "resnet-8",
  "mobilenet-v1-0.25",
] as const;
export type NetworkName = (typeof NETWORK_NAMES)[number];

export interface Network {
  readonly name: NetworkName;
  /** Path of its model.json. */
  readonly model: string;
  /** A folder of images or an .npy file. */
  readonly data: string;
  readonly preprocessing?: ExportOptions["preprocessing"];
  /** Samples in `data` are noise: what a network says of them means nothing. */
  readonly synthetic: boolean;
  /** The model carries its scales: no calibration. */
  readonly learned: boolean;
}

/** Bits of inner weights and activations: W4A8 is [4, 8]. */
export type Bits = readonly [weights: number, activations: number];

export function bitsName([weights, activations]: Bits): string {
  return `W${weights}A${activations}`;
}

/** Images of four domains, a folder each; networks are measured on photos unless a part says otherwise. */
export const ALL_DOMAINS: string = join(SHARED_FOLDER, "data", "PACS");
const IMAGES = join(ALL_DOMAINS, "photo");
/** Samples of noise: enough for 8 to calibrate on. */
const NOISE_SAMPLES = 8;
const NOISE_SIZE = 224;
const NOISE_RANGE = parsePreprocessing("-1,1");
const DRAWN_IMAGES = 105;

/** The network, its model made if need be, or why it cannot be had. */
export async function openNetwork(name: NetworkName): Promise<Network | { readonly missing: string }> {
  switch (name) {
    case "shapes":
    case "shapes-dg":
      return {
        name,
        model: join(PACKAGE_FOLDER, "models", name, "model.json"),
        data: await drawnImages(),
        synthetic: false,
        learned: true,
      };
    case "shapes-calibrated":
      return {
        name,
        model: await withoutScales(join(PACKAGE_FOLDER, "models", "shapes", "model.json")),
        data: await drawnImages(),
        synthetic: false,
        learned: false,
      };
    case "mobilenet-v2-0.35":
      return shared(name, "mobilenet-v2-035-224");
    case "darknet-tiny":
      return shared(name, "darknet-tiny-224", parsePreprocessing("0,1"));
    case "efficientnet-lite0":
      return shared(name, "efficientnet-lite0-224", {
        ...parsePreprocessing("0,255"),
        mean: [127, 127, 127],
        std: [128, 128, 128],
      });
    case "resnet-small":
      return { ...(await synthetic(name, await generated(name, resnetSmall))), preprocessing: NOISE_RANGE };
    case "resnet-18":
      return synthetic(name, await generated(name, resnet18));
    case "resnet-50":
      return synthetic(name, await generated(name, resnet50Shaped));
    case "resnet-8":
      return synthetic(name, await generated(name, resnet8), 32);
    case "mobilenet-v1-0.25":
      return synthetic(name, await generated(name, mobilenetV1Tiny), 96);
    default:
      return name satisfies never;
  }
}

function shared(
  name: NetworkName,
  folder: string,
  preprocessing?: ExportOptions["preprocessing"],
): Network | { missing: string } {
  const model = join(SHARED_FOLDER, "models", folder, "model.json");
  if (!existsSync(model)) return { missing: `no model at ../shared/models/${folder}` };
  if (!existsSync(IMAGES)) return { missing: "no images at ../shared/data/PACS/photo" };
  const found = { name, model, data: IMAGES, synthetic: false, learned: false };
  return { ...found, ...(preprocessing && { preprocessing }) };
}

async function synthetic(name: NetworkName, model: string, size: number = NOISE_SIZE): Promise<Network> {
  return { name, model, data: await noise(size), synthetic: true, learned: false };
}

/** A copy of the trained model that says nothing of scales, for bits that it was not trained at. */
async function withoutScales(model: string): Promise<string> {
  const path = join(CACHE_FOLDER, "models", `shapes-calibrated-${await hashOfModel(model)}`, "model.json");
  const json = JSON.parse(await readFile(model, "utf8")) as { userDefinedMetadata: { qdg: object } };
  json.userDefinedMetadata.qdg = { ...json.userDefinedMetadata.qdg, quantizers: {} };
  await mkdir(dirname(path), { recursive: true });
  await copyFile(join(dirname(model), "weights.bin"), join(dirname(path), "weights.bin"));
  await writeFile(path, JSON.stringify(json));
  return path;
}

/** A synthetic model, written once for each version of the code that draws it. */
async function generated(name: string, save: (path: string) => Promise<number>): Promise<string> {
  const code = await hashOfFolders([join(PACKAGE_FOLDER, "out", "bench-build", "models")]);
  const folder = join(CACHE_FOLDER, "models", `${name}-${code}`);
  const path = join(folder, "model.json");
  await kept(join(CACHE_FOLDER, "models", `${name}-${code}.json`), async () => ({
    weights: await save(path),
  }));
  return path;
}

async function noise(size: number): Promise<string> {
  const shape = [NOISE_SAMPLES, size, size, 3];
  const name = size === NOISE_SIZE ? "noise" : `noise-${size}`;
  const path = join(CACHE_FOLDER, `${name}.npy`);
  await kept(join(CACHE_FOLDER, `${name}.json`), async () => {
    const data = gaussian(NOISE_SAMPLES * size * size * 3, 7, 0.6);
    await writeNpy(
      path,
      shape,
      data.map((x) => Math.max(-1, Math.min(1, x))),
    );
    return { shape };
  });
  return path;
}

async function drawnImages(): Promise<string> {
  const folder = join(CACHE_FOLDER, "shapes");
  await kept(join(CACHE_FOLDER, "shapes.json"), async () => {
    const script = join(PACKAGE_FOLDER, "models", "shapes", "write-images.mjs");
    await runNode([script, folder, String(DRAWN_IMAGES), "3"]);
    return { images: DRAWN_IMAGES };
  });
  return folder;
}

/** What distinguishes a file of a network from its others. */
export type FileOptions = Pick<
  ExportOptions,
  | "bits"
  | "weightBits"
  | "averageBits"
  | "activationBits"
  | "firstLastBits"
  | "powerOfTwo"
  | "freeWeights"
  | "ptq"
  | "form"
  | "targets"
  | "float"
  | "calibrationCount"
  | "heldOutCount"
>;

export interface ExportedFile {
  /** Alone in its folder, but for the file for WebGPU beside it. */
  readonly path: string;
  readonly result: ExportResult;
}

/** Exports a network, or takes the file of an earlier run of the same code on the same model. */
export async function exported(
  network: Network,
  options: FileOptions,
  code: string,
  reporter: Reporter,
): Promise<ExportedFile> {
  const { name, model, data, preprocessing } = network;
  const label = labelOf(options);
  const folder = join(
    CACHE_FOLDER,
    "files",
    `${code}-${await hashOfModel(model)}`,
    `${name}-${basename(data)}-${label}`,
  );
  const path = join(folder, "model.onnx");
  const result = await kept(join(folder, "result.json"), () =>
    exportModel(
      {
        model,
        output: path,
        force: true,
        ...(!network.learned && !options.float && { calibration: [data] }),
        ...(preprocessing && { preprocessing }),
        // All samples of noise, none to measure a cost on that means nothing.
        ...(network.synthetic && { calibrationCount: NOISE_SAMPLES, heldOutCount: 0 }),
        ...options,
      },
      reporter.progress(`export ${name} ${label}`),
    ),
  );
  return { path, result };
}

function labelOf({ float, bits, weightBits, activationBits, form, targets, ...counts }: FileOptions): string {
  if (float) return "float";
  const { averageBits, calibrationCount, heldOutCount, firstLastBits, powerOfTwo, freeWeights, ptq } = counts;
  const weights = weightBits ?? bits ?? averageBits;
  return [
    weights === undefined ? "learned" : bitsName([weights, activationBits ?? 8]).toLowerCase(),
    ...(averageBits === undefined ? [] : ["mixed"]),
    ...(firstLastBits === undefined ? [] : [`outer-${firstLastBits}`]),
    ...(powerOfTwo ? ["pow2"] : []),
    ...(freeWeights ? ["free-weights"] : []),
    ...(ptq ? [ptq] : []),
    ...(form ? [`form-${form}`] : []),
    ...(targets ? [`for-${targets.join("-")}`] : []),
    ...(calibrationCount === undefined ? [] : [`calibrated-${calibrationCount}`]),
    ...(heldOutCount === undefined ? [] : [`held-out-${heldOutCount}`]),
  ].join("-");
}
