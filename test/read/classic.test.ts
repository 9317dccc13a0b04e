// The classic form of a model: what it leaves as it is, what it refuses, and names of weights. Values are judged in
// keras3.test.ts.

import * as tf from "@tensorflow/tfjs";
import { describe, expect, test } from "vitest";
import { float32, type Tensor } from "../../src/base/tensor.js";
import { classicModel } from "../../src/read/classic/classic-model.js";
import { readLayersModel } from "../../src/read/layers-model.js";
import { checkModelJson, toPlain } from "../../src/read/model-json.js";
import { row } from "../support/layer-cases.js";
import { parseSaved, saveLayersModel } from "../support/layers-models.js";

type Config = Readonly<Record<string, unknown>>;
const DTYPE = {
  module: "keras",
  class_name: "DTypePolicy",
  config: { name: "float32" },
  registered_name: null,
};
const INPUT = {
  class_name: "InputLayer",
  config: { name: "x", batch_shape: [null, 6, 6, 4], dtype: "float32" },
};

const layer = (className: string, name: string, config: Config = {}): Record<string, unknown> => ({
  class_name: className,
  config: { name, trainable: true, dtype: DTYPE, ...config },
});
const tensor = (name: string, shape: readonly (number | null)[] = [null, 6, 6, 4]): unknown => ({
  class_name: "__keras_tensor__",
  config: { shape, dtype: "float32", keras_history: [name, 0, 0] },
});

/** A Keras 3 Sequential of one layer on 6x6x4. */
const sequential = (...layers: readonly unknown[]): unknown => ({
  class_name: "Sequential",
  config: { name: "m", layers: [INPUT, ...layers] },
});
/** A Keras 3 Functional: entries with the arguments of their one call; the last is the output. */
function functional(...entries: readonly (readonly [Record<string, unknown>, ...unknown[]])[]): unknown {
  const names = entries.map(([entry]) => (entry["config"] as { name: string }).name);
  return {
    class_name: "Functional",
    config: {
      name: "m",
      layers: [
        { ...INPUT, name: "x", inbound_nodes: [] },
        ...entries.map(([entry, args, kwargs = {}], i) =>
          Object.assign({ name: names[i], inbound_nodes: [{ args, kwargs }] }, entry),
        ),
      ],
      input_layers: ["x", 0, 0],
      output_layers: [names.at(-1), 0, 0],
    },
  };
}

function read(topology: unknown, weights: ReadonlyMap<string, Tensor> = new Map()): string[] {
  const json = checkModelJson({ modelTopology: topology }, "model.json");
  const classic = classicModel(json, weights);
  return readLayersModel(classic.json, classic.weights).nodes.map(({ op }) => op);
}

test("a model that tfjs wrote has the classic form already", async () => {
  const model = row(
    tf.layers.conv2d({ inputShape: [6, 6, 3], filters: 2, kernelSize: 3, kernelInitializer: "heNormal" }),
    tf.layers.batchNormalization(),
    tf.layers.leakyReLU({ alpha: 0.1 }),
    tf.layers.flatten(),
    tf.layers.dense({ units: 2, activation: "softmax" }),
  );
  const { json, weights } = parseSaved(await saveLayersModel(model));
  const classic = classicModel(json, weights);
  const withoutRegularizers = JSON.parse(JSON.stringify(toPlain(json.topology)), (key, value: unknown) =>
    key.endsWith("_regularizer") ? undefined : value,
  ) as unknown;
  expect(toPlain(classic.json.topology)).toEqual(withoutRegularizers);
  expect([...classic.weights]).toEqual([...weights]);
  const again = classicModel(classic.json, classic.weights);
  expect(toPlain(again.json.topology)).toEqual(toPlain(classic.json.topology));
});

