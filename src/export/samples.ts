// What calibration and the cost report feed a network: images of a folder, drawn ones, or arrays of an .npy file. One
// sample at a time, each a batch of one.

import { QdgError } from "../base/error.js";
import { boundedSize } from "../base/tensor.js";
import type { Value } from "../graph/graph.js";
import { type BrokenImage, type ImageEntry, listImages, loadImages } from "../image/folder.js";
import { splitImages } from "../image/pick.js";
import { drawDeadLeaves } from "../image/dead-leaves.js";
import { checkSide } from "../image/image.js";
import { type ImageInput, imageToTensor } from "../image/to-tensor.js";
import type { OnnxMetadata } from "../model/onnx-metadata.js";
import { type Feeds, openArrays } from "./arrays.js";
import type { CompleteExportOptions } from "./options.js";

/** Samples that can be read several times, in the same order each time. */
export interface Samples {
  readonly count: number;
  /** Images that were drawn, not taken; false when absent. */
  readonly drawn?: boolean;
  read(): AsyncIterable<Feeds>;
}

export interface SampleSplit {
  readonly calibration: Samples;
  /** No sample of these is among those of calibration. */
  readonly heldOut: Samples;
}

export interface SplitOptions {
  readonly calibrationCount: number;
  readonly heldOutCount: number;
  readonly seed: number;
  readonly skipBroken: boolean;
  readonly onSkipped?: (broken: BrokenImage) => void;
}

/** Instead of a folder: images that are drawn. A folder of this name is `./synthetic`. */
export const SYNTHETIC = "synthetic";

/**
 * The samples that `--calibration` names: one folder of images, `synthetic` for drawn ones, or .npy files.
 *
 * @throws QdgError `usage` when images are given or wanted but the model has no image input, or its preprocessing or
 * size is not known
 */
export async function openSamples(
  sources: readonly string[],
  inputs: readonly Value[],
  facts: ImageFacts,
  options: CompleteExportOptions,
): Promise<SampleSplit> {
  if (sources.every((source) => source.endsWith(".npy"))) return npySamples(sources, inputs, options);
  const [folder, ...rest] = sources as [string, ...string[]];
  const [input] = inputs;
  if (sources.includes(SYNTHETIC)) {
    if (rest.length > 0) {
      throw new QdgError(
        "usage",
        "--calibration",
        `got ${sources.join(", ")}, expected ${SYNTHETIC} (drawn images) alone; a folder of that name is ./${SYNTHETIC}`,
      );
    }
    if (!input || inputs.length > 1) {
      throw new QdgError(
        "usage",
        `--calibration ${SYNTHETIC}`,
        `draws images for a model with one input, got ${inputs.length}; give .npy files instead (input=file.npy)`,
      );
    }
    return drawnSamples(input.name, imageInput(input, facts, options.inputSize), options);
  }
  if (rest.length > 0 || !input || inputs.length > 1) {
    throw new QdgError(
      "usage",
      sources.join(", "),
      `got ${sources.length} for a model with the inputs ${inputs.map(({ name }) => name).join(", ")}, expected one folder of images for one input, or a .npy file for each (input=file.npy)`,
    );
  }
  return imageSamples(folder, input.name, imageInput(input, facts, options.inputSize), options);
}

/** What a model says of its images, or somebody in its place. */
export type ImageFacts = Pick<OnnxMetadata, "layout" | "preprocessing">;

/**
 * The image input that a graph's input is.
 *
 * @throws QdgError `usage`, see openSamples, where nobody says how its axes are ordered, and for an `inputSize` other than
 * the graph's; `invalid-data` for a side that no image has
 */
