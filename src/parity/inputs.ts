// What a comparison feeds to the models, one sample at a time: images of a folder, arrays, or numbers drawn with
// a seed. Random numbers only where they are asked for by name, never for want of data.

import { QdgError, type QdgErrorCode } from "../base/error.js";
import type { Tensor } from "../base/tensor.js";
import { boundedSize, sizeOf } from "../base/tensor.js";
import { openArrays } from "../export/arrays.js";
import { preprocessedRange, uniform } from "../export/random-feeds.js";
import { imageInput } from "../export/samples.js";
import { type BrokenImage, listImages, loadImages } from "../image/folder.js";
import { pickImages } from "../image/pick.js";
import type { Preprocessing } from "../image/preprocessing.js";
import type { Layout } from "../image/to-tensor.js";
import type { TensorInfo } from "../runtime/runtime.js";

/** One sample, a batch of one. */
export interface ParityInput {
  /** As messages call it: the image's path, or the index in an array. */
  readonly name: string;
  /** The folder that holds the image; null where there is none. */
  readonly label: string | null;
  /** The folders above (a domain); "" where there are none. */
  readonly group: string;
  readonly feeds: Readonly<Record<string, Tensor>>;
}

/** Samples that can be read several times, in the same order each time. */
export interface InputSource {
  /** What it is, for the report: "100 of 1670 images in photo". */
  readonly description: string;
  readonly count: number;
  /** Numbers drawn at random, which are pictures of nothing. */
  readonly random?: true;
  read(): AsyncIterable<ParityInput>;
}

export interface InputOptions {
  /** Samples at most; all when null. Of images, as many of each label as can be. */
  readonly count: number | null;
  readonly seed: number;
  readonly skipBroken: boolean;
  readonly onSkipped?: (broken: BrokenImage) => void;
  /** null: nobody says it, which images need. */
  readonly layout: Layout | null;
  readonly preprocessing: Preprocessing | null;
  /** Height and width where the model leaves them open. */
  readonly inputSize?: readonly [number, number];
}

/**
 * What `--data` names: a folder of images; `x.npy`, or `input=x.npy` for each input, samples along the first
 * axis; or `random:100`.
 *
 * @throws QdgError `usage` for sources that do not fit the inputs, `not-found`, `invalid-data`
 */
export async function openInputs(
  sources: readonly string[],
  inputs: readonly TensorInfo[],
  options: InputOptions,
): Promise<InputSource> {
  const [source, ...rest] = sources;
  if (source === undefined) {
    throw new QdgError("usage", "--data", "got none, expected a folder of images, file.npy or random:100");
  }
  if (sources.every((each) => each.toLowerCase().endsWith(".npy"))) return arrays(sources, inputs, options);
  if (rest.length > 0) {
    throw new QdgError("usage", sources.join(", "), "expected one folder of images, or .npy files alone");
  }
  const random = randomCount(source, "usage", "--data");
  if (random !== null) return randomInputs(random, inputs, options);
  return images(source, inputs, options);
}

async function images(
  folder: string,
  inputs: readonly TensorInfo[],
  options: InputOptions,
): Promise<InputSource> {
  const [input, ...rest] = inputs;
  if (!input || rest.length > 0) {
    throw new QdgError(
      "usage",
      folder,
      `the model has ${inputs.length} inputs, a folder of images feeds one; give input=file.npy for each of ${inputs.map((each) => each.name).join(", ")}`,
    );
  }
  const target = imageInput(input, options, options.inputSize);
  const all = await listImages(folder);
  const picked = options.count === null ? all : pickImages(all, options.count, options.seed);
  return {
    description: `${picked.length} of ${all.length} images in ${folder}`,
    count: picked.length,
    async *read() {
      const { skipBroken, onSkipped } = options;
      for await (const batch of loadImages(picked, target, { skipBroken, ...(onSkipped && { onSkipped }) })) {
        const [entry] = batch.entries;
        if (!entry) continue;
        const { relativePath, label, group } = entry;
        yield { name: relativePath, label, group, feeds: { [input.name]: batch.tensor } };
      }
    },
  };
}

async function arrays(
  sources: readonly string[],
  inputs: readonly TensorInfo[],
  options: InputOptions,
): Promise<InputSource> {
  const data = await openArrays(sources, inputs);
  const count = Math.min(data.count, options.count ?? data.count);
  return {
    description: `${count} of ${data.count} samples in ${sources.join(", ")}`,
    count,
    async *read() {
      for (let i = 0; i < count; i++) {
        yield { name: `sample ${i}`, label: null, group: "", feeds: data.sample(i) };
      }
    },
  };
}

/** Samples that may be drawn; far more than any comparison needs. */
const MOST_RANDOM = 100_000;

/**
 * N of `random:N`; null for any other source.
 *
 * @throws QdgError with `code` for more than 100,000
 */
export function randomCount(source: string, code: QdgErrorCode, where: string): number | null {
  const digits = /^random:(\d+)$/.exec(source)?.[1];
  if (digits === undefined) return null;
  if (Number(digits) <= MOST_RANDOM) return Number(digits);
  throw new QdgError(
    code,
    where,
    `got random:${digits.length > 20 ? `${digits.slice(0, 20)}...` : digits}, expected at most random:${MOST_RANDOM}; take fewer samples`,
  );
}

/** Uniform over the range of the preprocessing, or -1..1 where there is none. */
function randomInputs(asked: number, inputs: readonly TensorInfo[], options: InputOptions): InputSource {
  const count = Math.min(asked, options.count ?? asked);
  if (count === 0) throw new QdgError("usage", "--data", "got random:0, expected at least one sample");
  const [low, high] = preprocessedRange(options.preprocessing);
  const shapes = inputs.map((input) => sampleShape(input, options));
  const sizes = inputs.map(({ name }, i) =>
    boundedSize(shapes[i] as readonly number[], "usage", name, "its shape"),
  );
  boundedSize(
    [sizes.reduce((sum, size) => sum + size, 0)],
    "usage",
    "inputs",
    "all of them together, as a list,",
  );
  return {
    description: `${count} random samples in ${low}..${high}, seed ${options.seed}`,
    count,
    random: true,
    async *read() {
      const random = uniform(options.seed);
      for (let i = 0; i < count; i++) {
        const feeds: Record<string, Tensor> = {};
        inputs.forEach(({ name }, index) => {
          const shape = shapes[index] as readonly number[];
          const data = new Float32Array(sizeOf(shape)).map(() => low + (high - low) * random());
          feeds[name] = { dtype: "float32", shape, data };
        });
        yield { name: `random sample ${i}`, label: null, group: "", feeds };
      }
    },
  };
}

function sampleShape(input: TensorInfo, options: InputOptions): number[] {
  if (input.dtype !== "float32") {
    throw new QdgError(
      "usage",
      input.name,
      `is ${input.dtype}, which random numbers do not suit; give an .npy file`,
    );
  }
  const { layout } = options;
  const spatial = layout === null ? [] : layout === "nhwc" ? [1, 2] : [2, 3];
  return input.shape.map((dim, axis) => {
    if (typeof dim === "number") return dim;
    if (axis === 0) return 1;
    const size = input.shape.length === 4 ? options.inputSize?.[spatial.indexOf(axis)] : undefined;
    if (size !== undefined) return size;
    throw new QdgError(
      "usage",
      input.name,
      `axis ${axis} of [${input.shape.join(", ")}] is open; give --input-size${layout === null ? " and --layout" : ""}, or an .npy file`,
    );
  });
}
