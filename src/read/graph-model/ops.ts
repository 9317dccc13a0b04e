// The operators of a graph-model that are read: families of files, one list. What is not here is named in an error.

import type { Emit } from "./call.js";
import { ARITHMETIC_OPS } from "./ops/arithmetic.js";
import { CONVOLUTION_OPS } from "./ops/convolution.js";
import { CREATION_OPS } from "./ops/creation.js";
import { CROP_OPS } from "./ops/crops.js";
import { FAKE_QUANTIZATION_OPS } from "./ops/fake-quantization.js";
import { FUNCTION_OPS } from "./ops/functions.js";
import { GRAPH_OPS } from "./ops/graph.js";
import { IMAGE_OPS } from "./ops/images.js";
import { JOINING_OPS } from "./ops/joining.js";
import { LIST_OPS } from "./ops/lists.js";
import { LOGIC_OPS } from "./ops/logic.js";
import { MATRIX_OPS } from "./ops/matrices.js";
import { NORMALIZATION_OPS } from "./ops/normalization.js";
import { POOLING_OPS } from "./ops/pooling.js";
import { REDUCTION_OPS } from "./ops/reduction.js";
import { SELECTION_OPS } from "./ops/selection.js";
import { SHAPING_OPS } from "./ops/shaping.js";
import { SLICING_OPS } from "./ops/slicing.js";

/** By TensorFlow's names. */
export const OPS: ReadonlyMap<string, Emit> = new Map(
  [
    ARITHMETIC_OPS,
    CONVOLUTION_OPS,
    CREATION_OPS,
    CROP_OPS,
    FAKE_QUANTIZATION_OPS,
    FUNCTION_OPS,
    GRAPH_OPS,
    IMAGE_OPS,
    JOINING_OPS,
    LIST_OPS,
    LOGIC_OPS,
    MATRIX_OPS,
    NORMALIZATION_OPS,
    POOLING_OPS,
    REDUCTION_OPS,
    SELECTION_OPS,
    SHAPING_OPS,
    SLICING_OPS,
  ].flatMap((family) => Object.entries(family)),
);
