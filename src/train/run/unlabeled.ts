// Images without classes: each gets for its class what a teacher says of it, so that splits, evaluation and the choice of
// the model are those of every run, and an accuracy is agreement with the teacher. What is learned is the teacher's
// probabilities of the images as they are augmented, not these classes.

import * as tf from "@tensorflow/tfjs";
import { type Progress, noProgress } from "../../base/progress.js";
import type { Preprocessing } from "../../image/preprocessing.js";
import { disposeBatch, evaluationBatches } from "../data/batch.js";
import { createDomain, type Dataset } from "../data/dataset.js";
import type { ReadTeacher } from "../teacher.js";

/**
 * The images of `dataset`, with the largest of the teacher's probabilities, the first of several, as the label of each.
 * Classes without a name are called by their numbers.
 */
export async function labelledBy(
  { teacher, labels: names, classes }: ReadTeacher,
  dataset: Dataset,
  { preprocessing, batchSize }: { readonly preprocessing: Preprocessing; readonly batchSize: number },
  progress: Progress = noProgress,
): Promise<Dataset> {
  const { imageSize } = dataset;
  const total = dataset.domains.reduce((sum, { count }) => sum + count, 0);
  let done = 0;
  const domains = [];
  for (const domain of dataset.domains) {
    const labels = new Uint16Array(domain.count);
    const all = Uint32Array.from(labels.keys());
    let at = 0;
    for (const batch of evaluationBatches(domain, all, imageSize, batchSize, preprocessing)) {
      const said = tf.tidy(() => tf.argMax(teacher.probabilities(batch.x), 1).dataSync<"int32">());
      disposeBatch(batch);
      labels.set(said, at);
      at += said.length;
      progress.report("ask the teacher", (done += said.length), total);
      // Lets signals through.
      await new Promise((resolve) => setImmediate(resolve));
    }
    domains.push(createDomain(domain.name, imageSize, labels, domain.files, domain.pixels));
  }
  return { ...dataset, classes: names ?? Array.from({ length: classes }, (_, k) => String(k)), domains };
}
