// What the loop of a run is given. Types alone.

import type { Preprocessing } from "../../image/preprocessing.js";
import type { Batch } from "../data/batch.js";
import type { Method } from "../methods/method.js";
import type { TrainingNetwork } from "../network.js";
import type { StatisticsEstimate } from "../normalization-statistics.js";
import type { TrainableModel } from "../trainable-model.js";
import type { WriteFile } from "./checkpoint-file.js";
import type { EvaluatedDomain } from "./evaluate-domains.js";
import type { TrainObserver } from "./observer.js";
import type { DatasetFacts, ModelFacts } from "./run-facts.js";
import type { RunFolder } from "./run-folder.js";
import type { TrainOptions } from "./train-options.js";

/** What the loop uses of a TrainingNetwork. */
export interface TrainedNetwork extends TrainedParts {
  estimateStatistics(): EstimatedStatistics;
}

/** What the loop uses of an estimate. */
export type EstimatedStatistics = Pick<StatisticsEstimate, "add" | "hold" | "apply">;

type TrainedParts = Pick<
  TrainingNetwork,
  | "trainables"
  | "quantizers"
  | "evaluate"
  | "constrain"
  | "setQuantized"
  | "initialize"
  | "logits"
  | "firstNotFinite"
  | "weightIntegers"
  | "toModel"
  | "state"
  | "restore"
> & {
  /** Told after each step. */
  stepped?(): void;
};

export interface TrainerParts {
  readonly options: TrainOptions;
  readonly folder: RunFolder;
  readonly created: string;
  readonly backend: string;
  readonly datasetFacts: DatasetFacts;
  readonly modelFacts: ModelFacts;
  /** As it was before the first step. */
  readonly model: TrainableModel;
  readonly imageSize: number;
  /** Steps between evaluations. */
  readonly evalEvery: number;
  /** Classes of the data. */
  readonly classes: number;
  readonly preprocessing: Preprocessing;
  readonly domains: readonly EvaluatedDomain[];
  readonly network: TrainedNetwork;
  readonly method: Method<Batch>;
  readonly batches: { next(step: number): Promise<Batch>; readonly stepsPerEpoch: number };
  readonly observer: TrainObserver;
  readonly signal?: AbortSignal;
  /** For tests. */
  readonly write?: WriteFile;
}
