// Whole runs with `--average`, on WebAssembly: what is evaluated and kept, and that the run beside it is the same.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadCheckpoint } from "../../../src/train/run/checkpoint-file.js";
import { silentObserver } from "../../../src/train/run/observer.js";
import { train } from "../../../src/train/run/train.js";
import type { AskedTrainOptions } from "../../../src/train/run/train-options.js";
import { loadModel } from "../../../src/train/trainable-model.js";
import { contentOf, type RunContent, sha256, stopAfter, TINY } from "./tiny-run.js";

const { window: _, bits: __, ...REST } = TINY;
const FLOAT: AskedTrainOptions = { ...REST, method: "erm", steps: 8, evalEvery: 2, select: "last" };
const PLAIN: AskedTrainOptions = { ...FLOAT, method: "lsq", bits: 3, floatSteps: 2 };
const EMA = { average: "ema", averageDecay: 0.5 };
/** So that it begins within eight steps. */
const SWAD = { average: "swad", evalEvery: 1, swadStart: 2, swadEnd: 2, swadTolerance: 1 };
const CASES: readonly (readonly [name: string, plain: AskedTrainOptions, more: AskedTrainOptions])[] = [
  ["ema", PLAIN, EMA],
  ["swad", PLAIN, SWAD],
  ["ema of erm", FLOAT, EMA],
];

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "qdg-averaging-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function runOf(name: string, options: AskedTrainOptions): Promise<RunContent> {
  await train({ options, out: join(folder, name) });
  return contentOf(join(folder, name));
}

/** Hashes of all variables and moments at the end. */
async function trained(run: string): Promise<unknown> {
  const { arrays } = await loadCheckpoint(join(folder, run, "checkpoint.bin"));
  const all = [...arrays].filter(([key]) => /^(network|method)\//.test(key));
  return all.map(([key, array]) => [key, sha256(array)]);
}

/** The largest difference of two lists of one length. */
function farthest(found: readonly number[], expected: readonly number[]): number {
  return found.length === expected.length
    ? Math.max(...found.map((x, k) => Math.abs(x - (expected[k] as number))))
    : Number.POSITIVE_INFINITY;
}

const averagedSteps = ({ results }: RunContent): unknown[] =>
  results.map((line) => (line as Record<string, unknown>)["averaged_steps"]);

describe("averaging", () => {
  test.each(CASES)("by %s leaves training as it is without, to the last bit", async (name, plain, more) => {
    const averaged = await runOf(`${name}-beside`, { ...plain, ...more });
    const alone = await runOf(`${name}-alone`, { ...plain, evalEvery: more.evalEvery ?? 2 });
    expect(averaged.log).toEqual(alone.log);
    expect(averaged.model).not.toEqual(alone.model);
    expect(await trained(`${name}-beside`)).toEqual(await trained(`${name}-alone`));
  });

  test("keeps the average of the weights after each step with quantizers, and of their scales", async () => {
    const out = join(folder, "by-hand");
    const options = { ...PLAIN, ...EMA, steps: 5 };
    const points: Float32Array[][] = [];
    // Checkpoints of every step say what there is to average.
    for (const step of [3, 4, 5]) {
      await train({ options: step === 3 ? options : {}, out, resume: step > 3, ...stopAfter(step) });
      const { arrays } = await loadCheckpoint(join(out, "checkpoint.bin"));
      const names = ["conv1/kernel", "conv1/kernel/scale"];
      points.push(names.map((name) => arrays.get(`network/${name}`) as Float32Array));
    }
    const [first, second, third] = points as [Float32Array[], Float32Array[], Float32Array[]];
    await train({ options: {}, out, resume: true });
    const kept = await loadModel(join(out, "model.json"));
    const expected = (i: number): number[] =>
      [...(first[i] as Float32Array)].map(
        (x, k) => x / 4 + (second[i]?.[k] as number) / 4 + (third[i]?.[k] as number) / 2,
      );
    const learned = kept.userDefinedMetadata?.["qdg"] as {
      readonly quantizers: Readonly<Record<string, { readonly scale: number | readonly number[] }>>;
    };
    const scales = [learned.quantizers["conv1/kernel"]?.scale ?? []].flat();
    const kernel = [...(kept.weights.get("conv1/kernel")?.data ?? [])];
    // The logarithm is what is learned, and averaged.
    expect(farthest(kernel, expected(0))).toBeLessThan(1e-6);
    expect(farthest(scales.map(Math.log), expected(1))).toBeLessThan(1e-6);
  });

  test.each(CASES)("by %s goes on as if the run had never stopped", async (name, plain, more) => {
    const options = { ...plain, ...more };
    const whole = await runOf(`${name}-whole`, options);
    for (const step of [2, 5]) {
      const out = join(folder, `${name}-${step}`);
      await train({ options, out, ...stopAfter(step) });
      await train({ options: {}, out, resume: true });
      expect(await contentOf(out)).toEqual(whole);
    }
  });

  test("says of each evaluation of how many steps it is, and when swad begins", async () => {
    expect(averagedSteps(await runOf("counted", { ...PLAIN, ...EMA }))).toEqual([
      undefined,
      undefined,
      2,
      4,
      6,
    ]);
    const notes: string[] = [];
    const observer = { ...silentObserver, note: (note: string) => void notes.push(note) };
    const out = join(folder, "counted-swad");
    await train({ options: { ...PLAIN, ...SWAD }, out, observer });
    const counts = averagedSteps(await contentOf(out));
    // The second evaluation with quantizers decides at the earliest.
    expect(counts.slice(0, 4)).toEqual([undefined, undefined, undefined, undefined]);
    const begun = counts.filter((count) => count !== undefined);
    expect(begun[0]).toBe(1);
    expect(begun[1]).toBe(2);
    expect(notes).toContain("swad: the last 1 steps begin the average that is kept");
  });

  test.each(CASES)("by %s holds as many tensors after each step", async (name, plain, more) => {
    const counts: number[] = [];
    const observer = { ...silentObserver, stepped: () => void counts.push(tf.memory().numTensors) };
    await train({ options: { ...plain, ...more }, out: join(folder, `${name}-tensors`), observer });
    expect(new Set(counts.slice(1)).size).toBe(1);
  });

  test("is evaluated as the average would be deployed: its statistics are its own", async () => {
    // A decay of 0 is the plain network, whose evaluation must not differ by one image.
    const plain = await runOf("decay-none", PLAIN);
    const zero = await runOf("decay-zero", { ...PLAIN, ...EMA, averageDecay: 0 });
    expect(zero.model).toEqual(plain.model);
  });

  test("is not taken from a checkpoint of another", async () => {
    const out = join(folder, "other");
    await train({ options: { ...PLAIN, ...EMA }, out, ...stopAfter(1) });
    const options = { average: "swad" };
    await expect(train({ options, out, resume: true })).rejects.toThrow(/--average "swad" \(was "ema"\)/);
  });
});
