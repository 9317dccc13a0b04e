// A step of training a real network against PyTorch with Brevitas, which take turns in one run on as many threads.

import { availableParallelism } from "node:os";
import { recipeOf } from "qdg";
import * as train from "qdg/train";
import { openNetwork } from "./networks.js";
import { openPytorch, type PytorchSteps } from "./pytorch.js";
import { type Row, skippedRow } from "./row.js";
import { median, speedup, spread } from "./statistics.js";
import { runningOf } from "./training-steps.js";

const IMAGE_SIZE = 64;
/** Three domains of 16 images. */
const BATCH = 48;
const CLASSES = 7;
const TITLE = `MobileNetV2 0.35 at ${IMAGE_SIZE} px, ${BATCH} images`;
/** "float", or bits of inner weights and activations. */
const NETWORKS = ["float", "W3A8", "W4A4"] as const;
const WARM_UP = 4;

/** On the current backend of tfjs. */
export async function peerRows(rounds: number): Promise<Row[]> {
  const mobilenet = await openNetwork("mobilenet-v2-0.35");
  if ("missing" in mobilenet) return [skippedRow(TITLE, "", mobilenet.missing)];
  const peer = await openPytorch({
    imageSize: IMAGE_SIZE,
    batch: BATCH,
    classes: CLASSES,
    threads: availableParallelism(),
  });
  if ("missing" in peer) return [skippedRow(TITLE, "", peer.missing)];
  try {
    return await measured(await train.loadLayersModel(mobilenet.model), peer, rounds);
  } finally {
    peer.close();
  }
}

async function measured(source: train.LayersModel, peer: PytorchSteps, rounds: number): Promise<Row[]> {
  const model = train.replaceHead(train.resizeInput(source, IMAGE_SIZE), CLASSES, 0, { keepHead: false });
  const networks = NETWORKS.map((name) => {
    const [weightBits = 0, activationBits = 0] = name.match(/\d/g)?.map(Number) ?? [];
    const recipe = name === "float" ? null : recipeOf({ weightBits, activationBits });
    const method = name === "float" ? "erm" : "lsq";
    const running = runningOf({
      model,
      method,
      recipe,
      batch: BATCH,
      imageSize: IMAGE_SIZE,
      classes: CLASSES,
    });
    return { name, running, own: [] as number[], theirs: [] as number[] };
  });
  for (let round = -WARM_UP; round < rounds; round++) {
    for (const { name, running, own, theirs } of networks) {
      const start = performance.now();
      running.step();
      const ms = performance.now() - start;
      const theirMs = await peer.step(name);
      if (round < 0) continue;
      own.push(ms);
      theirs.push(theirMs);
    }
  }
  for (const { running } of networks) running.dispose();
  return networks.map(({ name, own, theirs }) => ({
    name: `${TITLE}: ${name}, times as fast as PyTorch${name === "float" ? "" : " with Brevitas"}`,
    value: `${spread(speedup(theirs, own), 2)} x`,
    bar: "",
    reached: "-" as const,
    detail: `${median(own).toFixed(0)} ms against ${median(theirs).toFixed(0)} ms a step; ${peer.versions}`,
  }));
}
