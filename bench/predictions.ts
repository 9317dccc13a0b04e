// The classes that files name for images, and how often two of them agree. Every file runs on the same ONNX Runtime and
// is fed the same numbers.

import { readFile } from "node:fs/promises";
import {
  decodeImage,
  decodeModel,
  imageToTensor,
  readOnnxMetadata,
  runtimeOf,
  type RuntimeOptions,
  type Tensor,
} from "qdg";

/** Images as the float file of a network says that they become its input. */
export async function imageTensors(
  floatFile: string,
  images: readonly string[],
): Promise<Tensor<"float32">[]> {
  const { metadataProps = [] } = decodeModel(await readFile(floatFile), floatFile);
  const { preprocessing, layout } = readOnnxMetadata(metadataProps, floatFile);
  const runtime = await runtimeOf("cpu");
  const session = await runtime.open({ path: floatFile });
  const [, height, width, channels] = session.inputs[0]?.shape ?? [];
  await session.dispose();
  if (!preprocessing || layout !== "nhwc" || typeof height !== "number" || typeof width !== "number") {
    throw new Error(`${floatFile} does not say how images become its input`);
  }
  if (channels !== 3) throw new Error(`${floatFile}: got ${channels} channels, expected 3`);
  const input = { preprocessing, height, width, channels, layout } as const;
  const tensors = [];
  for (const path of images) tensors.push(imageToTensor(await decodeImage(path), input));
  return tensors;
}

/** The largest class of each image, the first of equal ones. */
export async function predictedClasses(
  file: string,
  images: readonly Tensor[],
  options: Pick<RuntimeOptions, "optimization"> = {},
): Promise<number[]> {
  const session = await (await runtimeOf("cpu")).open({ path: file }, options);
  const [input, output] = [session.inputs[0], session.outputs[0]];
  if (!input || !output) throw new Error(`${file}: expected an input and an output`);
  const classes = [];
  try {
    for (const image of images) {
      const { [output.name]: scores } = await session.run({ [input.name]: image });
      classes.push(largest(scores?.data as Float32Array));
    }
  } finally {
    await session.dispose();
  }
  return classes;
}

function largest(scores: Float32Array): number {
  let best = 0;
  scores.forEach((score, i) => {
    if (!Number.isFinite(score)) throw new Error(`score of class ${i}: got ${score}, expected a number`);
    if (score > (scores[best] as number)) best = i;
  });
  return best;
}

/** Share of images that both name the same class for. @throws RangeError without images, or with more of one */
export function agreement(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length || a.length === 0) {
    throw new RangeError(
      `got ${a.length} and ${b.length} predictions, expected as many of both, at least one`,
    );
  }
  return a.filter((each, i) => each === b[i]).length / a.length;
}

export interface OverDraws {
  readonly mean: number;
  readonly least: number;
  readonly most: number;
}

/** Few draws, so their mean and their whole range. @throws RangeError without numbers */
export function overDraws(shares: readonly number[]): OverDraws {
  if (shares.length === 0) throw new RangeError("got no numbers, expected at least one");
  const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
  return { mean, least: Math.min(...shares), most: Math.max(...shares) };
}

/** "91.3 % [90.5, 92.0]": the mean, and the least and the most. */
export function percentages({ mean, least, most }: OverDraws): string {
  const [middle, low, high] = [mean, least, most].map((share) => (100 * share).toFixed(1));
  return `${middle} % [${low}, ${high}]`;
}
