// One small network for every operator that quantization knows by name and for every layer and activation that is
// read, each between two convolutions or dense layers: what ONNX Runtime makes of them is looked at one by one.

import * as tf from "@tensorflow/tfjs";
import { float32, int64 } from "../../src/base/tensor.js";
import { GraphBuilder } from "../../src/graph/builder.js";
import type { Attribute, Dim, Graph, Value } from "../../src/graph/graph.js";
import { ACTIVATIONS } from "../../src/read/activation.js";
import { readLayersModel } from "../../src/read/layers-model.js";
import { row } from "./layer-cases.js";
import {
  type CompareOptions,
  parseSaved,
  randomizeWeights,
  saveLayersModel,
  seeded,
} from "./layers-models.js";
import { withHeads } from "./quantized-models.js";

export interface OperatorNetwork {
  readonly title: string;
  /** Classes of tfjs layers, names of activations or ONNX operators that it is there for. */
  readonly covers: readonly string[];
  readonly graph: () => Promise<Graph>;
  readonly options?: CompareOptions;
}

const L = tf.layers;
type Layer = tf.layers.Layer;

function layers(
  covers: readonly string[],
  model: () => tf.LayersModel,
  options: CompareOptions = {},
): OperatorNetwork {
  return {
    title: covers.join(" and "),
    covers,
    options,
    graph: async () => {
      const built = withHeads(model());
      randomizeWeights(built, seeded(7));
      const { json, weights } = parseSaved(await saveLayersModel(built));
      built.dispose();
      return readLayersModel(json, weights);
    },
  };
}

/** After a convolution over images, and before one: see withHeads. */
function onImages(covers: string, ...more: readonly (() => Layer)[]): OperatorNetwork {
  return layers([covers], () => {
    const first = L.conv2d({ inputShape: [8, 8, 3], filters: 4, kernelSize: 3, padding: "same" });
    return row(first, ...more.map((make) => make()));
  });
}

function onSequences(covers: string, layer: () => Layer): OperatorNetwork {
  return layers([covers], () => row(L.conv1d({ inputShape: [8, 3], filters: 4, kernelSize: 1 }), layer()));
}

function onVectors(covers: string, layer: () => Layer): OperatorNetwork {
  return layers([covers], () => row(L.dense({ inputShape: [6], units: 5 }), layer()));
}

function onVolumes(covers: string, layer: () => Layer): OperatorNetwork {
  return layers([covers], () =>
    row(L.conv3d({ inputShape: [4, 4, 4, 2], filters: 3, kernelSize: 1 }), layer()),
  );
}

/** Two convolutions of one input, merged. */
function merging(covers: string, merge: () => Layer): OperatorNetwork {
  return layers([covers], () => {
    const input = tf.input({ shape: [6, 6, 3] });
    const branch = (): tf.SymbolicTensor =>
      L.conv2d({ filters: 4, kernelSize: 1 }).apply(input) as tf.SymbolicTensor;
    return tf.model({ inputs: input, outputs: merge().apply([branch(), branch()]) as tf.SymbolicTensor });
  });
}

