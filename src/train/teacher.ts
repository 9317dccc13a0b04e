// A float network that says how probable each class is, for another network to learn from. Nothing moves its weights
// and statistics, and no gradient goes through it. Its input is made of what the other one sees.

import { createHash } from "node:crypto";
import * as tf from "@tensorflow/tfjs";
import { QdgError } from "../base/error.js";
import type { Preprocessing } from "../image/preprocessing.js";
import { channelTable } from "../image/to-tensor.js";
import { layersModelMetadata } from "../model/layers-model-metadata.js";
import { outputKindOf } from "../model/output-kind.js";
import { parseLearned } from "../quant/learned.js";
import { checkRuns } from "./check-runs.js";
import { CHANNELS } from "./data/dataset.js";
import type { MethodState } from "./methods/method.js";
import { TrainingNetwork } from "./network.js";
import { resizeInput } from "./resize-input.js";
import {
  graphOf,
  isOnnxNetwork,
  loadModel,
  namedGraphOf,
  structureText,
  type TrainableModel,
} from "./trainable-model.js";

/** What it is to teach. */
export interface Lesson {
  /** In the order of the other network's outputs; null: as the teacher has them. */
  readonly classes: readonly string[] | null;
  /** H = W of the images, in pixels. */
  readonly imageSize: number;
  /** How the images that it gets were made. */
  readonly preprocessing: Preprocessing;
}

export class Teacher {
  readonly #network: TrainingNetwork;
  /** `x * factor + offset`, a channel each, from the images it gets to its input; null where they are the same. */
  readonly #change: { readonly factor: tf.Tensor1D; readonly offset: tf.Tensor1D } | null;

