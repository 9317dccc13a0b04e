// A batch as tfjs tensors, and the batches of an evaluation: images in order, unchanged but for the
// preprocessing, which is the deployed one.

import * as tf from "@tensorflow/tfjs";
import type { Preprocessing } from "../../image/preprocessing.js";
import { checkChannels } from "../../image/preprocessing.js";
import type { BatchArrays } from "./batch-maker.js";
import { channelTables, writePixels } from "./batch-maker.js";
import type { Domain } from "./dataset.js";
import { CHANNELS, checkInteger } from "./dataset.js";

/** The receiver disposes of images and labels: disposeBatch. */
export interface Batch {
  /** [N, H, W, 3] float32, preprocessed. */
  readonly x: tf.Tensor4D;
  /** [N] int32, indices of classes. */
  readonly labels: tf.Tensor1D;
  /** [N, classes] float32, probabilities that are learned instead of the labels; whoever put them here disposes of them. */
  readonly target?: tf.Tensor2D;
  /** [N], which image it is, of those that train; of batches that train alone. */
  readonly images?: Int32Array;
  /** What is minimized in place of `classLoss`, of the values before the softmax. */
  readonly loss?: (logits: tf.Tensor2D, batch: Pick<Batch, "labels" | "target">) => tf.Scalar;
}

export function toBatch(
  { x, labels, images }: Omit<BatchArrays, "images"> & Partial<Pick<BatchArrays, "images">>,
  imageSize: number,
): Batch {
  return {
    ...(images && { images }),
    x: tf.tensor4d(x, [labels.length, imageSize, imageSize, CHANNELS], "float32"),
    labels: tf.tensor1d(labels, "int32"),
  };
}

/** Frees the images and labels of a batch. */
export function disposeBatch(batch: Batch): void {
  batch.x.dispose();
  batch.labels.dispose();
}

/**
 * The images of `indices` in their order, `batchSize` at a time, the last batch perhaps fewer. Not
 * augmented: `x = channelTable(preprocessing, c)[pixel]`, as imageToTensor gives it for the file.
 *
 * @throws QdgError `usage` for a batch size out of range; `invalid-data` for a mean or std of another
 * length than 1 or 3
 */
export function* evaluationBatches(
  domain: Domain,
  indices: ArrayLike<number>,
  imageSize: number,
  batchSize: number,
  preprocessing: Preprocessing,
): Generator<Batch, void, undefined> {
  checkInteger("batch size", batchSize, 1, 2 ** 16);
  checkChannels(preprocessing, CHANNELS, "preprocessing");
  const tables = channelTables(preprocessing);
  const size = imageSize * imageSize * CHANNELS;
  for (let start = 0; start < indices.length; start += batchSize) {
    const count = Math.min(batchSize, indices.length - start);
    const x = new Float32Array(count * size);
    const labels = new Int32Array(count);
    for (let i = 0; i < count; i++) {
      const index = indices[start + i] as number;
      writePixels(domain.image(index), tables, x, i * size);
      labels[i] = domain.labels[index] as number;
    }
    yield toBatch({ x, labels }, imageSize);
  }
}
