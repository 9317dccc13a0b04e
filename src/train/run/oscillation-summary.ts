// What a run has to say of weights that oscillate, once it is over: read from its own lines, so that a run that was
// stopped on the way says the same.

import { readFile } from "node:fs/promises";
import type { Trainable } from "../objective.js";

/** The share of all quantized weights, 0..1, that oscillated at an evaluation. */
export interface OscillatingShare {
  /** Steps finished. */
  readonly step: number;
  readonly share: number;
}

export interface OscillationSummary {
  /** Of the evaluations with quantizers: the first, that of most, and the last. */
  readonly first: OscillatingShare;
  readonly most: OscillatingShare;
  readonly last: OscillatingShare;
}

/**
 * Shares by layer of `results.jsonl`, weighted by the weights that each has.
 *
 * @param path of the results
 * @returns null for a run without quantized weights, or without an evaluation of them
 */
export async function oscillationSummary(
  path: string,
  trainables: readonly Pick<Trainable, "name" | "role" | "variable">[],
): Promise<OscillationSummary | null> {
  const text = await readFile(path, "utf8").catch(() => "");
  const sizeOf = (id: string): number =>
    trainables.find(({ name, role }) => role === "weight" && (name === id || name.startsWith(`${id}@`)))
      ?.variable.size ?? 0;
  const shares = text
    .split("\n")
    .filter(Boolean)
    .flatMap((line): OscillatingShare[] => {
      const { step, quantized, oscillating } = JSON.parse(line) as ResultLine;
      const layers = Object.entries(oscillating);
      const all = layers.reduce((sum, [id]) => sum + sizeOf(id), 0);
      if (!quantized || all === 0) return [];
      return [{ step, share: layers.reduce((sum, [id, share]) => sum + share * sizeOf(id), 0) / all }];
    });
  const [first] = shares;
  const last = shares.at(-1);
  if (!first || !last) return null;
  return { first, last, most: shares.reduce((most, each) => (each.share > most.share ? each : most)) };
}

interface ResultLine {
  readonly step: number;
  readonly quantized: boolean;
  readonly oscillating: Readonly<Record<string, number>>;
}
