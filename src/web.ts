// The public API for browsers, `qdg/web`: windows and workers. Re-exports only, and nothing that it reaches
// may need Node.

export { QdgError } from "./base/error.js";
export type { QdgErrorCode } from "./base/error.js";
export type { DType, Tensor } from "./base/tensor.js";
export type { Image } from "./image/image.js";
export type { Preprocessing } from "./image/preprocessing.js";
export type { Classification } from "./model/classification.js";
export type { ClassifierKind, ClassifierOutput } from "./model/classifier-output.js";
export type { TensorInfo } from "./runtime/runtime.js";
export type { OnnxOptions } from "./web/bare-onnx.js";
export type { DrawableLike, ImageDataLike, ImageLike } from "./web/decode-image.js";
export type { Fallback } from "./web/device.js";
export { loadEnsemble } from "./web/ensemble.js";
export type { Ensemble } from "./web/ensemble.js";
export { clearCache } from "./web/file-cache.js";
export { load } from "./web/load.js";
export type { LoadOptions, LoadProgress } from "./web/load.js";
export { parseManifest } from "./web/manifest.js";
export type * from "./web/manifest.js";
export { MANIFEST_LIMITS } from "./web/manifest-limits.js";
export type { Model } from "./web/model.js";
export type { SelfTestResult } from "./web/self-test.js";
export type {
  ExpectedOutput,
  SeededNumbers,
  SelfTestCase,
  SelfTestNumbers,
  SelfTestPicture,
} from "./web/self-test-case.js";
