// The layers that can be read: an explicit list, one line a class. To add one, write its file in layers/
// and name it here.

import type { LayerDefinition } from "./layer.js";
import { activationLayer } from "./layers/activation.js";
import { batchNormalization } from "./layers/batch-normalization.js";
import { categoryEncoding } from "./layers/category-encoding.js";
import { centerCrop } from "./layers/center-crop.js";
import { concatenate } from "./layers/concatenate.js";
import { conv2DTranspose, conv3DTranspose } from "./layers/conv-transpose.js";
import { conv1D, conv2D, conv3D } from "./layers/conv.js";
import { cropping2D } from "./layers/cropping-2d.js";
import { dense } from "./layers/dense.js";
import { depthwiseConv2D } from "./layers/depthwise-conv-2d.js";
import { dot } from "./layers/dot.js";
import { elu } from "./layers/elu.js";
import { embedding } from "./layers/embedding.js";
import { flatten } from "./layers/flatten.js";
import {
  globalAveragePooling1D,
  globalAveragePooling2D,
  globalMaxPooling1D,
  globalMaxPooling2D,
} from "./layers/global-pooling.js";
import {
  alphaDropout,
  dropout,
  gaussianDropout,
  gaussianNoise,
  spatialDropout1D,
} from "./layers/identity.js";
import { layerNormalization } from "./layers/layer-normalization.js";
import { leakyRelu } from "./layers/leaky-relu.js";
import { masking } from "./layers/masking.js";
import { add, average, maximum, minimum, multiply } from "./layers/merge.js";
import { permuteLayer } from "./layers/permute.js";
import {
  averagePooling1D,
  averagePooling2D,
  averagePooling3D,
  maxPooling1D,
  maxPooling2D,
  maxPooling3D,
} from "./layers/pooling.js";
import { prelu } from "./layers/prelu.js";
import { relu } from "./layers/relu.js";
import { repeatVector } from "./layers/repeat-vector.js";
import { rescaling } from "./layers/rescaling.js";
import { reshape } from "./layers/reshape.js";
import { separableConv2D } from "./layers/separable-conv-2d.js";
import { softmax } from "./layers/softmax.js";
import { thresholdedRelu } from "./layers/thresholded-relu.js";
import { timeDistributed } from "./layers/time-distributed.js";
import { upSampling2D } from "./layers/up-sampling-2d.js";
import { zeroPadding2D } from "./layers/zero-padding-2d.js";

const LIST: readonly LayerDefinition[] = [
  activationLayer,
  add,
  alphaDropout,
  average,
  averagePooling1D,
  averagePooling2D,
  averagePooling3D,
  batchNormalization,
  categoryEncoding,
  centerCrop,
  concatenate,
  conv1D,
  conv2D,
  conv2DTranspose,
  conv3D,
  conv3DTranspose,
  cropping2D,
  dense,
  depthwiseConv2D,
  dot,
  dropout,
  elu,
  embedding,
  flatten,
  gaussianDropout,
  gaussianNoise,
  globalAveragePooling1D,
  globalAveragePooling2D,
  globalMaxPooling1D,
  globalMaxPooling2D,
  layerNormalization,
  leakyRelu,
  masking,
  maximum,
  maxPooling1D,
  maxPooling2D,
  maxPooling3D,
  minimum,
  multiply,
  permuteLayer,
  prelu,
  relu,
  repeatVector,
  rescaling,
  reshape,
  separableConv2D,
  softmax,
  spatialDropout1D,
  thresholdedRelu,
  timeDistributed,
  upSampling2D,
  zeroPadding2D,
];

export const LAYERS: ReadonlyMap<string, LayerDefinition> = new Map(
  LIST.map((layer) => [layer.className, layer]),
);

/** Layers of tfjs-layers that are not read, with the reason. */
export const REFUSED_LAYERS: ReadonlyMap<string, string> = new Map([
  ...[
    "RNN",
    "SimpleRNN",
    "GRU",
    "LSTM",
    "ConvLSTM2D",
    "SimpleRNNCell",
    "GRUCell",
    "LSTMCell",
    "ConvLSTM2DCell",
    "StackedRNNCells",
    "Bidirectional",
  ].map((name): [string, string] => [name, "recurrent layers are not supported; use convolutions over time"]),
  [
    "RandomCrop",
    "it cuts or scales images at inference too; use Cropping2D, or cut images before they enter the model",
  ],
  ["RandomWidth", "it is random at inference too; remove it from the model"],
  ["Resizing", "tfjs 4.22 cannot run it within a model; resize images before they enter the model"],
]);