export function imageInput(
  input: Value,
  facts: ImageFacts,
  inputSize: readonly [number, number] | undefined,
): ImageInput {
  const { shape, name } = input;
  const { layout } = facts;
  if (layout === null && shape.length === 4) {
    throw new QdgError(
      "usage",
      "--layout",
      `got none, and the model does not say how the axes of ${name} [${shape.join(", ")}] are ordered; give nhwc where channels come last, nchw where they come before height and width`,
    );
  }
  const [h, w, c] = layout === "nhwc" ? [shape[1], shape[2], shape[3]] : [shape[2], shape[3], shape[1]];
  if (layout === null || shape.length !== 4 || (c !== 1 && c !== 3)) {
    throw new QdgError(
      "usage",
      name,
      `got an input of shape [${shape.join(", ")}], expected ${layout === "nchw" ? "[N, 1 or 3, H, W]" : "[N, H, W, 1 or 3]"} to feed images; give .npy files instead`,
    );
  }
  const height = typeof h === "number" ? h : inputSize?.[0];
  const width = typeof w === "number" ? w : inputSize?.[1];
  if (height === undefined || width === undefined) {
    throw new QdgError(
      "usage",
      name,
      `the input's size is not known (shape [${shape.join(", ")}]); give --input-size, for example 224 or 192x256`,
    );
  }
  if (inputSize && (inputSize[0] !== height || inputSize[1] !== width)) {
    throw new QdgError(
      "usage",
      "--input-size",
      `got ${inputSize.join("x")}, but ${name} takes ${height}x${width}; leave it out`,
    );
  }
  checkSide(height, name);
  checkSide(width, name);
  boundedSize([height, width, c], "usage", name, "image of shape");
  const { preprocessing } = facts;
  if (!preprocessing) {
    throw new QdgError(
      "usage",
      "--preprocess",
      "got none, and the model does not say how pixels become its input; give the range it was trained on, for example 0,1 or -1,1 or 0,255",
    );
  }
  return { preprocessing, height, width, channels: c, layout };
}

/** Images of a folder, split by seed. */
export async function imageSamples(
  folder: string,
  inputName: string,
  input: ImageInput,
  options: SplitOptions,
): Promise<SampleSplit> {
  const { calibrationCount, heldOutCount, seed } = options;
  const split = splitImages(await listImages(folder), calibrationCount, heldOutCount, seed);
  const { skipBroken } = options;
  // Samples are read several times; what is broken is said once.
  const said = new Set<string>();
  const onSkipped = (broken: BrokenImage): void => {
    if (!said.has(broken.entry.path)) options.onSkipped?.(broken);
    said.add(broken.entry.path);
  };
  const samples = (entries: readonly ImageEntry[]): Samples => ({
    count: entries.length,
    async *read() {
      const loading = loadImages(entries, input, { skipBroken, onSkipped });
      for await (const batch of loading) yield { [inputName]: batch.tensor };
    },
  });
  return { calibration: samples(split.calibration), heldOut: samples(split.heldOut) };
}

/**
 * Drawn images ({@link drawDeadLeaves}), so many as are asked for; those held out are other ones. They show a network the
 * edges, contrasts and colours of photographs, and nothing that it was trained to see.
 */
export function drawnSamples(
  inputName: string,
  input: ImageInput,
  { calibrationCount, heldOutCount, seed }: Pick<SplitOptions, "calibrationCount" | "heldOutCount" | "seed">,
): SampleSplit {
  const samples = (start: number, count: number): Samples => ({
    count,
    drawn: true,
    async *read() {
      for (let i = start; i < start + count; i++) {
        yield { [inputName]: imageToTensor(drawDeadLeaves(input.width, input.height, seed, i), input) };
      }
    },
  });
  return { calibration: samples(0, calibrationCount), heldOut: samples(calibrationCount, heldOutCount) };
}

/**
 * Samples of arrays, see openArrays; the last ones are held out, a third at most.
 *
 * @throws QdgError `usage`, `not-found` or `invalid-data`, see openArrays
 */
export async function npySamples(
  sources: readonly string[],
  inputs: readonly Value[],
  options: Pick<SplitOptions, "calibrationCount" | "heldOutCount">,
): Promise<SampleSplit> {
  const arrays = await openArrays(sources, inputs);
  const held = Math.min(options.heldOutCount, Math.floor(arrays.count / 3));
  const used = Math.min(options.calibrationCount, arrays.count - held);
  const samples = (start: number, count: number): Samples => ({
    count,
    async *read() {
      for (let i = start; i < start + count; i++) yield arrays.sample(i);
    },
  });
  return { calibration: samples(0, used), heldOut: samples(arrays.count - held, held) };
}
