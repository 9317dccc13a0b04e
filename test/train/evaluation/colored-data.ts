// Images of one color each in a folder domain/class/image, and networks that a hand can compute: the mean color of
// an image times a matrix.

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import sharp from "sharp";
import { type SavedModel, saveLayersModel } from "../../support/layers-models.js";

export type Color = "red" | "green" | "blue";
export const RGB: Readonly<Record<Color, readonly [number, number, number]>> = {
  red: [255, 0, 0],
  green: [0, 255, 0],
  blue: [0, 0, 255],
};

/** `{domain: {class: colors of its images}}` as PNG files of 8 x 8. */
export async function writeColors(
  folder: string,
  domains: Readonly<Record<string, Readonly<Record<string, readonly Color[]>>>>,
): Promise<string> {
  for (const [domain, classes] of Object.entries(domains)) {
    for (const [name, colors] of Object.entries(classes)) {
      await mkdir(join(folder, domain, name), { recursive: true });
      for (const [i, color] of colors.entries()) {
        const [r, g, b] = RGB[color];
        const image = sharp({ create: { width: 8, height: 8, channels: 3, background: { r, g, b } } });
        await writeFile(join(folder, domain, name, `${i}.png`), await image.png().toBuffer());
      }
    }
  }
  return folder;
}

/** Outputs for a red, a green and a blue image of 1s and 0s. */
export type Matrix = readonly (readonly number[])[];

/**
 * [N, 4, 4, 3] -> 1x1 convolution that changes nothing -> ReLU -> mean -> dense: row c of `matrix` is what an image of
 * color c alone gives.
 */
export async function colorModel(
  matrix: Matrix,
  labels: readonly string[] | null,
  activation: "linear" | "softmax" = "linear",
): Promise<SavedModel> {
  const model = tf.sequential({
    layers: [
      tf.layers.conv2d({
        inputShape: [4, 4, 3],
        filters: 3,
        kernelSize: 1,
        activation: "relu",
        useBias: false,
        name: "conv",
        weights: [tf.tensor4d([1, 0, 0, 0, 1, 0, 0, 0, 1], [1, 1, 3, 3])],
      }),
      tf.layers.globalAveragePooling2d({ name: "mean" }),
      tf.layers.dense({
        units: matrix[0]?.length ?? 0,
        activation,
        name: "fc",
        weights: [tf.tensor2d(matrix as number[][]), tf.zeros([matrix[0]?.length ?? 0])],
      }),
    ],
  });
  const saved = await saveLayersModel(model);
  model.dispose();
  const preprocessing = { range: [0, 1], mean: [0], std: [1], resize: "stretch" };
  const qdg = { version: 1, quantizers: {}, preprocessing, ...(labels && { labels }) };
  return { ...saved, json: { ...saved.json, userDefinedMetadata: { qdg } } };
}

/** Writes a model into a new folder of `folder`. @returns path of its model.json */
export async function writeModel(folder: string, name: string, saved: SavedModel): Promise<string> {
  await mkdir(join(folder, name), { recursive: true });
  await writeFile(join(folder, name, "model.json"), JSON.stringify(saved.json));
  await writeFile(join(folder, name, "weights.bin"), saved.weights);
  return join(folder, name, "model.json");
}
