// From the numbers of the output layer to a label with probabilities: one rule for the page, for ensembles
// and for Node.

import { QdgError } from "../base/error.js";
import type { Tensor } from "../base/tensor.js";
import type { OutputKind } from "./manifest.js";

export interface Classification {
  /** Of the highest probability; of equal ones the first. */
  readonly label: string;
  readonly index: number;
  /** One a label, in the labels' order. */
  readonly probabilities: readonly number[];
  /** From decoded pixels to the result: resizing, preprocessing, the network; without waiting for other calls. */
  readonly latencyMs: number;
}

/**
 * One image's probabilities, in float64: the output itself, or for logits
 * `p[k] = exp(z[k] - max z) / sum_j exp(z[j] - max z)`.
 *
 * @param where the model, for messages
 * @throws QdgError `runtime` for an output that does not hold one finite number a label
 */
export function probabilitiesOf(
  output: Tensor | undefined,
  kind: OutputKind,
  labels: number,
  where: string,
): number[] {
  const numbers = output === undefined ? [] : Array.from(output.data as ArrayLike<unknown>, Number);
  if (numbers.length !== labels || !numbers.every(Number.isFinite)) {
    const got = numbers.length === labels ? "NaN or infinity" : `${numbers.length} numbers`;
    throw new QdgError(
      "runtime",
      where,
      `output: got ${got}, expected ${labels} finite numbers, one a label`,
    );
  }
  if (kind === "probabilities") return numbers;
  const highest = Math.max(...numbers);
  const powers = numbers.map((z) => Math.exp(z - highest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/** The label of the highest probability. */
export function classificationOf(
  probabilities: readonly number[],
  labels: readonly string[],
  latencyMs: number,
): Classification {
  let index = 0;
  probabilities.forEach((p, k) => {
    if (p > (probabilities[index] as number)) index = k;
  });
  return { label: labels[index] as string, index, probabilities, latencyMs };
}
