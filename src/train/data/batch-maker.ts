// One batch as plain arrays, from (seed, step) alone: which images, how augmented, as which numbers. Runs in
// worker threads as well as in the main one, so tfjs must never be imported here.

import type { Preprocessing } from "../../image/preprocessing.js";
import { channelTable } from "../../image/to-tensor.js";
import type { Augmentation } from "./augment.js";
import { Augmenter } from "./augment.js";
import { CHANNELS } from "./dataset.js";
import { Random, wordOf } from "./random.js";

/** The training images of one domain. Plain data: it is sent to workers, its pixels shared. */
export interface SourceImages {
  readonly name: string;
  /** [N, H, W, 3] */
  readonly pixels: Uint8Array;
  /** [N] */
  readonly labels: Uint16Array;
  /** Which of the N are used. */
  readonly indices: Uint32Array;
}

/** Everything that a batch depends on, but the step. */
export interface BatchPlan {
  readonly sources: readonly SourceImages[];
  /** H = W */
  readonly imageSize: number;
  /** Images a domain. */
  readonly batchSize: number;
  readonly preprocessing: Preprocessing;
  readonly augmentation: Augmentation;
  readonly seed: number;
}

export interface BatchArrays {
  /** [N, H, W, 3] */
  readonly x: Float32Array<ArrayBuffer>;
  /** [N] */
  readonly labels: Int32Array<ArrayBuffer>;
  /** [N], which image it is: the images that train counted from 0, domain by domain in the order of the plan. */
  readonly images: Int32Array<ArrayBuffer>;
}

/**
 * Makes batches. Image i of a domain at step s stands at place `p = s batchSize + i` of an endless row: the
 * domain's images in one random order after the other, a new one each time all have been used, so that
 * every image is used equally often and none is dropped at the end of an epoch. Its augmentation is drawn
 * from (seed, domain, p). Domains follow each other in the order of the plan.
 */
export class BatchMaker {
  private readonly plan: BatchPlan;
  private readonly augmenter: Augmenter;
  private readonly augmented: Uint8Array;
  private readonly tables: readonly Float32Array[];
  /** By domain, the last two orders by epoch: a batch can lie across the border of two. */
  private readonly orders: Map<number, Uint32Array>[];

  constructor(plan: BatchPlan) {
    this.plan = plan;
    this.augmenter = new Augmenter(plan.imageSize, plan.augmentation);
    this.augmented = new Uint8Array(plan.imageSize * plan.imageSize * CHANNELS);
    this.tables = channelTables(plan.preprocessing);
    this.orders = plan.sources.map(() => new Map());
  }

  make(step: number): BatchArrays {
    const { sources, batchSize, seed } = this.plan;
    const size = this.augmented.length;
    const x = new Float32Array(sources.length * batchSize * size);
    const labels = new Int32Array(sources.length * batchSize);
    const images = new Int32Array(sources.length * batchSize);
    let before = 0;
    sources.forEach((source, domain) => {
      for (let i = 0; i < batchSize; i++) {
        const place = step * batchSize + i;
        const position = this.positionAt(domain, place);
        const index = source.indices[position] as number;
        const image = source.pixels.subarray(index * size, (index + 1) * size);
        const random = new Random(seed, "augmentation", wordOf(source.name), place);
        this.augmenter.apply(image, random, this.augmented);
        const slot = domain * batchSize + i;
        writePixels(this.augmented, this.tables, x, slot * size);
        labels[slot] = source.labels[index] as number;
        images[slot] = before + position;
      }
      before += source.indices.length;
    });
    return { x, labels, images };
  }

  /** Index into the domain's images of what stands at `place` of its endless row. */
  indexAt(domain: number, place: number): number {
    const { indices } = this.plan.sources[domain] as SourceImages;
    return indices[this.positionAt(domain, place)] as number;
  }

  /** The same as a position in the list of those that are used. */
  private positionAt(domain: number, place: number): number {
    const { name, indices } = this.plan.sources[domain] as SourceImages;
    const known = this.orders[domain] as Map<number, Uint32Array>;
    const epoch = Math.floor(place / indices.length);
    let order = known.get(epoch);
    if (!order) {
      order = new Random(this.plan.seed, "order", wordOf(name), epoch).permutation(indices.length);
      const oldest = known.keys().next();
      if (known.size >= 2 && !oldest.done) known.delete(oldest.value);
      known.set(epoch, order);
    }
    return order[place - epoch * indices.length] as number;
  }
}

/** The input of a network for each level of each channel: the very numbers of deployment. */
export function channelTables(preprocessing: Preprocessing): Float32Array[] {
  return Array.from({ length: CHANNELS }, (_, c) => channelTable(preprocessing, c));
}

/** `batch[offset + i] = tables[i mod 3][pixels[i]]` */
export function writePixels(
  pixels: Uint8Array,
  tables: readonly Float32Array[],
  batch: Float32Array,
  offset: number,
): void {
  const [red, green, blue] = tables as [Float32Array, Float32Array, Float32Array];
  for (let i = 0; i < pixels.length; i += CHANNELS) {
    batch[offset + i] = red[pixels[i] as number] as number;
    batch[offset + i + 1] = green[pixels[i + 1] as number] as number;
    batch[offset + i + 2] = blue[pixels[i + 2] as number] as number;
  }
}
