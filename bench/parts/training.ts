// What quantization-aware training costs: steps of one network, method against method in turns, and backend
// against backend. Images are noise: time does not depend on what is seen.

import { recipeOf } from "qdg";
import * as train from "qdg/train";
import * as tf from "@tensorflow/tfjs";
import type { Part } from "../part.js";
import { type Row, skippedRow } from "../row.js";
import { median, quartiles } from "../statistics.js";
import { peerRows } from "../training-peer.js";
import { type Running, runningOf } from "../training-steps.js";

const IMAGE_SIZE = 32;
const BATCH = 64;
const CLASSES = 10;
const WARM_UP = 3;
const ROUNDS: Readonly<Record<(typeof train.BACKEND_NAMES)[number], number>> = { tensorflow: 30, wasm: 8 };
/** Steps over which the number of live tensors must not change. */
const LEAK_STEPS = 200;

type Measured = "float" | "lsq" | "gaqat";

export const trainingPart: Part = {
  title: "Cost of a training step",
  method: () =>
    `resnet8 at ${IMAGE_SIZE} px, batches of ${BATCH}, batch statistics, weights and activations of 3 bits with one scale an output channel. Steps of the methods in turns on one batch after ${WARM_UP} to warm up; ratios are medians over the rounds, with quartiles. float is erm. MobileNetV2: steps of the same layers, batch and bits in turns with PyTorch (Brevitas: learned scales, compiled), each on all cores; lsq.`,
  async run({ reporter, smoke }) {
    const rows: Row[] = [];
    const medians = new Map<train.BackendName, number>();
    for (const backend of train.BACKEND_NAMES) {
      try {
        await train.useBackend(backend);
      } catch (thrown) {
        const reason = thrown instanceof Error ? thrown.message : String(thrown);
        rows.push(skippedRow(`${backend}: lsq against float`, "<= 1.6 x", reason));
        continue;
      }
      reporter.say(`training on ${backend}`);
      const times = measure(ROUNDS[backend]);
      medians.set(backend, median(times.float));
      rows.push(
        ratioRow(`${backend}: lsq against float`, times.lsq, times.float, 1.6),
        ratioRow(`${backend}: gaqat against lsq`, times.gaqat, times.lsq, 2.3),
      );
      if (backend === "wasm") rows.push(leakRow());
      else rows.push(...(await peerRows(smoke ? 2 : ROUNDS[backend])));
    }
    const [native, wasm] = [medians.get("tensorflow"), medians.get("wasm")];
    if (native !== undefined && wasm !== undefined) {
      rows.push({
        name: "tensorflow against wasm, float step",
        value: `${(wasm / native).toFixed(1)} x`,
        bar: ">= 5 x",
        reached: wasm / native >= 5 ? "yes" : "no",
        detail: `${native.toFixed(0)} ms and ${wasm.toFixed(0)} ms a step of ${BATCH} images`,
      });
    }
    return rows;
  },
};

function running(name: Measured, imageSize = IMAGE_SIZE, batch = BATCH): Running {
  return runningOf({
    model: train.builtInModel("resnet8", { imageSize, classes: CLASSES, seed: 1 }),
    method: name === "float" ? "erm" : name,
    recipe: name === "float" ? null : recipeOf({ weightBits: 3, activationBits: 3 }),
    imageSize,
    batch,
    classes: CLASSES,
  });
}

function measure(rounds: number): Record<Measured, number[]> {
  const names: readonly Measured[] = ["float", "lsq", "gaqat"];
  const runs = new Map(names.map((name) => [name, running(name)]));
  const times: Record<Measured, number[]> = { float: [], lsq: [], gaqat: [] };
  for (let round = -WARM_UP; round < rounds; round++) {
    for (const [name, run] of runs) {
      const start = performance.now();
      run.step();
      if (round >= 0) times[name].push(performance.now() - start);
    }
  }
  for (const run of runs.values()) run.dispose();
  return times;
}

function ratioRow(name: string, slower: readonly number[], peer: readonly number[], bar: number): Row {
  const ratio = quartiles(slower.map((time, round) => time / (peer[round] as number)));
  return {
    name,
    value: `${ratio.median.toFixed(2)} x`,
    bar: `<= ${bar} x`,
    reached: ratio.median <= bar ? "yes" : "no",
    detail: `${ratio.q1.toFixed(2)} to ${ratio.q3.toFixed(2)}; ${median(slower).toFixed(0)} ms against ${median(peer).toFixed(0)} ms`,
  };
}

/** A small network suffices to see whether anything is left behind. */
function leakRow(): Row {
  const run = running("gaqat", 8, 8);
  run.step();
  const before = tf.memory().numTensors;
  let most = 0;
  for (let step = 0; step < LEAK_STEPS; step++) {
    run.step();
    most = Math.max(most, Math.abs(tf.memory().numTensors - before));
  }
  run.dispose();
  return {
    name: `tensors alive over ${LEAK_STEPS} gaqat steps`,
    value: most === 0 ? "constant" : `moves by ${most}`,
    bar: "constant",
    reached: most === 0 ? "yes" : "no",
    detail: `${before} tensors`,
  };
}