describe("what Keras computes otherwise than tfjs is refused, with the layer and a remedy", () => {
  test.each<[string, unknown, string]>([
    [
      "a dilated DepthwiseConv2D",
      sequential(
        layer("DepthwiseConv2D", "dw", { kernel_size: [3, 3], dilation_rate: [2, 2], use_bias: false }),
      ),
      "dw (DepthwiseConv2D): dilation_rate: got [2,2], expected 1",
    ],
    [
      "a bilinear UpSampling2D",
      sequential(layer("UpSampling2D", "up", { size: [2, 2], interpolation: "bilinear" })),
      'up (UpSampling2D): interpolation "bilinear": tfjs places pixels otherwise',
    ],
    [
      "CenterCrop",
      sequential(layer("CenterCrop", "crop", { height: 3, width: 3 })),
      "crop (CenterCrop): tfjs picks other pixels than Keras does; use Cropping2D",
    ],
    [
      "a layer that Keras has quantized",
      sequential(
        layer("Dense", "d", { units: 2, dtype: { class_name: "QuantizedDTypePolicy", config: {} } }),
      ),
      "d (Dense): was quantized by Keras, expected float weights",
    ],
    [
      "hard_swish in a Sequential, where there is no place for its second way",
      sequential(layer("Activation", "act", { activation: "hard_swish" })),
      "act (Activation): needs several layers of tfjs side by side",
    ],
    [
      "a mask that a layer heeds",
      functional([layer("GlobalMaxPooling2D", "pool"), [tensor("x")], { mask: tensor("x") }]),
      "pool (GlobalMaxPooling2D): heeds a mask",
    ],
    [
      "a mask that goes on unseen in a Sequential",
      sequential(layer("Masking", "mask", { mask_value: 0 }), layer("Softmax", "soft", { axis: -1 })),
      "soft (Softmax): heeds a mask",
    ],
    [
      "another argument",
      functional([layer("ReLU", "act"), [tensor("x")], { scale: 2 }]),
      "act (ReLU): is called with scale = 2, which has no place in tfjs",
    ],
    [
      "a layer that is called with a constant",
      functional([layer("Add", "sum"), [[tensor("x"), 2]]]),
      "sum (Add): is called with a constant beside its tensors",
    ],
    [
      "an operator without a layer",
      functional([{ class_name: "Arctan2", config: { name: "angle" } }, [tensor("x"), tensor("x")]]),
      "angle (Arctan2): is the operator Arctan2 on tensors; write it with layers of keras.layers",
    ],
    [
      "operands of unlike ranks",
      functional(
        [layer("GlobalMaxPooling2D", "pool"), [tensor("x")]],
        [{ class_name: "Multiply", config: { name: "product" } }, [tensor("x"), tensor("pool", [null, 4])]],
      ),
      "product (Multiply): is the operator Multiply on tensors of unlike ranks",
    ],
    [
      "a division by zero",
      functional([{ class_name: "TrueDivide", config: { name: "part" } }, [tensor("x"), 0]]),
      "part (TrueDivide): is the operator TrueDivide on tensors by zero",
    ],
    [
      "Normalization that was never adapted",
      sequential(layer("Normalization", "norm", { axis: [-1], mean: null, variance: null })),
      "norm (Normalization): mean: got null, expected numbers; call adapt()",
    ],
    [
      "Normalization over another axis",
      sequential(layer("Normalization", "norm", { axis: [1], mean: [1], variance: [1] })),
      "norm (Normalization): axis: got [1], expected the last axis alone (-1)",
    ],
    [
      "an input that is never made",
      functional([layer("ReLU", "act"), [tensor("nowhere")]]),
      'act: its input "nowhere" (call 0) is never made',
    ],
    [
      "a tensor without a history",
      functional([
        layer("ReLU", "act"),
        [{ class_name: "__keras_tensor__", config: { keras_history: [7] } }],
      ]),
      "act: inbound_nodes: keras_history: got [7], expected [layer, call, tensor]",
    ],
  ])("%s", (_, topology, message) => {
    expect(() => read(topology)).toThrow(message);
  });
});

const kernel = (): Tensor => float32([1, 1, 4, 4], new Float32Array(16).fill(0.5));
const conv = (name: string): Record<string, unknown> =>
  layer("Conv2D", name, { filters: 4, kernel_size: [1, 1], use_bias: false });

const inside = (name: string): unknown => ({
  class_name: "Sequential",
  config: { name, layers: [INPUT, conv("c")] },
});

