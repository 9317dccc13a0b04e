// One call of every layer that can be read, within a network: what docs/support.md looks at. Layers that only Keras
// has are given as JSON of a layer that tfjs has under another name and config.

import * as tf from "@tensorflow/tfjs";
import { type SavedModel, saveLayersModel } from "../support/layers-models.js";

const L = tf.layers;
const VECTOR = [6];
const SEQUENCE = [6, 3];
const IMAGE = [6, 6, 4];
const VOLUME = [4, 4, 4, 3];
const NAME = { name: "sample" };
const POOL = { ...NAME, poolSize: 2 };
const KERNEL = { ...NAME, filters: 3, kernelSize: 2 };

export interface LayerSample {
  readonly shape: readonly number[];
  readonly layer: () => tf.layers.Layer;
  /** Operands; 1 when absent. */
  readonly inputs?: number;
  /** It reads indices, so nothing stands before it. */
  readonly integers?: true;
  /** For layers that tfjs lacks: class name and config in the saved model. */
  readonly saved?: { readonly className: string; readonly config: Readonly<Record<string, unknown>> };
}

const plain = (shape: readonly number[], layer: () => tf.layers.Layer): LayerSample => ({ shape, layer });
const merge = (layer: () => tf.layers.Layer): LayerSample => ({ shape: IMAGE, layer, inputs: 2 });

/** By class name. */
export const LAYER_SAMPLES: Readonly<Record<string, LayerSample>> = {
  Add: merge(() => L.add(NAME)),
  AlphaDropout: plain(VECTOR, () => L.alphaDropout({ ...NAME, rate: 0.5 })),
  Average: merge(() => L.average(NAME)),
  AveragePooling1D: plain(SEQUENCE, () => L.averagePooling1d(POOL)),
  AveragePooling2D: plain(IMAGE, () => L.averagePooling2d(POOL)),
  AveragePooling3D: plain(VOLUME, () => L.averagePooling3d(POOL)),
  BatchNormalization: plain(IMAGE, () => L.batchNormalization(NAME)),
  CenterCrop: plain(IMAGE, () => L.centerCrop({ ...NAME, height: 4, width: 4 })),
  Concatenate: merge(() => L.concatenate(NAME)),
  Conv1D: plain(SEQUENCE, () => L.conv1d(KERNEL)),
  Conv2D: plain(IMAGE, () => L.conv2d(KERNEL)),
  Conv2DTranspose: plain(IMAGE, () => L.conv2dTranspose(KERNEL)),
  Conv3D: plain(VOLUME, () => L.conv3d(KERNEL)),
  Conv3DTranspose: plain(VOLUME, () => L.conv3dTranspose(KERNEL)),
  Cropping2D: plain(IMAGE, () =>
    L.cropping2D({
      ...NAME,
      cropping: [
        [1, 1],
        [1, 1],
      ] as never,
    }),
  ),
  Dense: plain(VECTOR, () => L.dense({ ...NAME, units: 4 })),
  DepthwiseConv2D: plain(IMAGE, () => L.depthwiseConv2d({ ...NAME, kernelSize: 2 })),
  Dot: { shape: VECTOR, layer: () => L.dot({ ...NAME, axes: 1 }), inputs: 2 },
  Dropout: plain(VECTOR, () => L.dropout({ ...NAME, rate: 0.5 })),
  ELU: plain(VECTOR, () => L.elu(NAME)),
  Embedding: { shape: [4], layer: () => L.embedding({ ...NAME, inputDim: 9, outputDim: 5 }), integers: true },
  CategoryEncoding: {
    shape: [4],
    layer: () => L.categoryEncoding({ ...NAME, numTokens: 9, outputMode: "count" }),
    integers: true,
  },
  Flatten: plain(IMAGE, () => L.flatten(NAME)),
  GaussianDropout: plain(VECTOR, () => L.gaussianDropout({ ...NAME, rate: 0.5 })),
  GaussianNoise: plain(VECTOR, () => L.gaussianNoise({ ...NAME, stddev: 1 })),
  GlobalAveragePooling1D: plain(SEQUENCE, () => L.globalAveragePooling1d(NAME)),
  GlobalAveragePooling2D: plain(IMAGE, () => L.globalAveragePooling2d(NAME)),
  GlobalMaxPooling1D: plain(SEQUENCE, () => L.globalMaxPooling1d(NAME)),
  GlobalMaxPooling2D: plain(IMAGE, () => L.globalMaxPooling2d(NAME)),
  LayerNormalization: plain(VECTOR, () => L.layerNormalization(NAME)),
  LeakyReLU: plain(VECTOR, () => L.leakyReLU(NAME)),
  Masking: plain(SEQUENCE, () => L.masking(NAME)),
  Maximum: merge(() => L.maximum(NAME)),
  MaxPooling1D: plain(SEQUENCE, () => L.maxPooling1d(POOL)),
  MaxPooling2D: plain(IMAGE, () => L.maxPooling2d(POOL)),
  MaxPooling3D: plain(VOLUME, () => L.maxPooling3d(POOL)),
  Minimum: merge(() => L.minimum(NAME)),
  Multiply: merge(() => L.multiply(NAME)),
  Permute: plain(SEQUENCE, () => L.permute({ ...NAME, dims: [2, 1] })),
  PReLU: plain(VECTOR, () => L.prelu(NAME)),
  ReLU: plain(VECTOR, () => L.reLU(NAME)),
  RepeatVector: plain(VECTOR, () => L.repeatVector({ ...NAME, n: 3 })),
  Rescaling: plain(IMAGE, () => L.rescaling({ ...NAME, scale: 0.5, offset: 1 })),
  Reshape: plain(VECTOR, () => L.reshape({ ...NAME, targetShape: [2, 3] })),
  SeparableConv2D: plain(IMAGE, () => L.separableConv2d({ ...KERNEL, depthMultiplier: 1 })),
  Softmax: plain(VECTOR, () => L.softmax(NAME)),
  SpatialDropout1D: plain(SEQUENCE, () => L.spatialDropout1d({ ...NAME, rate: 0.5 })),
  ThresholdedReLU: plain(VECTOR, () => L.thresholdedReLU(NAME)),
  TimeDistributed: plain(SEQUENCE, () =>
    L.timeDistributed({ ...NAME, layer: L.dense({ units: 4, name: "inner" }) }),
  ),
  UpSampling2D: plain(IMAGE, () => L.upSampling2d(NAME)),
  ZeroPadding2D: plain(IMAGE, () => L.zeroPadding2d({ ...NAME, padding: 1 })),
};