const FROM_LAYERS: readonly OperatorNetwork[] = [
  ...ACTIVATIONS.map((activation) =>
    onImages(activation, () =>
      L.activation({ activation: (activation === "geluNew" ? "gelu_new" : activation) as never }),
    ),
  ),
  onVectors("Activation", () => L.activation({ activation: "softmax" })),
  merging("Add", () => L.add()),
  onImages("AlphaDropout", () => L.alphaDropout({ rate: 0.5 })),
  merging("Average", () => L.average()),
  onSequences("AveragePooling1D", () => L.averagePooling1d({ poolSize: 2 })),
  onImages("AveragePooling2D", () => L.averagePooling2d({ poolSize: 2 })),
  onImages("AveragePooling2D", () => L.averagePooling2d({ poolSize: 3, padding: "same" })),
  onVolumes("AveragePooling3D", () => L.averagePooling3d({ poolSize: 2 })),
  onImages(
    "BatchNormalization",
    () => L.reLU(),
    () => L.batchNormalization(),
  ),
  layers(
    ["CategoryEncoding"],
    () =>
      row(
        L.reshape({ inputShape: [1, 4], targetShape: [4] }),
        L.categoryEncoding({ numTokens: 5, outputMode: "multiHot" }),
        L.dense({ units: 4 }),
      ),
    { integersBelow: 5 },
  ),
  onImages("CenterCrop", () => L.centerCrop({ height: 5, width: 5 })),
  merging("Concatenate", () => L.concatenate()),
  onSequences("Conv1D", () => L.conv1d({ filters: 3, kernelSize: 3 })),
  onImages("Conv2D", () => L.conv2d({ filters: 3, kernelSize: 3, activation: "relu" })),
  onImages("Conv2DTranspose", () => L.conv2dTranspose({ filters: 3, kernelSize: 3, strides: 2 })),
  onVolumes("Conv3D", () => L.conv3d({ filters: 3, kernelSize: 2 })),
  onVolumes("Conv3DTranspose", () => L.conv3dTranspose({ filters: 3, kernelSize: 2, strides: 2 })),
  onImages("Cropping2D", () => L.cropping2D({ cropping: 1 })),
  onVectors("Dense", () => L.dense({ units: 4, activation: "relu" })),
  onSequences("Dense", () => L.dense({ units: 4 })),
  onImages("DepthwiseConv2D", () => L.depthwiseConv2d({ kernelSize: 3 })),
  ...[false, true].map((normalize) =>
    layers(["Dot"], () => {
      const input = tf.input({ shape: [4, 5] });
      const branch = (): tf.SymbolicTensor =>
        L.conv1d({ filters: 3, kernelSize: 1 }).apply(input) as tf.SymbolicTensor;
      const product = L.dot({ axes: 1, normalize }).apply([branch(), branch()]) as tf.SymbolicTensor;
      return tf.model({ inputs: input, outputs: product });
    }),
  ),
  onImages("Dropout", () => L.dropout({ rate: 0.5 })),
  onImages("ELU", () => L.elu()),
  layers(
    ["Embedding"],
    () =>
      row(
        L.inputLayer({ inputShape: [5], dtype: "int32" }),
        L.embedding({ inputDim: 7, outputDim: 3 }),
        L.conv1d({ filters: 3, kernelSize: 1 }),
      ),
    { integersBelow: 7 },
  ),
  onImages("Flatten", () => L.flatten()),
  onImages("GaussianDropout", () => L.gaussianDropout({ rate: 0.5 })),
  onImages("GaussianNoise", () => L.gaussianNoise({ stddev: 1 })),
  onSequences("GlobalAveragePooling1D", () => L.globalAveragePooling1d({})),
  onImages("GlobalAveragePooling2D", () => L.globalAveragePooling2d({ dataFormat: "channelsLast" })),
  layers(
    ["GlobalAveragePooling2D"],
    () =>
      row(
        L.conv2d({ inputShape: [null, null, 3] as never, filters: 4, kernelSize: 3 }),
        L.globalAveragePooling2d({ dataFormat: "channelsLast" }),
      ),
    { sizes: { D1: 9, D2: 8, H: 9, W: 8 } },
  ),
  onSequences("GlobalMaxPooling1D", () => L.globalMaxPooling1d({})),
  onImages("GlobalMaxPooling2D", () => L.globalMaxPooling2d({ dataFormat: "channelsLast" })),
  onSequences("LayerNormalization", () => L.layerNormalization()),
  onImages("LayerNormalization", () => L.layerNormalization({ axis: [1, 2] })),
  onImages("LeakyReLU", () => L.leakyReLU({ alpha: 0.2 })),
  onSequences("Masking", () => L.masking({ maskValue: 0 })),
  merging("Maximum", () => L.maximum()),
  onSequences("MaxPooling1D", () => L.maxPooling1d({ poolSize: 2 })),
  onImages("MaxPooling2D", () => L.maxPooling2d({ poolSize: 2 })),
  onVolumes("MaxPooling3D", () => L.maxPooling3d({ poolSize: 2 })),
  merging("Minimum", () => L.minimum()),
  merging("Multiply", () => L.multiply()),
  onImages("Permute", () => L.permute({ dims: [2, 1, 3] })),
  onImages("PReLU", () => L.prelu({ sharedAxes: [1, 2] })),
  onImages("ReLU", () => L.reLU({ maxValue: 6 })),
  onImages(
    "ReLU",
    () => L.conv2d({ filters: 4, kernelSize: 1 }),
    () => L.reLU(),
  ),
  onVectors("RepeatVector", () => L.repeatVector({ n: 3 })),
  onImages("Rescaling", () => L.rescaling({ scale: 0.5, offset: 1 })),
  onImages("Reshape", () => L.reshape({ targetShape: [16, 4, 4] })),
  onImages("SeparableConv2D", () => L.separableConv2d({ filters: 3, kernelSize: 3 })),
  onImages("Softmax", () => L.softmax({ axis: -1 })),
  onImages("Softmax", () => L.softmax({ axis: [2, 3] as never })),
  onVectors("Softmax", () => L.softmax()),
  onSequences("SpatialDropout1D", () => L.spatialDropout1d({ rate: 0.4 })),
  onImages("ThresholdedReLU", () => L.thresholdedReLU({ theta: 0.3 })),
  layers(["TimeDistributed"], () =>
    row(L.timeDistributed({ inputShape: [3, 6, 5, 2], layer: L.conv2d({ filters: 3, kernelSize: 2 }) })),
  ),
  ...(["nearest", "bilinear"] as const).map((interpolation) =>
    onImages("UpSampling2D", () => L.upSampling2d({ size: [2, 2], interpolation })),
  ),
  // On scales that are powers of two, both sides of it may have one scale.
  onImages(
    "UpSampling2D",
    () => L.reLU({ maxValue: 1 }),
    () => L.upSampling2d({ size: [2, 2], interpolation: "bilinear" }),
  ),
  onImages("ZeroPadding2D", () => L.zeroPadding2d({ padding: 1 })),
];

