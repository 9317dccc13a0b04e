// Worker threads against the main one, byte by byte, with the compiled worker; and workers made up to fail.

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterEach, beforeAll, expect, test } from "vitest";
import { disposeBatch } from "../../../src/train/data/batch.js";
import { BatchSource } from "../../../src/train/data/batch-source.js";
import { type Dataset } from "../../../src/train/data/dataset.js";
import { drawDataset } from "../../../src/train/data/drawn-dataset.js";
import { buildCli } from "../../support/built-cli.js";

const compiled = new URL("../../../dist/train/data/", import.meta.url);
const preprocessing = { range: [-1, 1], mean: [0], std: [1], resize: "stretch" } as const;

let dataset: Dataset;
beforeAll(async () => {
  buildCli();
  dataset = await drawDataset("shapes-dg", 8, { perClass: 2 });
}, 120_000);

const sources: BatchSource[] = [];
afterEach(() => {
  for (const source of sources.splice(0)) source.dispose();
});

function made(threads: number, worker: URL = new URL("augment-worker.js", compiled)): BatchSource {
  const domains = dataset.domains.slice(0, 3).map((domain) => ({
    domain,
    indices: Uint32Array.from({ length: domain.count }, (_, i) => i),
  }));
  const options = { batchSize: 5, preprocessing, augmentation: "domainbed", seed: 3, threads } as const;
  const source = new BatchSource(dataset, domains, options, worker);
  sources.push(source);
  return source;
}

async function read(
  source: BatchSource,
  step: number,
): Promise<{ x: number[]; labels: number[]; images: number[] }> {
  const batch = await source.next(step);
  const result = {
    x: [...batch.x.dataSync()],
    labels: [...batch.labels.dataSync()],
    images: [...(batch.images ?? [])],
  };
  disposeBatch(batch);
  return result;
}

test.each([1, 3])(
  "%i of them give the batches of none, to the last bit, in any order of steps",
  async (threads) => {
    const plain = made(0);
    const threaded = made(threads);
    for (const step of [0, 1, 2, 3, 4, 40, 41, 3, 42]) {
      expect(await read(threaded, step)).toEqual(await read(plain, step));
    }
  },
);

test("serve several who wait at once", async () => {
  const [plain, threaded] = [made(0), made(2)];
  const steps = [5, 6, 7];
  const found = await Promise.all(steps.map((step) => read(threaded, step)));
  for (const [i, step] of steps.entries()) expect(found[i]).toEqual(await read(plain, step));
});

const script = (code: string): URL => new URL(`data:text/javascript,${encodeURIComponent(code)}`);

test.each([
  ["throws", 'throw new Error("out of luck");', /^worker thread: died: .*out of luck.*\[runtime\]$/],
  [
    "throws at a batch",
    'import { parentPort } from "node:worker_threads"; parentPort.on("message", () => { throw new Error("bad luck"); });',
    /^worker thread: died: bad luck; go on from the last checkpoint.*\[runtime\]$/,
  ],
  [
    "ends by itself",
    'import { parentPort } from "node:worker_threads"; parentPort.on("message", () => process.exit(7));',
    /^worker thread: ended by itself with code 7/,
  ],
])("one that %s is an error, then and ever after", async (_, code, message) => {
  const source = made(2, script(code));
  await expect(source.next(0)).rejects.toThrow(message);
  await expect(source.next(1)).rejects.toThrow(message);
});

test("whoever waits when the source is disposed of is told", async () => {
  const source = made(1, script("setInterval(() => 0, 1000);"));
  const waiting = source.next(0);
  source.dispose();
  await expect(waiting).rejects.toThrow(/disposed of while.*\[interrupted\]$/);
  await expect(source.next(1)).rejects.toThrow(/\[internal\]$/);
});

test("do not keep a process alive that has what it wanted", async () => {
  const program = `
    import { BatchSource } from "${new URL("batch-source.js", compiled).href}";
    import { drawDataset } from "${new URL("drawn-dataset.js", compiled).href}";
    const dataset = await drawDataset("shapes-dg", 8, { perClass: 1 });
    const domains = dataset.domains.map((domain) => ({ domain, indices: Uint32Array.of(0, 1) }));
    const preprocessing = { range: [0, 1], mean: [0], std: [1], resize: "stretch" };
    const options = { batchSize: 2, preprocessing, augmentation: "domainbed", seed: 0, threads: 2 };
    const { labels } = await new BatchSource(dataset, domains, options).next(0);
    console.log(labels.size);
  `;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", program], {
    timeout: 50_000,
  });
  expect(stdout.trim()).toBe("8");
});
