// Which images of a domain train and which validate. By seed and name alone: a domain is split alike
// whichever others stand beside it, so that runs with different test domains compare.

import { QdgError } from "../../base/error.js";
import type { Domain } from "./dataset.js";
import { checkInteger } from "./dataset.js";
import { Random, wordOf } from "./random.js";

/** Indices into a domain, each ascending; together they are all of it. */
export interface Split {
  readonly training: Uint32Array;
  readonly validation: Uint32Array;
}

/**
 * Of the n images of each class, `round(n * validationFraction)` validate, half up, chosen at random; at
 * least one image of a class trains, and where the class has two or more, one at least validates unless
 * the fraction is 0. DomainBed keeps 20 % of each source domain for validation, but does not look at classes.
 *
 * @param validationFraction in [0, 1)
 * @param seed an integer in 0..2^32 - 1
 * @throws QdgError `usage`
 */
export function splitDomain(domain: Domain, validationFraction: number, seed: number): Split {
  if (!(validationFraction >= 0 && validationFraction < 1)) {
    throw new QdgError(
      "usage",
      "validation fraction",
      `got ${validationFraction}, expected 0 or more, below 1`,
    );
  }
  checkInteger("seed", seed, 0, 2 ** 32 - 1);
  const byClass = new Map<number, number[]>();
  domain.labels.forEach((label, index) => {
    const list = byClass.get(label);
    if (list) list.push(index);
    else byClass.set(label, [index]);
  });
  const training: number[] = [];
  const validation: number[] = [];
  for (const [label, indices] of byClass) {
    const count = indices.length;
    const least = validationFraction > 0 && count > 1 ? 1 : 0;
    const wanted = Math.max(least, Math.min(count - 1, Math.floor(count * validationFraction + 0.5)));
    const order = new Random(seed, "split", wordOf(domain.name), label).permutation(count);
    order.forEach((position, rank) => {
      (rank < wanted ? validation : training).push(indices[position] as number);
    });
  }
  return { training: Uint32Array.from(training).sort(), validation: Uint32Array.from(validation).sort() };
}
