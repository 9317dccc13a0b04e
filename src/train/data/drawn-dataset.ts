// The generated sets: the figures of drawn-sets.ts, each style of draw-styles.ts a domain. For demos and tests
// that must not need a download; opens no file, and writes some only where it is told to.

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../../base/atomic-file.js";
import { errorText, QdgError } from "../../base/error.js";
import type { Progress } from "../../base/progress.js";
import { noProgress } from "../../base/progress.js";
import type { Style } from "../../image/draw-styles.js";
import { drawStyled, STYLES } from "../../image/draw-styles.js";
import { DRAWN_SETS, type DrawnSetName, type Figure } from "../../image/drawn-sets.js";
import { encodePng } from "../../image/encode.js";
import type { Dataset, Domain } from "./dataset.js";
import { CHANNELS, checkImageSize, checkInteger, createDomain, sharedBytes } from "./dataset.js";

export interface DrawnOptions {
  /** Images of each class in each domain; 100 when absent. A larger set begins, class by class, with the smaller. */
  readonly perClass?: number;
  /** An integer in 0..2^32 - 1; 0 when absent. */
  readonly seed?: number;
}

/** Images drawn before others get a turn. */
const IMAGES_A_TURN = 64;

/** What is drawn, in the order of a folder: style by style, class by class. */
interface Plan {
  readonly labels: readonly Figure[];
  readonly perClass: number;
  readonly seed: number;
  readonly imageSize: number;
}

/**
 * Four domains with the classes of the set, class by class as a folder would hold them: the files are named as
 * writeDrawnDataset would write them, and hold the same bytes.
 *
 * @throws QdgError `usage` for options out of range; `invalid-data` when there is not the memory
 */
export async function drawDataset(
  name: DrawnSetName,
  imageSize: number,
  options: DrawnOptions = {},
  progress: Progress = noProgress,
): Promise<Dataset> {
  const plan = planOf(name, imageSize, options);
  const { labels: classes, perClass } = plan;
  const size = imageSize * imageSize * CHANNELS;
  const count = perClass * classes.length;
  const domains: Domain[] = [];
  for (const [d, style] of STYLES.entries()) {
    const pixels = sharedBytes(count * size, `domain ${style}`);
    for (let i = 0; i < count; i++) {
      pixels.set(drawImage(style, i, plan), i * size);
      if ((i + 1) % IMAGES_A_TURN !== 0 && i + 1 < count) continue;
      progress.report("draw images", d * count + i + 1, STYLES.length * count);
      await new Promise(setImmediate);
    }
    const labels = Uint16Array.from({ length: count }, (_, i) => Math.floor(i / perClass));
    const files = Array.from({ length: count }, (_, i) => fileName(style, i, plan));
    domains.push(createDomain(style, imageSize, labels, files, pixels));
  }
  return { classes, domains, imageSize };
}

/**
 * Writes the set as PNG files, `folder/domain/class/00000.png`.
 *
 * @returns how many
 * @throws QdgError as drawDataset; `exists` unless the folder is empty or not there; `io`
 */
export async function writeDrawnDataset(
  name: DrawnSetName,
  folder: string,
  imageSize: number,
  options: DrawnOptions = {},
  progress: Progress = noProgress,
): Promise<number> {
  const plan = planOf(name, imageSize, options);
  await refuseFilled(folder);
  const count = plan.perClass * plan.labels.length;
  for (const [d, style] of STYLES.entries()) {
    for (let i = 0; i < count; i++) {
      const data = drawImage(style, i, plan);
      const png = await encodePng({ width: imageSize, height: imageSize, channels: CHANNELS, data });
      await writeFileAtomic(join(folder, fileName(style, i, plan)), png);
      progress.report("write images", d * count + i + 1, STYLES.length * count);
    }
  }
  return STYLES.length * count;
}

function planOf(name: DrawnSetName, imageSize: number, options: DrawnOptions): Plan {
  const { perClass = 100, seed = 0 } = options;
  checkImageSize(imageSize);
  checkInteger("images a class", perClass, 1, 99_999);
  checkInteger("seed", seed, 0, 2 ** 32 - 1);
  return { labels: DRAWN_SETS[name].labels, perClass, seed, imageSize };
}

function drawImage(style: Style, i: number, { labels, perClass, seed, imageSize }: Plan): Uint8Array {
  const label = labels[Math.floor(i / perClass)] as Figure;
  return drawStyled(style, label, imageSize, seed, i % perClass);
}

function fileName(style: Style, i: number, { labels, perClass }: Plan): string {
  const number = String(i % perClass).padStart(5, "0");
  return `${style}/${labels[Math.floor(i / perClass)]}/${number}.png`;
}

async function refuseFilled(folder: string): Promise<void> {
  let found: string[];
  try {
    found = await readdir(folder);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return;
    throw new QdgError("io", folder, `cannot be read: ${errorText(thrown)}`, { cause: thrown });
  }
  if (found.length > 0)
    throw new QdgError("exists", folder, "is not empty; give another folder, or empty it");
}
