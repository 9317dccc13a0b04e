// From the numbers of the output layer to a label with probabilities: one rule for the page, for ensembles, for
// evaluation and for Node.

import { QdgError } from "../base/error.js";
import type { Tensor } from "../base/tensor.js";
import { type ClassifierKind, isBinary } from "./classifier-output.js";

export interface Classification {
  /** Of the highest probability; of equal ones the first. */
  readonly label: string;
  readonly index: number;
  /** One per label, in the labels' order. */
  readonly probabilities: readonly number[];
  /** From decoded pixels to the result: resizing, preprocessing, the network; without waiting for other calls. */
  readonly latencyMs: number;
}

/** What a float32 probability may lie outside of 0..1 by: a sum of rounded terms. */
const SLACK = 1e-3;

/**
 * One sample's probabilities, in float64.
 *
 * `softmax`, `sigmoid`: the numbers themselves; one sigmoid `p` for two labels is `[1 - p, p]`.
 * `logits`: `p[k] = exp(z[k] - max z) / sum_j exp(z[j] - max z)`.
 *
 * @param where the model, for messages
 * @throws QdgError `runtime` for an output that does not hold one finite number per label, or numbers outside of 0..1
 * that should be probabilities
 */
export function probabilitiesOf(
  output: Pick<Tensor, "data"> | undefined,
  kind: ClassifierKind,
  labels: number,
  where: string,
): number[] {
  const numbers = output === undefined ? [] : Array.from(output.data as ArrayLike<unknown>, Number);
  const binary = isBinary(numbers.length, labels, kind);
  if ((numbers.length !== labels && !binary) || !numbers.every(Number.isFinite)) {
    const got = numbers.length === labels || binary ? "NaN or infinity" : `${numbers.length} numbers`;
    throw new QdgError(
      "runtime",
      where,
      `output: got ${got}, expected ${labels} finite numbers, one per label`,
    );
  }
  if (kind === "logits") return softmax(numbers);
  const outside = numbers.find((p) => p < -SLACK || p > 1 + SLACK);
  if (outside !== undefined) {
    throw new QdgError(
      "runtime",
      where,
      `output: got ${outside}, expected probabilities in 0..1 as of a ${kind}; say that its numbers are logits`,
    );
  }
  return binary ? numbers.flatMap((p) => [1 - p, p]) : numbers;
}

function softmax(logits: readonly number[]): number[] {
  // No spread: an argument for each of very many classes would be too many.
  const highest = logits.reduce((most, z) => Math.max(most, z), -Infinity);
  const powers = logits.map((z) => Math.exp(z - highest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/** The label of the highest probability. */
export function classificationOf(
  probabilities: readonly number[],
  labels: readonly string[],
  latencyMs: number,
): Classification {
  const index = largest(probabilities);
  return { label: labels[index] as string, index, probabilities, latencyMs };
}

/** Index of the largest, the first of equal ones. */
export function largest(row: ArrayLike<number>): number {
  let best = 0;
  for (let k = 1; k < row.length; k++) if ((row[k] as number) > (row[best] as number)) best = k;
  return best;
}