/** The functions of Activation and of every layer's `activation`. */
export const ACTIVATION_SAMPLES: readonly string[] = [
  "linear",
  "relu",
  "relu6",
  "elu",
  "selu",
  "sigmoid",
  "hardSigmoid",
  "tanh",
  "softplus",
  "softsign",
  "swish",
  "mish",
  "gelu",
  "gelu_new",
  "softmax",
  "logSoftmax",
];

export function activationSample(activation: string): LayerSample {
  return plain(VECTOR, () => L.activation({ ...NAME, activation: activation as never }));
}

/** The sample between two layers with weights, so that it is neither first nor in the float tail. */
export async function savedSample({ shape, layer, inputs = 1, integers }: LayerSample): Promise<SavedModel> {
  const input = tf.input({ shape: [...shape], ...(integers && { dtype: "int32" as const }) });
  const operands = Array.from({ length: inputs }, (_, i) =>
    integers ? input : (before(shape, `before${i}`).apply(input) as tf.SymbolicTensor),
  );
  const out = layer().apply(
    inputs === 1 ? (operands[0] as tf.SymbolicTensor) : operands,
  ) as tf.SymbolicTensor;
  const last = L.dense({ units: 2, name: "after" }).apply(out) as tf.SymbolicTensor;
  return saveLayersModel(tf.model({ inputs: input, outputs: last }));
}

/** A layer with weights that keeps the shape. */
function before(shape: readonly number[], name: string): tf.layers.Layer {
  const channels = shape.at(-1) as number;
  const args = { name, filters: channels, kernelSize: 1 };
  if (shape.length === 1) return L.dense({ name, units: channels });
  if (shape.length === 2) return L.conv1d(args);
  return shape.length === 3 ? L.conv2d(args) : L.conv3d(args);
}
