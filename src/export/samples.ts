// What calibration and the cost report feed a network: images of a folder, or arrays of an .npy file. One
// sample at a time, each a batch of one.

import { readFile } from "node:fs/promises";
import { errorText, QdgError } from "../base/error.js";
import { allocate, sizeOf, type Tensor } from "../base/tensor.js";
import type { Value } from "../graph/graph.js";
import { type BrokenImage, type ImageEntry, listImages, loadImages } from "../image/folder.js";
import { decodeNpy } from "../image/npy.js";
import { splitImages } from "../image/pick.js";
import type { ImageInput } from "../image/to-tensor.js";
import type { FileFacts } from "./metadata.js";
import type { CompleteExportOptions } from "./options.js";

export type Feeds = Readonly<Record<string, Tensor>>;

/** Samples that can be read several times, in the same order each time. */
export interface Samples {
  readonly count: number;
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

/**
 * The samples that `--calibration` names: one folder of images, or .npy files.
 *
 * @throws QdgError `usage` when images are given but the model has no image input, or its preprocessing or
 * size is not known
 */
export async function openSamples(
  sources: readonly string[],
  inputs: readonly Value[],
  facts: FileFacts,
  options: CompleteExportOptions,
): Promise<SampleSplit> {
  if (sources.every((source) => source.endsWith(".npy"))) return npySamples(sources, inputs, options);
  const [folder, ...rest] = sources as [string, ...string[]];
  const [input] = inputs;
  if (rest.length > 0 || !input || inputs.length > 1) {
    throw new QdgError(
      "usage",
      sources.join(", "),
      "expected one folder of images for a model with one input, or .npy files (input=file.npy)",
    );
  }
  return imageSamples(folder, input.name, imageInput(input, facts, options.inputSize), options);
}

/** The image input that a graph's input is. @throws QdgError `usage`, see openSamples */
export function imageInput(
  input: Value,
  facts: Pick<FileFacts, "layout" | "preprocessing">,
  inputSize: readonly [number, number] | undefined,
): ImageInput {
  const { shape, name } = input;
  const [h, w, c] = facts.layout === "nhwc" ? [shape[1], shape[2], shape[3]] : [shape[2], shape[3], shape[1]];
  if (shape.length !== 4 || (c !== 1 && c !== 3)) {
    throw new QdgError(
      "usage",
      name,
      `got an input of shape [${shape.join(", ")}], expected [N, H, W, 1 or 3] to feed images; give .npy files instead`,
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
  const { preprocessing } = facts;
  if (!preprocessing) {
    throw new QdgError(
      "usage",
      "--preprocess",
      "got none, and the model does not say how pixels become its input; give the range it was trained on, for example 0,1 or -1,1 or 0,255",
    );
  }
  return { preprocessing, height, width, channels: c, layout: facts.layout };
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
  const samples = (entries: readonly ImageEntry[]): Samples => ({
    count: entries.length,
    async *read() {
      const { skipBroken, onSkipped } = options;
      const loading = loadImages(entries, input, { skipBroken, ...(onSkipped && { onSkipped }) });
      for await (const batch of loading) yield { [inputName]: batch.tensor };
    },
  });
  return { calibration: samples(split.calibration), heldOut: samples(split.heldOut) };
}

/**
 * Samples along the first axis of one array a input: `x.npy` for a network with one input, otherwise
 * `name=x.npy` for each, all of one length. The last samples are held out, a third at most.
 *
 * @throws QdgError `usage` for an input without a file, `invalid-data` for shapes that do not fit
 */
export async function npySamples(
  sources: readonly string[],
  inputs: readonly Value[],
  options: Pick<SplitOptions, "calibrationCount" | "heldOutCount">,
): Promise<SampleSplit> {
  const arrays = new Map<string, Tensor>();
  for (const source of sources) {
    const at = source.indexOf("=");
    const name = at < 0 ? inputs[0]?.name : source.slice(0, at);
    const input = inputs.find((candidate) => candidate.name === name);
    if (!input || (at < 0 && inputs.length > 1)) {
      throw new QdgError(
        "usage",
        source,
        `expected name=file.npy for the inputs ${inputs.map((each) => each.name).join(", ")}`,
      );
    }
    arrays.set(input.name, await readNpy(source.slice(at + 1), input));
  }
  const missing = inputs.find((input) => !arrays.has(input.name));
  if (missing) {
    throw new QdgError("usage", missing.name, `no array for this input; add ${missing.name}=file.npy`);
  }
  const counts = new Set([...arrays.values()].map((array) => array.shape[0] as number));
  const [count = 0] = counts;
  if (counts.size !== 1 || count === 0) {
    throw new QdgError(
      "invalid-data",
      sources.join(", "),
      `got ${[...counts].join(" and ")} samples, expected the same number for all inputs, at least one`,
    );
  }
  const held = Math.min(options.heldOutCount, Math.floor(count / 3));
  const used = Math.min(options.calibrationCount, count - held);
  return { calibration: slice(arrays, 0, used), heldOut: slice(arrays, count - held, held) };
}

function slice(arrays: ReadonlyMap<string, Tensor>, start: number, count: number): Samples {
  return {
    count,
    async *read() {
      for (let i = start; i < start + count; i++) {
        yield Object.fromEntries([...arrays].map(([name, array]) => [name, row(array, i)]));
      }
    },
  };
}

function row(array: Tensor, i: number): Tensor {
  const shape = [1, ...array.shape.slice(1)];
  const size = sizeOf(shape);
  const data = allocate(array.dtype, size);
  data.set(array.data.subarray(i * size, (i + 1) * size) as never);
  return { dtype: array.dtype, shape, data };
}

async function readNpy(path: string, input: Value): Promise<Tensor> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (thrown) {
    throw new QdgError("not-found", path, `cannot be read: ${errorText(thrown)}`, { cause: thrown });
  }
  const array = decodeNpy(bytes, path);
  const fits =
    array.shape.length === input.shape.length &&
    array.shape.every(
      (dim, axis) => axis === 0 || typeof input.shape[axis] === "string" || input.shape[axis] === dim,
    );
  if (!fits) {
    throw new QdgError(
      "invalid-data",
      path,
      `got shape [${array.shape.join(", ")}], expected [${input.shape.join(", ")}] as the input ${input.name}`,
    );
  }
  if (array.dtype === "float32") checkFinite(array.data as Float32Array, path);
  if (array.dtype === input.dtype) return array;
  if (input.dtype === "float32" && array.dtype === "float64") {
    const data = Float32Array.from(array.data as Float64Array);
    checkFinite(data, path);
    return { dtype: "float32", shape: array.shape, data };
  }
  throw new QdgError(
    "invalid-data",
    path,
    `got ${array.dtype}, expected ${input.dtype} as the input ${input.name}; save it with astype`,
  );
}

function checkFinite(data: Float32Array, path: string): void {
  const bad = data.findIndex((x) => !Number.isFinite(x));
  if (bad < 0) return;
  throw new QdgError("invalid-data", path, `element ${bad} is ${data[bad]}, expected finite numbers`);
}
