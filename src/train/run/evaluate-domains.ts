// Accuracy of a network by domain and split. Which network that is, is the trainer's choice; images come as they
// are deployed, without augmentation.

import * as tf from "@tensorflow/tfjs";
import type { Preprocessing } from "../../image/preprocessing.js";
import { disposeBatch, evaluationBatches } from "../data/batch.js";
import type { Domain } from "../data/dataset.js";
import type { Split } from "../data/split.js";

/** A domain of the run, and which of its images are evaluated. */
export interface EvaluatedDomain {
  readonly domain: Domain;
  readonly role: "source" | "test";
  /** Of DomainBed's `in` split. */
  readonly training: Uint32Array;
  /** Of DomainBed's `out` split: all of it. */
  readonly validation: Uint32Array;
}

/** Shares of images whose class is found, 0..1; null where there is no image. */
export interface DomainAccuracy {
  readonly name: string;
  readonly role: "source" | "test";
  readonly training: number | null;
  readonly validation: number | null;
  /** Of all images that were evaluated; of a test domain that is all that it has. */
  readonly all: number | null;
}

export interface Evaluation {
  /** Steps finished. */
  readonly step: number;
  /** Whether it is of the integer network. */
  readonly quantized: boolean;
  /** In the order of the data set, which is sorted by name. */
  readonly domains: readonly DomainAccuracy[];
}

export interface EvaluationOptions {
  readonly imageSize: number;
  readonly batchSize: number;
  readonly preprocessing: Preprocessing;
  /** Called with the number of images done, of all. */
  readonly onImages?: (done: number, total: number) => void;
  /** Asked between batches: whether to give up. */
  readonly isStopped?: () => boolean;
}

/**
 * What is evaluated of a domain: all of a test domain; of a source domain all that validates and at most `most` of
 * its training images, evenly spaced, always the same.
 */
export function evaluatedDomain(
  domain: Domain,
  role: "source" | "test",
  split: Split,
  most: number,
): EvaluatedDomain {
  const { training, validation } = split;
  const count = role === "test" ? training.length : Math.min(most, training.length);
  const chosen = Uint32Array.from({ length: count }, (_, i) => {
    return training[Math.floor((i * training.length) / count)] as number;
  });
  return { domain, role, training: chosen, validation };
}

/**
 * @param predict [N, H, W, 3] -> [N, classes]; the largest value, the first of several, is the class
 * @returns null when it was stopped
 */
export async function evaluateDomains(
  predict: (x: tf.Tensor4D) => tf.Tensor2D,
  domains: readonly EvaluatedDomain[],
  options: EvaluationOptions,
): Promise<DomainAccuracy[] | null> {
  const total = domains.reduce(
    (sum, { training, validation }) => sum + training.length + validation.length,
    0,
  );
  let done = 0;
  const { imageSize, batchSize, preprocessing, onImages, isStopped = () => false } = options;
  const correct = async (domain: Domain, indices: Uint32Array): Promise<number> => {
    let found = 0;
    for (const batch of evaluationBatches(domain, indices, imageSize, batchSize, preprocessing)) {
      found += tf.tidy(() => {
        const classes = tf.argMax(predict(batch.x), 1);
        return tf.sum(tf.cast(tf.equal(classes, batch.labels), "int32")).dataSync<"int32">()[0] as number;
      });
      done += batch.labels.size;
      disposeBatch(batch);
      onImages?.(done, total);
      // Lets signals through.
      await new Promise((resolve) => setImmediate(resolve));
      if (isStopped()) break;
    }
    return found;
  };
  const accuracies: DomainAccuracy[] = [];
  for (const { domain, role, training, validation } of domains) {
    const [inside, outside] = [await correct(domain, training), await correct(domain, validation)];
    if (isStopped() && done < total) return null;
    accuracies.push({
      name: domain.name,
      role,
      training: share(inside, training.length),
      validation: share(outside, validation.length),
      all: share(inside + outside, training.length + validation.length),
    });
  }
  return accuracies;
}

/** Training-domain validation (Gulrajani and Lopez-Paz 2021): the mean over source domains, 0 where none validates. */
export function selectionAccuracy({ domains }: Evaluation): number {
  const sources = domains.filter(({ role, validation }) => role === "source" && validation !== null);
  if (sources.length === 0) return 0;
  return sources.reduce((sum, { validation }) => sum + (validation ?? 0), 0) / sources.length;
}

function share(part: number, all: number): number | null {
  return all === 0 ? null : part / all;
}