  /**
   * @param model in full precision, with an output of classes; whether it fits is {@link readTeacher}'s to check
   * @param change how the images that it gets were made, and how its own input is; null: the same
   */
  constructor(
    model: TrainableModel,
    change: { readonly from: Preprocessing; readonly to: Preprocessing } | null = null,
  ) {
    this.#network = TrainingNetwork.create(model, {
      recipe: null,
      granularity: "channel",
      statistics: "frozen",
      scaleParameterization: "log",
      preprocessing: null,
    });
    this.#change = change && channelChange(change.from, change.to);
  }

  /** @param x [N, H, W, 3] @returns [N, classes], by the moving statistics; the caller disposes of it */
  probabilities(x: tf.Tensor4D): tf.Tensor2D {
    const change = this.#change;
    return tf.tidy(() => {
      const input = change ? tf.add<tf.Tensor4D>(tf.mul(x, change.factor), change.offset) : x;
      return tf.softmax(this.#network.logits(input));
    });
  }

  state(): MethodState {
    return this.#network.state();
  }

  /** @throws QdgError `invalid-data` for the state of another network */
  restore(state: MethodState): void {
    this.#network.restore(state);
  }

  dispose(): void {
    this.#network.dispose();
    tf.dispose([this.#change?.factor, this.#change?.offset].filter((tensor) => tensor !== undefined));
  }
}

/** A teacher from a file. */
export interface ReadTeacher {
  readonly teacher: Teacher;
  /** Of its layers, weights and metadata. */
  readonly sha256: string;
  /** What its outputs are called: by the lesson or its file; null where neither says it. */
  readonly labels: readonly string[] | null;
  /** How many outputs it has. */
  readonly classes: number;
  /** What is taken for granted, since the file does not say it. */
  readonly notes: readonly string[];
}

/**
 * The model at `path`, of any kind that `loadModel` reads, as a teacher. Its preprocessing may have other numbers than the images (they are brought to
 * its own), its image size is changed as by `resizeInput`.
 *
 * @throws QdgError what `loadModel` and `resizeInput` throw; `usage` naming `--teacher` for a model with learned
 * scales, other outputs or labels than `lesson.classes`, outputs that are no softmax or logits, an input of other than
 * color images, another way to resize
 */
export async function readTeacher(path: string, lesson: Lesson): Promise<ReadTeacher> {
  const warnings: string[] = [];
  const source = await loadModel(path, (warning) => warnings.push(warning));
  const fail = (got: string, expected: string): QdgError =>
    new QdgError("usage", "--teacher", `${path} ${got}, expected ${expected}`);
  const learned = parseLearned(source.userDefinedMetadata);
  if ((learned?.quantizers.size ?? 0) > 0 || learned?.byBits)
    throw fail("has learned scales: it is a quantized network", "one in full precision");
  const { classes, imageSize, preprocessing } = lesson;
  const stated = layersModelMetadata(source, path);
  const count = checkOutput(source, classes, fail);
  if (classes && stated.labels && stated.labels.join("\n") !== classes.join("\n"))
    throw fail(
      `says that its classes are ${stated.labels.join(", ")}`,
      `${classes.join(", ")}, as the data has them`,
    );
  const model = resizeInput(source, imageSize);
  const { graph, layout } = namedGraphOf(source);
  const { shape: own = [] } = graph.inputs[0] ?? {};
  const isFirst = layout === "nchw";
  if (own[isFirst ? 1 : 3] !== CHANNELS)
    throw fail(
      `has an input of [${own.join(", ")}]`,
      `${isFirst ? "[N, 3, H, W]" : "[N, H, W, 3]"}: color images`,
    );
  if (isOnnxNetwork(model)) checkRuns(model, imageSize, count);
  const its = stated.preprocessing;
  if (its && its.resize !== preprocessing.resize)
    throw fail(
      `brings images to its size by ${its.resize}`,
      `${preprocessing.resize} as the run does; give --resize ${its.resize}`,
    );
  const notes = [
    ...(model === source
      ? []
      : [
          `is made for ${own[isFirst ? 2 : 1]} x ${own[isFirst ? 3 : 2]} pixels and sees ${imageSize} x ${imageSize}`,
        ]),
    ...(its ? [] : ["does not say how pixels become its input, and gets what the network gets"]),
    ...(stated.labels || !classes
      ? []
      : [`does not name its classes; they are taken to be ${classes.join(", ")}`]),
  ];
  return {
    teacher: new Teacher(model, its && { from: preprocessing, to: its }),
    sha256: hashOf(source),
    labels: classes ?? stated.labels,
    classes: count,
    notes: [...warnings, ...notes.map((note) => `the teacher ${path} ${note}`)],
  };
}

/** @returns how many classes it has */
function checkOutput(
  source: TrainableModel,
  classes: readonly string[] | null,
  fail: (got: string, expected: string) => QdgError,
): number {
  const { outputs } = graphOf(source);
  const [output, ...more] = outputs;
  const shapes = outputs.map(({ shape }) => `[${shape.join(", ")}]`).join(" and ") || "none";
  const count = output?.shape[1];
  if (!output || more.length > 0 || output.shape.length !== 2 || typeof count !== "number")
    throw fail(`has outputs ${shapes}`, `one of [N, ${classes?.length ?? "classes"}]`);
  if (classes && count !== classes.length)
    throw fail(`has outputs ${shapes}`, `one of [N, ${classes.length}], the classes of the data`);
  const kind = outputKindOf(output);
  if (kind === "logits" || (kind === "softmax" && output.producer?.op === "Softmax")) return count;
  throw fail(`ends in ${output.producer?.op ?? "nothing"} (${kind})`, "a softmax, or logits");
}

function channelChange(
  from: Preprocessing,
  to: Preprocessing,
): { factor: tf.Tensor1D; offset: tf.Tensor1D } | null {
  // Both are linear in the pixel, so that two of its levels say all.
  const changes = Array.from({ length: CHANNELS }, (_, c) => {
    const ends = (preprocessing: Preprocessing): [number, number] => {
      const table = channelTable(preprocessing, c);
      return [table[0] as number, table[255] as number];
    };
    const [[low, high], [ownLow, ownHigh]] = [ends(from), ends(to)];
    const factor = (ownHigh - ownLow) / (high - low);
    return { factor, offset: ownLow - factor * low };
  });
  if (changes.every(({ factor, offset }) => factor === 1 && offset === 0)) return null;
  return {
    factor: tf.tensor1d(changes.map(({ factor }) => factor)),
    offset: tf.tensor1d(changes.map(({ offset }) => offset)),
  };
}

function hashOf(model: TrainableModel): string {
  const metadata = "metadata" in model ? model.metadata : null;
  const hash = createHash("sha256")
    .update(structureText(model))
    .update(JSON.stringify([model.userDefinedMetadata, metadata ?? null]));
  for (const [name, { shape, data }] of model.weights)
    hash.update(JSON.stringify([name, shape])).update(data);
  return hash.digest("hex");
}
