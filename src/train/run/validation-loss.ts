// The loss of a network in training on the images that validate. Which statistics it has is the caller's business.

import * as tf from "@tensorflow/tfjs";
import { crossEntropy } from "../cross-entropy.js";
import { disposeBatch, evaluationBatches } from "../data/batch.js";
import type { EvaluatedDomain, EvaluationOptions } from "./evaluate-domains.js";

/**
 * The mean over source domains of the mean cross-entropy of their validation images: by the labels, with a teacher too.
 *
 * @param logits the values before the softmax, [N, classes]
 * @returns null when it was stopped
 */
export async function validationLoss(
  logits: (x: tf.Tensor4D) => tf.Tensor2D,
  domains: readonly EvaluatedDomain[],
  { imageSize, batchSize, preprocessing, isStopped = () => false }: EvaluationOptions,
): Promise<number | null> {
  const losses: number[] = [];
  for (const { domain, role, validation } of domains) {
    if (role !== "source" || validation.length === 0) continue;
    let sum = 0;
    for (const batch of evaluationBatches(domain, validation, imageSize, batchSize, preprocessing)) {
      const { x, labels } = batch;
      const mean = tf.tidy(() => crossEntropy(logits(x), labels).dataSync<"float32">()[0] as number);
      sum += mean * labels.size;
      disposeBatch(batch);
      // Lets signals through.
      await new Promise((resolve) => setImmediate(resolve));
      if (isStopped()) return null;
    }
    losses.push(sum / validation.length);
  }
  return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
}
