// Every operator that qdg computes by itself, by its ONNX name: for the reference interpreter, and for the constants of a
// model. One line an operator, here or in usual-operators.ts; anything else is an error that names the node.

import { conv, convTranspose } from "./convolution.js";
import { constant, constantOfShape, expand, oneHot, pad, shapeOf, tile } from "./filling.js";
import {
  cumSum,
  depthToSpace,
  einsum,
  gatherElements,
  gatherNd,
  localResponse,
  range,
  scatterNd,
  sizeOperator,
} from "./places.js";
import { averagePool, globalAveragePool, globalMaxPool, maxPool } from "./pooling.js";
import { batchNormalization, layerNormalization, reduce } from "./reduction.js";
import { resize } from "./resize.js";
import { argument, kindOfNumber, nonMaxSuppression, nonZero, topK } from "./selection.js";
import { USUAL_OPERATORS } from "./usual-operators.js";
import type { Operators } from "./kernel.js";

export const ALL_OPERATORS: Operators = new Map([
  ...USUAL_OPERATORS,
  ...Object.entries({
    ArgMax: argument("ArgMax"),
    ArgMin: argument("ArgMin"),
    AveragePool: averagePool,
    BatchNormalization: batchNormalization,
    Constant: constant,
    ConstantOfShape: constantOfShape,
    Conv: conv,
    ConvTranspose: convTranspose,
    CumSum: cumSum,
    DepthToSpace: depthToSpace,
    Einsum: einsum,
    Expand: expand,
    GatherElements: gatherElements,
    GatherND: gatherNd,
    GlobalAveragePool: globalAveragePool,
    GlobalMaxPool: globalMaxPool,
    IsInf: kindOfNumber("IsInf"),
    IsNaN: kindOfNumber("IsNaN"),
    LRN: localResponse,
    LayerNormalization: layerNormalization,
    MaxPool: maxPool,
    NonMaxSuppression: nonMaxSuppression,
    NonZero: nonZero,
    OneHot: oneHot,
    Pad: pad,
    Range: range,
    ReduceL2: reduce("ReduceL2"),
    ReduceMax: reduce("ReduceMax"),
    ReduceMean: reduce("ReduceMean"),
    ReduceMin: reduce("ReduceMin"),
    ReduceProd: reduce("ReduceProd"),
    ReduceSum: reduce("ReduceSum"),
    ReduceSumSquare: reduce("ReduceSumSquare"),
    Resize: resize,
    ScatterND: scatterNd,
    Shape: shapeOf,
    Size: sizeOperator,
    Tile: tile,
    TopK: topK,
  }),
]);
