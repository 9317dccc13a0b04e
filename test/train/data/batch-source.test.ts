// The order and the augmentation are checked against their definitions, written anew. Threads have a file of
// their own, since they need the compiled worker.

import * as tf from "@tensorflow/tfjs";
import { afterEach, describe, expect, test } from "vitest";
import { imageToTensor } from "../../../src/image/to-tensor.js";
import { Augmenter } from "../../../src/train/data/augment.js";
import { disposeBatch, evaluationBatches } from "../../../src/train/data/batch.js";
import { BatchSource, type BatchSourceOptions } from "../../../src/train/data/batch-source.js";
import { createDomain, type Dataset, type Domain, sharedBytes } from "../../../src/train/data/dataset.js";
import { Random, wordOf } from "../../../src/train/data/random.js";

const SIZE = 6;
const BYTES = SIZE * SIZE * 3;

function domain(name: string, count: number): Domain {
  const pixels = sharedBytes(count * BYTES, name);
  for (let i = 0; i < pixels.length; i++) pixels[i] = Math.imul(i + wordOf(name), 0x9e3779b1) >>> 24;
  const labels = Uint16Array.from({ length: count }, (_, i) => i % 3);
  return createDomain(
    name,
    SIZE,
    labels,
    Array.from(labels, (_, i) => `${name}/${i}.png`),
    pixels,
  );
}

const domains = [domain("art", 11), domain("photo", 7), domain("sketch", 20)];
const dataset: Dataset = { classes: ["a", "b", "c"], domains, imageSize: SIZE };
const preprocessing = {
  range: [0, 1],
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
  resize: "stretch",
} as const;
const options: BatchSourceOptions = {
  batchSize: 4,
  preprocessing,
  augmentation: "none",
  seed: 3,
  threads: 0,
};
const all = (d: Domain): { domain: Domain; indices: Uint32Array } => ({
  domain: d,
  indices: Uint32Array.from({ length: d.count }, (_, i) => i),
});

const sources: BatchSource[] = [];
afterEach(() => {
  for (const source of sources.splice(0)) source.dispose();
});

function made(
  changes: Partial<BatchSourceOptions> = {},
  used: ConstructorParameters<typeof BatchSource>[1] = domains.slice(0, 2).map(all),
  worker: URL | null = null,
): BatchSource {
  const source = new BatchSource(dataset, used, { ...options, ...changes }, worker);
  sources.push(source);
  return source;
}

async function read(
  source: BatchSource,
  step: number,
): Promise<{ x: number[]; labels: number[]; shape: number[] }> {
  const batch = await source.next(step);
  const result = {
    x: [...batch.x.dataSync()],
    labels: [...batch.labels.dataSync()],
    shape: [...batch.x.shape],
  };
  disposeBatch(batch);
  return result;
}

/** What a deployed network would be fed for these bytes. */
function deployed(image: Uint8Array): number[] {
  const input = { preprocessing, height: SIZE, width: SIZE, channels: 3, layout: "nhwc" } as const;
  return [...imageToTensor({ width: SIZE, height: SIZE, channels: 3, data: image }, input).data];
}

/** Which image of `d` each slot of the batches holds, found by its pixels. */
async function indicesOf(
  source: BatchSource,
  steps: number,
  slots: readonly number[],
  d: Domain,
): Promise<number[]> {
  const known = new Map(Array.from({ length: d.count }, (_, i) => [deployed(d.image(i)).join(), i]));
  const found: number[] = [];
  for (let step = 0; step < steps; step++) {
    const { x, labels } = await read(source, step);
    for (const slot of slots) {
      const index = known.get(x.slice(slot * BYTES, (slot + 1) * BYTES).join()) as number;
      expect(labels[slot]).toBe(d.labels[index]);
      found.push(index);
    }
  }
  return found;
}