/** A convolution, an operator that no layer is read as, a convolution. */
function between(
  op: string,
  shape: readonly Dim[],
  make: (net: GraphBuilder, x: Value) => readonly (Value | null)[],
  attributes: Readonly<Record<string, Attribute>> = {},
  domain: "" | "qdg" = "",
): OperatorNetwork {
  return {
    title: `the operator ${op}`,
    covers: [op],
    graph: async () => {
      const net = new GraphBuilder(op);
      const x = conv(net, "first", net.input("x", ["N", 3, 6, 6]), [3, 6, 6]);
      const y = net.node(op, "middle", make(net, x), { name: "middle", shape }, attributes, domain);
      const back =
        shape.length === 4
          ? y
          : net.node("Reshape", "back", [y, net.ints("shape", [-1, 4, 6, 6])], {
              name: "back",
              shape: ["N", 4, 6, 6],
            });
      net.output(conv(net, "last", back, [4, 6, 6]));
      return net.graph;
    },
  };
}

function conv(net: GraphBuilder, name: string, x: Value, [channels, ...size]: readonly number[]): Value {
  const random = seeded(name.length);
  const weights = float32(
    [4, channels as number, 1, 1],
    Float32Array.from({ length: 4 * (channels as number) }, () => 2 * random() - 1),
  );
  const kernel = net.constant(`${name}/kernel`, weights);
  const bias = net.constant(`${name}/bias`, float32([4], [0.5, -0.25, 0.125, 1]));
  return net.node("Conv", name, [x, kernel, bias], { name, shape: ["N", 4, ...size] });
}

const IMAGE: readonly Dim[] = ["N", 4, 6, 6];

const OF_OPERATORS: readonly OperatorNetwork[] = [
  between("Expand", IMAGE, (net, x) => [x, net.constant("to", int64([4], [1, 4, 6, 6]))]),
  between("GeneralRelu", IMAGE, (_, x) => [x], { negative_slope: { float: 0.25 } }, "qdg"),
  between("HardSwish", IMAGE, (_, x) => [x]),
  between("Identity", IMAGE, (_, x) => [x]),
  between("Requantize", IMAGE, (_, x) => [x], {}, "qdg"),
  between("Squeeze", IMAGE, (net, x) => {
    const wide = net.node("Unsqueeze", "wide", [x, net.ints("axes", [1])], {
      name: "wide",
      shape: ["N", 1, 4, 6, 6],
    });
    return [wide, net.ints("axes", [1])];
  }),
  between("Unsqueeze", ["N", 1, 4, 6, 6], (net, x) => [x, net.ints("axes", [1])]),
  between("Sum", IMAGE, (net, x) => [x, conv(net, "other", x, [4, 6, 6]), conv(net, "third", x, [4, 6, 6])]),
  between("Flatten", ["N", 144], (_, x) => [x]),
  between("Min", IMAGE, (_, x) => [x]),
  between("Max", IMAGE, (_, x) => [x]),
];

export const OPERATOR_NETWORKS: readonly OperatorNetwork[] = [...FROM_LAYERS, ...OF_OPERATORS];
