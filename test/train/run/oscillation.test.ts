// Whole runs with `--oscillation`, on WebAssembly: that they differ from one without only once there are quantizers, say
// what oscillates, and stop without a trace.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describe as describeRun } from "../../../src/cli/commands/train.js";
import { loadCheckpoint } from "../../../src/train/run/checkpoint-file.js";
import { silentObserver } from "../../../src/train/run/observer.js";
import { train } from "../../../src/train/run/train.js";
import type { AskedTrainOptions } from "../../../src/train/run/train-options.js";
import { contentOf, stopAfter, TINY } from "./tiny-run.js";

/** A rate at which weights flip within a few steps, and a threshold that one flip passes. */
const RUN: AskedTrainOptions = {
  ...TINY,
  steps: 8,
  floatSteps: 2,
  evalEvery: 4,
  window: 2,
  learningRate: 0.05,
  select: "last",
};
const CASES: readonly (readonly [string, AskedTrainOptions])[] = [
  ["dampen", { ...RUN, oscillation: "dampen", dampening: 10 }],
  ["freeze", { ...RUN, oscillation: "freeze", oscillationThreshold: 0.001 }],
];

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "qdg-oscillation-"));
  await train({ options: { ...RUN, logEvery: 1 }, out: join(folder, "none") });
}, 60_000);
afterAll(() => rm(folder, { recursive: true }));

const losses = async (out: string): Promise<number[]> =>
  (await contentOf(out)).log.map((line) => (line as { loss: number }).loss);

describe.each(CASES)("a run of --oscillation %s", (name, options) => {
  test("is the run without until its quantizers begin, and not after them", async () => {
    const out = join(folder, `${name}-log`);
    const counts: number[] = [];
    const observer = { ...silentObserver, stepped: () => void counts.push(tf.memory().numTensors) };
    const result = await train({ options: { ...options, logEvery: 1 }, out, observer });
    const [without, found] = [await losses(join(folder, "none")), await losses(out)];
    expect(found.slice(0, 3)).toEqual(without.slice(0, 3));
    expect((await contentOf(out)).model).not.toEqual((await contentOf(join(folder, "none"))).model);
    expect(new Set(counts.slice(1)).size).toBe(1);
    // The evaluation after step 4 is before the first look.
    expect(result.oscillating).toMatchObject({ first: { step: 8 }, last: { step: 8 } });
    expect(describeRun(result)).toMatch(
      /weights that oscillate: \d+\.\d % after step 8, most \d+\.\d % after step \d, last \d+\.\d % after step 8\n/,
    );
  });

  test("goes on as if it had never stopped", async () => {
    const whole = join(folder, `${name}-whole`);
    await train({ options, out: whole });
    for (const step of [2, 6]) {
      const out = join(folder, `${name}-${step}`);
      await train({ options, out, ...stopAfter(step) });
      const resumed = await train({ options: {}, out, resume: true });
      expect(resumed.oscillating?.last.step).toBe(8);
      expect(await contentOf(out)).toEqual(await contentOf(whole));
    }
  });
});

test("a run of --oscillation freeze holds weights at integers of their scales", async () => {
  const out = join(folder, "held");
  const [, [, options]] = CASES as [unknown, readonly [string, AskedTrainOptions]];
  // The threshold is at its end with the last step.
  await train({ options: { ...options, steps: 60, evalEvery: 60, window: 10 }, out });
  const { arrays } = await loadCheckpoint(join(out, "checkpoint.bin"));
  const held = [...arrays].filter(([name]) => name.endsWith("/held"));
  expect(held.length).toBeGreaterThan(5);
  const id = "block1_conv1/kernel";
  const flags = arrays.get(`network/watch/${id}/held`) as Float32Array;
  const integers = arrays.get(`network/watch/${id}/integers`) as Float32Array;
  const weights = arrays.get(`network/steadied/${id}`) as Float32Array;
  const scales = (arrays.get(`network/steadied/${id}/scale`) as Float32Array).map(Math.exp);
  const off = [...weights].filter((w, i) => {
    const scale = scales[i % scales.length] as number;
    return flags[i] === 1 && Math.abs(w / scale - (integers[i] as number)) > 1e-5;
  });
  expect(flags.includes(1)).toBe(true);
  expect(off).toEqual([]);
});
