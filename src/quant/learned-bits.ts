// A network that was trained for several bits at those of one: which there are, and what is said where it cannot be told
// which are meant. Reads and writes no file.

import { QdgError } from "../base/error.js";
import type { LearnedAtBits, LearnedQuantizers } from "./learned.js";

/** The bits that a network was trained for, ascending; none of one that was trained for what its scales say. */
export function bitsLearned(learned: LearnedQuantizers | null): readonly number[] {
  return [...(learned?.byBits?.keys() ?? [])].sort((a, b) => a - b);
}

/** "2, 3 and 8". */
export function bitsInWords(learned: LearnedQuantizers): string {
  const all = bitsLearned(learned);
  return all.length < 2 ? all.join("") : `${all.slice(0, -1).join(", ")} and ${all.at(-1)}`;
}

/**
 * The scales and statistics for bits of which the network has its own.
 *
 * @param learned with `byBits`; @param bits undefined: nobody says which
 * @param option what says it, for messages
 * @returns as of a network that was trained for these bits alone, and its statistics
 * @throws QdgError `usage` for others, or none
 */
export function learnedAtBits(
  learned: LearnedQuantizers,
  bits: number | undefined,
  option: string,
): { readonly learned: LearnedQuantizers; readonly statistics: LearnedAtBits["statistics"] } {
  const found = bits === undefined ? undefined : learned.byBits?.get(bits);
  if (!found) {
    throw new QdgError(
      "usage",
      option,
      `got ${bits ?? "none"}, expected one of ${bitsLearned(learned).join(", ")}: the model was trained for each of them, and has scales of its own for each`,
    );
  }
  const { byBits: _, ...rest } = learned;
  const { quantizers, statistics } = found;
  return { learned: { ...rest, quantizers, ...(bits !== undefined && { chosenBits: bits }) }, statistics };
}

/**
 * The weights of a network with statistics in the place of those that they hold.
 *
 * @throws QdgError `invalid-quantization` for a name that no weight has, or another length
 */
export function withStatistics<
  W extends { readonly shape: readonly number[]; readonly data: ArrayLike<unknown> },
>(weights: ReadonlyMap<string, W>, statistics: LearnedAtBits["statistics"]): Map<string, W> {
  const replaced = new Map(weights);
  for (const [name, data] of statistics) {
    const weight = weights.get(name);
    if (weight?.data.length !== data.length) {
      throw new QdgError(
        "invalid-quantization",
        name,
        `got ${data.length} statistics, expected ${weight ? weight.data.length : "none, since the model has no such weight"}; the model was changed after training`,
      );
    }
    replaced.set(name, { ...weight, dtype: "float32", data });
  }
  return replaced;
}
