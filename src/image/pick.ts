// Which images of a folder are used for what: seeded, so that the same folder and the same seed give the
// same images on every machine. No files are touched here.

import { QdgError } from "../base/error.js";
import type { ImageEntry } from "./folder.js";

/**
 * `count` entries, as evenly over the labels as their numbers allow: the labels (of each group apart) take
 * turns, each giving its next image in a seeded random order, until there are enough. All entries when
 * there are no more than `count`.
 *
 * @param seed an integer in 0..2^32 - 1
 * @returns in the order of `entries`
 * @throws QdgError `usage` for a count or a seed out of range
 */
export function pickImages(entries: readonly ImageEntry[], count: number, seed: number): ImageEntry[] {
  checkInteger("count", count, Number.MAX_SAFE_INTEGER);
  checkInteger("seed", seed, 2 ** 32 - 1);
  const random = randomIntegers(seed);
  const labels = new Map<string, number[]>();
  entries.forEach(({ group, label }, i) => {
    const key = JSON.stringify([group, label]);
    const list = labels.get(key);
    if (list) list.push(i);
    else labels.set(key, [i]);
  });
  // Which labels give one more when the turns do not come out even is drawn too.
  const queues = shuffle([...labels.values()], random).map((list) => shuffle(list, random));
  const picked: number[] = [];
  for (let turn = 0; picked.length < Math.min(count, entries.length); turn++) {
    for (const queue of queues) {
      const i = queue[turn];
      if (i !== undefined && picked.length < count) picked.push(i);
    }
  }
  return picked.sort((a, b) => a - b).map((i) => entries[i] as ImageEntry);
}

export interface ImageSplit {
  readonly calibration: readonly ImageEntry[];
  readonly heldOut: readonly ImageEntry[];
}

/**
 * Two sets without a common image, each picked by pickImages, the held-out one from what calibration left.
 * With fewer entries than both want, they share them in proportion, rounded down for calibration but at
 * least one image where one was wanted.
 *
 * @throws QdgError `usage` as pickImages
 */
export function splitImages(
  entries: readonly ImageEntry[],
  calibrationCount: number,
  heldOutCount: number,
  seed: number,
): ImageSplit {
  checkInteger("calibration images", calibrationCount, Number.MAX_SAFE_INTEGER);
  checkInteger("held-out images", heldOutCount, Number.MAX_SAFE_INTEGER);
  const wanted = calibrationCount + heldOutCount;
  const share = Math.floor((entries.length * calibrationCount) / Math.max(1, wanted));
  const count = wanted <= entries.length ? calibrationCount : Math.min(calibrationCount, Math.max(1, share));
  const calibration = pickImages(entries, count, seed);
  const taken = new Set(calibration);
  const rest = entries.filter((entry) => !taken.has(entry));
  return { calibration, heldOut: pickImages(rest, heldOutCount, seed) };
}

function checkInteger(where: string, value: number, most: number): void {
  if (!Number.isInteger(value) || value < 0 || value > most) {
    throw new QdgError("usage", where, `got ${value}, expected an integer from 0 to ${most}`);
  }
}

/** Fisher and Yates's shuffle, on a copy. */
function shuffle<T>(list: readonly T[], random: (below: number) => number): T[] {
  const result = [...list];
  for (let i = result.length - 1; i > 0; i--) {
    const j = random(i + 1);
    [result[i], result[j]] = [result[j] as T, result[i] as T];
  }
  return result;
}

/**
 * Integers in 0..below-1 from a 32-bit Weyl sequence, mixed by two rounds of xor-shift and multiplication:
 * integer arithmetic only, so the same everywhere. Good enough to shuffle a list, for nothing secret.
 */
function randomIntegers(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    mixed = (mixed ^ (mixed >>> 15)) >>> 0;
    return Math.floor((mixed / 2 ** 32) * below);
  };
}
