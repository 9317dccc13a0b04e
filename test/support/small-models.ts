// Small models and data in a folder, as a user would have them: model.json with its shard, drawn images, arrays.

import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { type LayersModel, saveLayersModel } from "../../bench/models/layers-model.js";
import { resnet, type ResnetOptions } from "../../bench/models/resnet.js";
import { QUANTIZED_PASSES, runPasses } from "../../src/graph/passes/pipelines.js";
import { placeQuantizers } from "../../src/graph/place-quantizers.js";
import { type AskedBits, recipeOf } from "../../src/graph/recipe.js";
import { drawSet, SHAPE_IMAGE_SIZE } from "../../src/image/draw-shapes.js";
import { type LearnedQuantizer, learnedToJson } from "../../src/quant/learned.js";
import { readModel } from "../../src/read/read-model.js";

export const SMALL: ResnetOptions = { blocks: [1, 1], width: 4, size: 16, classes: 3 };

/** A new folder; the caller removes it. */
export function newFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), "qdg-test-"));
}

export function removeFolder(folder: string): Promise<void> {
  return rm(folder, { recursive: true, force: true });
}

/** Writes a residual network. @returns path of its model.json */
export async function writeResnet(
  folder: string,
  options: Partial<ResnetOptions> = {},
  extra: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  return writeLayersModel(folder, resnet({ ...SMALL, ...options }), extra);
}

export async function writeLayersModel(
  folder: string,
  model: LayersModel,
  extra: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const path = join(folder, "model.json");
  await saveLayersModel(path, model, extra);
  return path;
}

/** `count` drawn images as PNG files, in one folder a class when `byLabel`. */
export async function writeImages(folder: string, count: number): Promise<string> {
  await mkdir(folder, { recursive: true });
  const { pixels } = drawSet(count, 5);
  const side = SHAPE_IMAGE_SIZE;
  for (let i = 0; i < count; i++) {
    const data = pixels.subarray(i * side * side * 3, (i + 1) * side * side * 3);
    const raw = { width: side, height: side, channels: 3 as const };
    await sharp(data, { raw })
      .png()
      .toFile(join(folder, `${String(i).padStart(3, "0")}.png`));
  }
  return folder;
}

export interface SomeQuantizer extends LearnedQuantizer {
  readonly ids: readonly string[];
}

/**
 * Made-up scales for every quantizer of the model at `path`, as training would leave them in
 * `userDefinedMetadata.qdg`: no two alike, none a round number.
 */
export async function madeUpScales(path: string, bits: AskedBits): Promise<Record<string, unknown>> {
  const { graph } = await readModel(path);
  const recipe = recipeOf({ ...bits, signedActivations: "signed" });
  const placements = placeQuantizers(runPasses(graph, QUANTIZED_PASSES), recipe);
  let scale = 0.01;
  const quantizers = placements.map(({ ids, spec, values }): [string, LearnedQuantizer] => {
    const channels = spec.axis === null ? 1 : (values[0]?.constant?.shape[spec.axis] ?? 1);
    const scales = Float32Array.from({ length: channels }, () => (scale *= 1.013));
    return [ids[0] as string, { bits: spec.bits, signed: spec.signed, scale: scales }];
  });
  return learnedToJson({ quantizers: new Map(quantizers) });
}

/** Changes the JSON of a file. */
export async function editJson(path: string, edit: (json: never) => unknown): Promise<void> {
  const json = JSON.parse(await readFile(path, "utf8")) as never;
  await writeFile(path, JSON.stringify(edit(json) ?? json));
}

/** Every file below a folder with its size and time of change: whatever is written shows. */
export async function listing(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const lines = entries.map(async (entry) => {
    const path = join(entry.parentPath, entry.name);
    if (!entry.isFile()) return path;
    const { size, mtimeMs } = await stat(path);
    return `${path} ${size} ${mtimeMs}`;
  });
  return (await Promise.all(lines)).sort();
}

export async function copyFolder(from: string, to: string): Promise<void> {
  await cp(from, to, { recursive: true });
}
