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
  /** In the order of the data set, which is sorted by name. Of a network for several bits, means over those evaluated. */
  readonly domains: readonly DomainAccuracy[];
  /** Those of each, ascending; absent of any other network, and in full precision. */
  readonly byBits?: readonly AccuraciesAtBits[];
}

/** Of a network for several bits, at those of one. */
export interface AccuraciesAtBits {
  readonly bits: number;
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
  const chosen = evenly(training, role === "test" ? training.length : most);
  return { domain, role, training: chosen, validation };
}

/** Images a domain before the first step, when all that is to be seen is where the run begins. */
const FIRST_IMAGES = 100;

/**
 * What is evaluated of a domain before the first step: at most 100 images, evenly spaced, always the same; of a source
 * domain of those that validate, if there are any.
 */
export function firstEvaluated(evaluated: EvaluatedDomain): EvaluatedDomain {
  const { training, validation } = evaluated;
  const none = new Uint32Array(0);
  return evaluated.role === "source" && validation.length > 0
    ? { ...evaluated, training: none, validation: evenly(validation, FIRST_IMAGES) }
    : { ...evaluated, training: evenly(training, FIRST_IMAGES), validation: none };
}

/** At most `most` of the indices. */
function evenly(indices: Uint32Array, most: number): Uint32Array {
  const count = Math.min(most, indices.length);
  return Uint32Array.from(
    { length: count },
    (_, i) => indices[Math.floor((i * indices.length) / count)] as number,
  );
}

/** Images in an evaluation of these domains. */
export function imagesOf(domains: readonly EvaluatedDomain[]): number {
  return domains.reduce((sum, { training, validation }) => sum + training.length + validation.length, 0);
}

/** What an evaluation found. */
export interface DomainAccuracies {
  readonly domains: readonly DomainAccuracy[];
  /** How many different classes the network said, over all images. */
  readonly classesSaid: number;
}

/**
 * @param predict [N, H, W, 3] -> [N, classes]; the largest value, the first of several, is the class
 * @returns null when it was stopped
 */
export async function evaluateDomains(
  predict: (x: tf.Tensor4D) => tf.Tensor2D,
  domains: readonly EvaluatedDomain[],
  options: EvaluationOptions,
): Promise<DomainAccuracies | null> {
  const total = imagesOf(domains);
  const said = new Set<number>();
  let done = 0;
  const { imageSize, batchSize, preprocessing, onImages, isStopped = () => false } = options;
  const correct = async (domain: Domain, indices: Uint32Array): Promise<number> => {
    let found = 0;
    for (const batch of evaluationBatches(domain, indices, imageSize, batchSize, preprocessing)) {
      const classes = tf.tidy(() => tf.argMax(predict(batch.x), 1).dataSync<"int32">());
      const labels = batch.labels.dataSync<"int32">();
      classes.forEach((one, i) => {
        said.add(one);
        if (one === labels[i]) found++;
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
  return { domains: accuracies, classesSaid: said.size };
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
