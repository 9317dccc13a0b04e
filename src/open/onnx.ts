// An ONNX file becomes a Model. Not yet: it is refused, with what takes it as it is.

import { QdgError } from "../base/error.js";
import type { Model } from "./open-model.js";

/** @throws QdgError `unsupported-model` */
export function openOnnx(path: string): Promise<Model> {
  throw new QdgError(
    "unsupported-model",
    path,
    "is an ONNX file, expected a model.json; qdg inspect, parity, run and evaluate take it as it is; for export give the layers-model that it was made from",
  );
}