describe("a batch", () => {
  test("holds batchSize images of each domain, in their order, as deployment would feed them", async () => {
    const source = made();
    const { shape, labels } = await read(source, 0);
    expect(shape).toEqual([8, SIZE, SIZE, 3]);
    expect(labels.length).toBe(8);
    const batch = await source.next(0);
    expect([batch.x.dtype, batch.labels.dtype]).toEqual(["float32", "int32"]);
    disposeBatch(batch);
    for (const [d, slots] of [
      [0, [0, 1, 2, 3]],
      [1, [4, 5, 6, 7]],
    ] as const) {
      expect(await indicesOf(source, 1, slots, domains[d] as Domain)).not.toContain(undefined);
    }
  });

  test("goes through each domain in random orders, one after the other, dropping nothing", async () => {
    const source = made();
    const art = domains[0] as Domain;
    // 11 steps of 4 images are four times all 11.
    const found = await indicesOf(source, 11, [0, 1, 2, 3], art);
    const epochs = [0, 1, 2, 3].map((epoch) => found.slice(epoch * 11, (epoch + 1) * 11));
    for (const epoch of epochs)
      expect([...epoch].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(new Set(epochs.map((epoch) => epoch.join())).size).toBe(4);
    expect(epochs[2]).toEqual([...new Random(3, "order", wordOf("art"), 2).permutation(11)]);
  });

  test("takes only the indices that train", async () => {
    const photo = domains[1] as Domain;
    const indices = Uint32Array.of(1, 4, 6);
    const source = made({}, [{ domain: photo, indices }]);
    const found = await indicesOf(source, 3, [0, 1, 2, 3], photo);
    for (let epoch = 0; epoch < 4; epoch++) {
      expect(found.slice(3 * epoch, 3 * epoch + 3).sort((a, b) => a - b)).toEqual([1, 4, 6]);
    }
    expect(source.stepsPerEpoch).toBe(0.75);
  });

  test("says which of the training images it has, counted through all domains", async () => {
    const [art, photo] = domains as [Domain, Domain];
    const [first, second] = [Uint32Array.of(10, 2, 7), Uint32Array.of(1, 4, 6, 0, 2)];
    const used = [
      { domain: art, indices: first },
      { domain: photo, indices: second },
    ];
    const source = made({}, used);
    const listed = [...Array.from(first, (i) => art.image(i)), ...Array.from(second, (i) => photo.image(i))];
    const met = new Set<number>();
    for (let step = 0; step < 3; step++) {
      const batch = await source.next(step);
      const x = batch.x.dataSync<"float32">();
      expect(batch.images).toHaveLength(8);
      batch.images?.forEach((image, slot) => {
        met.add(image);
        const pixels = [...x.subarray(slot * BYTES, (slot + 1) * BYTES)];
        expect(pixels).toEqual(deployed(listed[image] as Uint8Array));
      });
      disposeBatch(batch);
    }
    expect([...met].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  test("is the same whatever was asked before, and whichever domains stand beside", async () => {
    const augmentation = "domainbed";
    const source = made({ augmentation });
    const direct = await read(made({ augmentation }), 7);
    for (const step of [0, 1, 9, 2]) await read(source, step);
    expect(await read(source, 7)).toEqual(direct);
    const alone = await read(made({ augmentation }, [all(domains[1] as Domain)]), 7);
    expect(alone.x).toEqual(direct.x.slice(4 * BYTES));
  });

  test("is augmented by (seed, domain, place) and nothing else", async () => {
    const { x } = await read(made({ augmentation: "domainbed", seed: 9 }), 5);
    const art = domains[0] as Domain;
    for (let i = 0; i < 4; i++) {
      const place = 5 * 4 + i;
      const order = new Random(9, "order", wordOf("art"), Math.floor(place / 11)).permutation(11);
      const out = new Uint8Array(BYTES);
      const random = new Random(9, "augmentation", wordOf("art"), place);
      new Augmenter(SIZE, "domainbed").apply(art.image(order[place % 11] as number), random, out);
      expect(x.slice(i * BYTES, (i + 1) * BYTES)).toEqual(deployed(out));
    }
  });

  test("is another for another seed or augmentation", async () => {
    const batches = [
      await read(made(), 0),
      await read(made({ seed: 4 }), 0),
      await read(made({ augmentation: "domainbed" }), 0),
    ];
    expect(new Set(batches.map(({ x }) => x.join())).size).toBe(3);
  });

  test("leaves no tensor behind", async () => {
    const source = made();
    const before = tf.memory().numTensors;
    for (let step = 0; step < 5; step++) await read(source, step);
    expect(tf.memory().numTensors).toBe(before);
  });

  test.each<[string, Partial<BatchSourceOptions>, RegExp]>([
    ["batch size 0", { batchSize: 0 }, /^batch size: got 0/],
    ["a batch beyond memory", { batchSize: 65536 * 10 }, /^batch size: got 655360/],
    ["seed -1", { seed: -1 }, /^seed: got -1/],
    ["half a thread", { threads: 0.5 }, /^threads: got 0.5/],
    ["a mean of two channels", { preprocessing: { ...preprocessing, mean: [0, 0] } }, /mean: got 2 numbers/],
    [
      "an augmentation that is none",
      { augmentation: "mixup" as never },
      /got mixup, expected domainbed, no-flip, none/,
    ],
  ])("is refused with %s", (_, changes, message) => {
    expect(() => made(changes)).toThrow(message);
  });

  test("is refused without images, and of images that are not there", async () => {
    const art = domains[0] as Domain;
    expect(() => made({}, [{ domain: art, indices: new Uint32Array(0) }])).toThrow(
      /^domain art: got no image/,
    );
    expect(() => made({}, [{ domain: art, indices: Uint32Array.of(3, 11) }])).toThrow(
      /index 11 is beyond its 11/,
    );
    await expect(made().next(-1)).rejects.toThrow(/^step: got -1/);
  });
});

describe("evaluation batches", () => {
  test("are the images of the indices in order, as deployment would feed them, the last with fewer", () => {
    const sketch = domains[2] as Domain;
    const indices = [4, 0, 19, 7, 7];
    const seen: number[][] = [];
    const labels: number[] = [];
    const sizes: number[] = [];
    for (const batch of evaluationBatches(sketch, indices, SIZE, 2, preprocessing)) {
      const values = [...batch.x.dataSync()];
      sizes.push(batch.x.shape[0]);
      for (let i = 0; i < batch.x.shape[0]; i++) seen.push(values.slice(i * BYTES, (i + 1) * BYTES));
      labels.push(...batch.labels.dataSync());
      disposeBatch(batch);
    }
    expect(sizes).toEqual([2, 2, 1]);
    expect(seen).toEqual(indices.map((index) => deployed(sketch.image(index))));
    expect(labels).toEqual(indices.map((index) => sketch.labels[index]));
  });
});
