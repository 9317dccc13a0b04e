// The public API for Node: re-exports only. Everything the command line does is one of these functions.

export { QdgError, type QdgErrorCode } from "./base/error.js";
export type { Progress } from "./base/progress.js";
export type { DType, Tensor } from "./base/tensor.js";
export { VERSION } from "./base/version.js";

export * from "./quant/affine.js";
export * from "./quant/spec.js";
export {
  type LearnedAtBits,
  type LearnedQuantizer,
  type LearnedQuantizers,
  LEARNED_VERSION,
  learnedToJson,
  parseLearned,
} from "./quant/learned.js";
export { bitsLearned, learnedAtBits } from "./quant/learned-bits.js";

export {
  parsePreprocessing,
  type Preprocessing,
  preprocessingFromJson,
  preprocessingToJson,
  rangePreprocessing,
} from "./image/preprocessing.js";
export { decodeImage } from "./image/decode.js";
export { type Image } from "./image/image.js";
export { resample } from "./image/resample.js";
export { imageToTensor, type ImageInput } from "./image/to-tensor.js";

export type { Dim, Graph, Node, Value } from "./graph/graph.js";
export { type Placement, placeQuantizers } from "./graph/place-quantizers.js";
export {
  type AskedBits,
  type LayerBits,
  type LayerRole,
  type Match,
  type Recipe,
  recipeOf,
  type RecipeRule,
} from "./graph/recipe.js";
export { printGraph } from "./graph/print.js";

export { decodeModel, encodeModel } from "./onnx/codec.js";
export { graphToModel } from "./onnx/from-graph.js";
export type { ModelProto } from "./onnx/model-proto.js";
export { modelToGraph } from "./onnx/to-graph.js";
export { verifyModel } from "./onnx/verify.js";

export {
  type FormName,
  type LayerBitWidths,
  type ListedIntegers,
  type MetadataProperties,
  type OnnxMetadata,
  readOnnxMetadata,
  type ScalesMode,
} from "./model/onnx-metadata.js";
export { type OutputKind, outputKindOf } from "./model/output-kind.js";
export type { Classification } from "./model/classification.js";
export type { ClassifierKind, ClassifierOutput } from "./model/classifier-output.js";

export { type Model, type ModelFacts, openModel, type OpenOptions } from "./open/open-model.js";
export { readModel, type ReadModel } from "./read/read-model.js";
export { lower, type Lowered, type LowerOptions } from "./lower/lower.js";

export { runtimeOf } from "./runtime/registry.js";
export type {
  Availability,
  ModelSource,
  Runtime,
  RuntimeName,
  RuntimeOptions,
  Session,
  TensorInfo,
} from "./runtime/runtime.js";

export { type ExportedFile, exportModel, type ExportResult } from "./export/export-model.js";
export type { FileVerification, NotVerified, Verified } from "./export/verify-file.js";
export type { ExportOptions, Target } from "./export/options.js";
export type { Cost } from "./export/cost.js";
export type { ChosenActivationBits } from "./export/budget/average-activations.js";
export type { ChosenBits } from "./export/budget/under-budget.js";
export type { BitsFrontier } from "./export/budget/frontier.js";
export type { ExportReport, LayerReport } from "./export/report/export-report.js";
export { type Inspection, inspectFile, type LayerInspection } from "./export/inspect.js";

export { parity, type ParityOptions } from "./parity/parity.js";
export { formatReport, type ParityReport } from "./parity/report.js";
export { certify, type CertifyOptions } from "./parity/certify.js";
export { type Certificate, type CertifiedTarget, hasPassed } from "./parity/certificate.js";
export { certificatePage } from "./parity/certificate-page.js";
export { parseCertificate } from "./parity/read-certificate.js";
export { type Verification, verifyCertificate, type VerifyOptions } from "./parity/verify-certificate.js";
export {
  type BrokenFile,
  type ClassifiedImage,
  classifyImages,
  type ClassifyOptions,
} from "./parity/classify-images.js";

export {
  type Agreement,
  type EnsembleEvaluation,
  evaluate,
  type EvaluateOptions,
  type Evaluation,
  type ModelEvaluation,
  type TargetEvaluation,
} from "./train/evaluation/evaluate.js";
export type { ClassifierOptions } from "./train/evaluation/classifier.js";
export type { ClassScore, DomainScore, Score } from "./train/evaluation/score.js";
export { formatEvaluation } from "./train/evaluation/format-evaluation.js";
export { type ReportOptions, type TrainingReport, trainingReport } from "./train/report/report.js";
export type { SweepRow, SweepTable, PairedDifference } from "./train/report/sweep-table.js";
export { QDG_COMMAND, trainProcess } from "./cli/train-process.js";
export type { Sweep, SweepJob } from "./sweep/job.js";
export { readSweep } from "./sweep/sweep-file.js";
export { runSweep, type SweepOptions, type SweepResult } from "./sweep/run-sweep.js";
export type { EngineSettings } from "./sweep/engines/engine.js";
export type { JobAccuracy, SweepObserver } from "./sweep/observer.js";
export type { RunTrain, TrainCall, TrainEnd } from "./sweep/run-job.js";
export { work, type WorkObserver, type WorkOptions } from "./sweep/queue/work.js";

export {
  type DeployOptions,
  type DeployResult,
  deploySite,
  type SiteFile,
  type SiteRole,
} from "./deploy/site.js";
export type { ModelChoices } from "./deploy/deployed-models.js";
export { type SiteServer, serveSite } from "./deploy/static-server.js";
export type * from "./web/manifest.js";
