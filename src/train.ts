// The public API of training, `qdg/train`: re-exports only. Apart from the rest because it loads tfjs.

export {
  BACKEND_NAMES,
  type BackendChoice,
  type BackendName,
  type UsedBackend,
  useBackend,
} from "./train/backends/backends.js";
export { AUGMENTATIONS, type Augmentation } from "./train/data/augment.js";
export { type Batch, disposeBatch, evaluationBatches } from "./train/data/batch.js";
export { BatchSource, type BatchSourceOptions } from "./train/data/batch-source.js";
export type { Dataset, Domain } from "./train/data/dataset.js";
export { openDataset } from "./train/data/open-dataset.js";
export { splitDomain, type Split } from "./train/data/split.js";
export { BitsNetwork, modelAtBits } from "./train/bits-network.js";
export { IntegerNetwork, type QuantizedTensor } from "./train/integer-network.js";
export { type LayersModel, loadLayersModel, saveLayersModel } from "./train/layers-model-file.js";
export { compareTrained, type TrainedParity } from "./parity/trained.js";
export type { Method, MethodState, StepReport, WindowReport } from "./train/methods/method.js";
export { createMethod } from "./train/methods/create-method.js";
export type { MethodOptions } from "./train/methods/method-options.js";
export { isQuantized, METHOD_NAMES, type MethodName } from "./train/methods/methods.js";
export { builtInModel, type BuiltInOptions, MODEL_NAMES, type ModelName } from "./train/models/built-in.js";
export { type NetworkOptions, TrainingNetwork } from "./train/network.js";
export type { Evaluated, EvaluateOptions, Objective, Role, Trainable } from "./train/objective.js";
export { train, type TrainRequest, type TrainResult } from "./train/run/train.js";
export type { RunFacts, StepFacts, TrainObserver } from "./train/run/observer.js";
export type { AskedTrainOptions, TrainOptionName, TrainOptions } from "./train/run/train-options.js";
export type {
  DomainAccuracy,
  EvaluatedDomain,
  Evaluation as RunEvaluation,
} from "./train/run/evaluate-domains.js";
export type { OnnxNetwork } from "./train/onnx-network.js";
export { twoSidedT } from "./train/report/student-t.js";
export { replaceHead } from "./train/replace-head.js";
export { resizeInput } from "./train/resize-input.js";
export { loadModel, saveModel, type TrainableModel } from "./train/trainable-model.js";
export { preprocessingOf } from "./model/layers-model-metadata.js";
