// Steps of training on one batch of noise: time does not depend on what is seen.

import { parsePreprocessing, type Recipe } from "qdg";
import * as train from "qdg/train";
import * as tf from "@tensorflow/tfjs";

export interface StepsOptions {
  readonly model: train.LayersModel;
  readonly method: train.MethodName;
  /** null: in float. */
  readonly recipe: Recipe | null;
  readonly imageSize: number;
  readonly batch: number;
  readonly classes: number;
}

export interface Running {
  step(): void;
  dispose(): void;
}

/** A network on the current backend of tfjs, its quantizers started. Batch statistics, one scale an output channel. */
export function runningOf({ model, method, recipe, imageSize, batch: size, classes }: StepsOptions): Running {
  const network = train.TrainingNetwork.create(model, {
    recipe,
    granularity: "channel",
    statistics: "batch",
    scaleParameterization: "log",
    preprocessing: parsePreprocessing("0,1"),
  });
  const batch: train.Batch = {
    x: tf.randomUniform([size, imageSize, imageSize, 3], 0, 1, "float32", 1),
    labels: tf.tensor1d(
      Int32Array.from({ length: size }, (_, i) => i % classes),
      "int32",
    ),
  };
  network.initialize(batch);
  const stepper = train.createMethod<train.Batch>(method, network.trainables, { steps: 1000 });
  let step = 0;
  return {
    step: () => void stepper.step(network, batch, step++, 1e-3),
    dispose() {
      stepper.dispose();
      network.dispose();
      train.disposeBatch(batch);
    },
  };
}