describe("names of weights", () => {
  test("that may be of two layers are refused", () => {
    const topology = sequential(inside("a"), inside("b"));
    expect(() => read(topology, new Map([["c/kernel", kernel()]]))).toThrow(
      "c/kernel: may be of 2 layers of that name (in m/a, m/b); give each layer a name of its own",
    );
  });

  test("that come to the same layer twice are refused", () => {
    const weights = new Map([
      ["c/kernel", kernel()],
      ["m/c/kernel", kernel()],
    ]);
    expect(() => read(sequential(conv("c")), weights)).toThrow("m/c/kernel: is a second c/kernel");
  });

  test("of optimizers and of random generators in a .keras file are left out", () => {
    const weights = new Map([
      ["layers/conv2d/vars/0", kernel()],
      ["optimizer/vars/0", float32([], [3])],
      ["layers/dropout/seed_generator/vars/0", float32([2], [1, 2])],
    ]);
    expect(read(sequential(conv("c"), layer("Dropout", "d", { rate: 0.5 })), weights)).toContain("Conv");
  });

  test("of learned scales may be the file's own", () => {
    const scale = { bits: 3, signed: true, scale: [0.5] };
    const own = { version: 1, quantizers: { "m/c/kernel": scale, x: scale } };
    const json = checkModelJson(
      { modelTopology: sequential(conv("c")), userDefinedMetadata: { qdg: own, other: 1 } },
      "model.json",
    );
    const classic = classicModel(json, new Map([["m/c/kernel", kernel()]]));
    expect(classic.json.userDefinedMetadata).toEqual({
      qdg: { version: 1, quantizers: { "c/kernel": scale, x: scale } },
      other: 1,
    });
    expect([...classic.weights.keys()]).toEqual(["c/kernel"]);
  });
});

test("what Keras 2 writes for layers that tfjs lacks is read as well", () => {
  const x = { name: "x", batch_input_shape: [null, 6, 6, 4] };
  const listed = {
    class_name: "Functional",
    config: {
      name: "m",
      layers: [
        { class_name: "InputLayer", name: "x", config: x, inbound_nodes: [] },
        {
          class_name: "RandomFlip",
          name: "f",
          config: { name: "f", mode: "horizontal" },
          inbound_nodes: [[["x", 0, 0, {}]]],
        },
        {
          class_name: "Normalization",
          name: "n",
          config: { name: "n", axis: [-1], mean: [1, 2, 3, 4], variance: [1, 4, 9, 16] },
          inbound_nodes: [[["f", 0, 0, {}]]],
        },
        {
          class_name: "Subtract",
          name: "s",
          config: { name: "s" },
          inbound_nodes: [
            [
              ["n", 0, 0, {}],
              ["x", 0, 0, {}],
            ],
          ],
        },
      ],
      input_layers: [["x", 0, 0]],
      output_layers: [["s", 0, 0]],
    },
  };
  expect(read(listed)).toEqual(["Add", "Mul", "Mul", "Add"]);
  const first = { name: "f", mode: "vertical", batch_input_shape: [null, 6, 6, 4] };
  const v1 = {
    class_name: "BatchNormalizationV1",
    config: { name: "b", axis: [3], scale: false, center: false },
  };
  const statistics = new Map([
    ["b/moving_mean", float32([4], [1, 2, 3, 4])],
    ["b/moving_variance", float32([4], [1, 2, 3, 4])],
  ]);
  const row1 = {
    class_name: "Sequential",
    config: { name: "m", layers: [{ class_name: "RandomFlip", config: first }, v1] },
  };
  expect(read(row1, statistics)).toContain("BatchNormalization");
  const leaky = {
    class_name: "LeakyReLU",
    config: { name: "l", negative_slope: 0.25, batch_input_shape: [null, 3] },
  };
  const json = checkModelJson({ modelTopology: { class_name: "Sequential", config: [leaky] } }, "model.json");
  const { attributes } = readLayersModel(classicModel(json, new Map()).json, new Map()).nodes[0] ?? {};
  expect(attributes?.["alpha"]).toEqual({ float: 0.25 });
});

test("two layers of one name in a classic model are refused, since tfjs would not know whose a weight is", () => {
  const dense = {
    class_name: "Dense",
    config: { name: "d", units: 3, use_bias: false, batch_input_shape: [null, 3] },
  };
  const inner = { class_name: "Sequential", config: { name: "inner", layers: [dense] } };
  const topology = { class_name: "Sequential", config: { name: "m", layers: [inner, dense] } };
  expect(() => read(topology, new Map([["d/kernel", float32([3, 3], new Float32Array(9))]]))).toThrow(
    /d\/kernel: .*2 layers of that name|two layers are named "d"/,
  );
});
