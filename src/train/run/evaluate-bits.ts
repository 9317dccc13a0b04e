// The evaluation of one network for several bits: the integer network of each, and their mean, by which the run goes.

import { QdgError } from "../../base/error.js";
import { bitsLearned } from "../../quant/learned-bits.js";
import { parseLearned } from "../../quant/learned.js";
import { modelAtBits } from "../bits-network.js";
import type { TrainableModel } from "../trainable-model.js";
import type { AccuraciesAtBits, DomainAccuracies, DomainAccuracy } from "./evaluate-domains.js";

/**
 * Evaluates a model, at each of `bits` where it has scales for several.
 *
 * @param evaluate a model for one; null where it was stopped
 * @returns accuracies, means over the bits where there are several, and those of each
 */
export async function evaluateAtBits(
  model: TrainableModel,
  bits: readonly number[],
  evaluate: (model: TrainableModel) => Promise<DomainAccuracies | null>,
): Promise<(DomainAccuracies & { readonly byBits?: readonly AccuraciesAtBits[] }) | null> {
  if (bitsLearned(parseLearned(model.userDefinedMetadata)).length === 0) return evaluate(model);
  const byBits: AccuraciesAtBits[] = [];
  let classesSaid = 0;
  for (const each of bits) {
    const found = await evaluate(modelAtBits(model, each));
    if (!found) return null;
    byBits.push({ bits: each, domains: found.domains });
    // One class at some bits is no news while others tell more apart.
    classesSaid = Math.max(classesSaid, found.classesSaid);
  }
  return { domains: meanOf(byBits), classesSaid, byBits };
}

/** By domain; null where none of them has a number. */
function meanOf(byBits: readonly AccuraciesAtBits[]): DomainAccuracy[] {
  const [first] = byBits;
  if (!first) throw new QdgError("internal", "evaluateAtBits", "got no bits to evaluate at");
  return first.domains.map(({ name, role }, i) => {
    const mean = (of: (domain: DomainAccuracy) => number | null): number | null => {
      const shares = byBits.flatMap(({ domains }) => of(domains[i] as DomainAccuracy) ?? []);
      return shares.length === 0 ? null : shares.reduce((sum, share) => sum + share, 0) / shares.length;
    };
    return {
      name,
      role,
      training: mean(({ training }) => training),
      validation: mean(({ validation }) => validation),
      all: mean(({ all }) => all),
    };
  });
}
