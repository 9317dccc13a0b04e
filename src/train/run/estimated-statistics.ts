// When a run estimates the statistics of batch normalization, and from which batches: a function of the step alone, so
// that a run that goes on estimates the same.

import { type Batch, disposeBatch } from "../data/batch.js";
import type { EstimatedStatistics, TrainedNetwork } from "./trainer-parts.js";

/** Enough that chance does not show: of 384 or 1,536 images, the loss of a network at 3 bits was within 0.05 of that by the batch. */
const IMAGES = 1536;
const MOST_BATCHES = 32;

/** Images that one estimate takes. */
export function estimatedImages(imagesOfAStep: number): number {
  return imagesOfAStep * batchesOf(imagesOfAStep);
}

function batchesOf(imagesOfAStep: number): number {
  return Math.min(MOST_BATCHES, Math.ceil(IMAGES / imagesOfAStep));
}

/** From the batches of the steps to come, from `step` on. */
export async function estimatedStatistics(
  network: Pick<TrainedNetwork, "estimateStatistics">,
  batches: { next(step: number): Promise<Batch> },
  step: number,
): Promise<EstimatedStatistics> {
  const estimate = network.estimateStatistics();
  let count = 1;
  for (let i = 0; i < count; i++) {
    const batch = await batches.next(step + i);
    try {
      count = batchesOf(batch.x.shape[0]);
      estimate.add(batch.x);
    } finally {
      disposeBatch(batch);
    }
  }
  return estimate;
}

/**
 * Gives the network the statistics of {@link estimatedStatistics}: those that it is deployed with.
 *
 * @returns gives it back what it had, bit for bit; to be called once
 */
export async function deployedStatistics(
  ...given: Parameters<typeof estimatedStatistics>
): Promise<() => void> {
  const estimate = await estimatedStatistics(...given);
  const putBack = estimate.hold();
  try {
    estimate.apply();
  } catch (thrown) {
    putBack();
    throw thrown;
  }
  return putBack;
}
