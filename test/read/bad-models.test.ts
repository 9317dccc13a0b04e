// Table of models that are refused: each error names the layer, the key, what was got and what mends it.

import * as tf from "@tensorflow/tfjs";
import { describe, expect, test } from "vitest";
import type { QdgErrorCode } from "../../src/base/error.js";
import { readLayersModel } from "../../src/read/layers-model.js";
import { checkModelJson } from "../../src/read/model-json.js";
import { row } from "../support/layer-cases.js";
import { configsOf, parseSaved, saveLayersModel } from "../support/layers-models.js";

interface Row {
  readonly title: string;
  readonly code: QdgErrorCode;
  readonly says: string;
}

type Topology = Record<string, unknown>;
const input = {
  class_name: "InputLayer",
  name: "x",
  config: { name: "x", batch_input_shape: [null, 8, 8, 3] },
  inbound_nodes: [],
};

/** A Model of one layer on an 8x8x3 image (or a vector of 3). */
function single(className: string, config: Topology, shape: (number | null)[] = [null, 8, 8, 3]): Topology {
  return {
    class_name: "Sequential",
    config: {
      name: "m",
      layers: [{ class_name: className, config: { name: "layer", batch_input_shape: shape, ...config } }],
    },
  };
}

function model(layers: unknown[], more: Topology = {}): Topology {
  return {
    class_name: "Model",
    config: {
      name: "m",
      layers: [input, ...layers],
      input_layers: [["x", 0, 0]],
      output_layers: [["y", 0, 0]],
      ...more,
    },
  };
}

const relu = (calls: unknown): Topology => ({
  class_name: "ReLU",
  name: "y",
  config: { name: "y" },
  inbound_nodes: calls,
});
const conv = { filters: 2, kernel_size: [3, 3], use_bias: false };

const ROWS: readonly (Row & { readonly topology: Topology })[] = [
  {
    title: "a layer whose name is no text",
    topology: model([{ ...relu([[["x", 0, 0]]]), name: { a: 1 } }]),
    code: "invalid-model",
    says: 'y: name: got {"a":1}, expected a text',
  },
  {
    title: "a layer whose config's name is no text",
    topology: model([{ ...relu([[["x", 0, 0]]]), config: { name: 7 } }]),
    code: "invalid-model",
    says: "name: got 7, expected text",
  },
  {
    title: "a layer that has two names",
    topology: model([{ ...relu([[["x", 0, 0]]]), name: "z" }]),
    code: "invalid-model",
    says: 'y: name: got "z" beside the config, expected the config\'s; make them one',
  },
  {
    title: "a padding beyond what can be held",
    topology: single("ZeroPadding2D", {
      padding: [
        [0, 99_992],
        [0, 99_992],
      ],
    }),
    code: "unsupported-layer",
    says: "has 30000000000 elements, expected at most 268435456",
  },
  {
    title: "a recurrent layer",
    topology: single("LSTM", { units: 3 }, [null, 4, 3]),
    code: "unsupported-layer",
    says: "layer (LSTM): recurrent layers are not supported",
  },
  {
    title: "a Bidirectional layer",
    topology: single("Bidirectional", {}, [null, 4, 3]),
    code: "unsupported-layer",
    says: "layer (Bidirectional): recurrent",
  },
  {
    title: "a layer that is random at inference",
    topology: single("RandomWidth", {}),
    code: "unsupported-layer",
    says: "random at inference",
  },
  {
    title: "an unknown layer",
    topology: single("MyLayer", {}),
    code: "unsupported-layer",
    says: "layer (MyLayer): is no layer of tfjs-layers 4.22",
  },
  {
    title: "a class name of Object.prototype",
    topology: single("constructor", {}),
    code: "unsupported-layer",
    says: "(constructor)",
  },
  {
    title: "an unknown key",
    topology: single("Conv2D", { ...conv, wavelets: 3 }),
    code: "unsupported-layer",
    says: 'layer (Conv2D): config key "wavelets" (3) is unknown; remove it',
  },
  {
    title: "an unknown key named __proto__",
    topology: single("ReLU", JSON.parse('{"__proto__": {"polluted": true}}') as Topology),
    code: "unsupported-layer",
    says: "",
  },
  {
    title: "groups",
    topology: single("Conv2D", { ...conv, groups: 3 }),
    code: "unsupported-layer",
    says: "groups: got 3, expected 1",
  },
  {
    title: "strides with dilations",
    topology: single("Conv2D", { ...conv, strides: 2, dilation_rate: 2 }),
    code: "unsupported-layer",
    says: "dilationRate must be 1 with strides > 1",
  },
  {
    title: "causal padding",
    topology: single("Conv2D", { ...conv, padding: "causal" }),
    code: "unsupported-layer",
    says: '"causal" is not implemented in tfjs',
  },
  {
    title: "a padding that is none",
    topology: single("Conv2D", { ...conv, padding: "reflect" }),
    code: "unsupported-layer",
    says: 'padding: got "reflect", expected "valid", "same"',
  },
  {
    title: "a kernel size of the wrong length",
    topology: single("Conv2D", { ...conv, kernel_size: [3, 3, 3] }),
    code: "unsupported-layer",
    says: "kernel_size: got [3,3,3], expected 2 integers >= 1",
  },
  {
    title: "a stride of zero",
    topology: single("Conv2D", { ...conv, strides: [0, 1] }),
    code: "unsupported-layer",
    says: "strides: got [0,1]",
  },
  {
    title: "filters missing",
    topology: single("Conv2D", { kernel_size: 3 }),
    code: "unsupported-layer",
    says: "filters: got nothing, expected an integer",
  },
  {
    title: "an unknown activation",
    topology: single("Dense", { units: 2, activation: "snake" }, [null, 3]),
    code: "unsupported-layer",
    says: 'activation: got "snake"',
  },
  {
    title: "a window larger than the image",
    topology: single("Conv2D", { ...conv, kernel_size: 9 }),
    code: "invalid-model",
    says: "does not fit the space [8, 8]",
  },
  {
    title: "a channelsFirst Conv1D",
    topology: single("Conv1D", { filters: 2, kernel_size: 2, data_format: "channels_first" }, [null, 8, 3]),
    code: "unsupported-layer",
    says: "axes swapped",
  },
  {
    title: "a channelsFirst SeparableConv2D with bias",
    topology: single("SeparableConv2D", { filters: 2, kernel_size: 2, data_format: "channels_first" }),
    code: "unsupported-layer",
    says: "wrong axis",
  },
  {
    title: "an input of the wrong rank",
    topology: single("Conv2D", conv, [null, 8]),
    code: "invalid-model",
    says: "rank 2, expected 4",
  },
  {
    title: "a Softmax over an inner axis",
    topology: single("Softmax", { axis: 1 }),
    code: "unsupported-layer",
    says: "last axis only",
  },
  {
    title: "a Softmax behind a mask",
    topology: {
      class_name: "Sequential",
      config: {
        name: "m",
        layers: [
          { class_name: "Masking", config: { name: "mask", batch_input_shape: [null, 4, 3] } },
          { class_name: "Softmax", config: { name: "soft", axis: -1 } },
        ],
      },
    },
    code: "unsupported-layer",
    says: "soft (Softmax): the mask of mask (Masking)",
  },
  {
    title: "a Resizing layer",
    topology: single("Resizing", { height: 3, width: 3 }),
    code: "unsupported-layer",
    says: "cannot run it within a model",
  },
  {
    title: "Flatten of an unknown size",
    topology: single("Flatten", {}, [null, null, 8, 3]),
    code: "invalid-model",
    says: "not fixed",
  },
  {
    title: "a Reshape to another size",
    topology: single("Reshape", { target_shape: [5, 5] }),
    code: "invalid-model",
    says: "got 192 elements",
  },
  {
    title: "a Permute that is none",
    topology: single("Permute", { dims: [1, 1, 2] }),
    code: "unsupported-layer",
    says: "dims: got [1,1,2]",
  },
  {
    title: "BatchNormalization over the batch",
    topology: single("BatchNormalization", { axis: 0 }),
    code: "invalid-model",
    says: "axis: got 0",
  },
  {
    title: "a layer whose name is no text",
    topology: single("ReLU", { name: 7 }, [null, 3]),
    code: "invalid-model",
    says: "name: got 7, expected text",
  },
  {
    title: "a sparse input",
    topology: {
      class_name: "Sequential",
      config: {
        layers: [
          { class_name: "InputLayer", config: { name: "x", batch_input_shape: [null, 3], sparse: true } },
        ],
      },
    },
    code: "unsupported-layer",
    says: "sparse: got true, expected false",
  },
  {
    title: "an InputLayer in the middle",
    topology: {
      class_name: "Sequential",
      config: {
        layers: [
          { class_name: "ReLU", config: { name: "r", batch_input_shape: [null, 3] } },
          { class_name: "InputLayer", config: { name: "x", batch_input_shape: [null, 3] } },
        ],
      },
    },
    code: "invalid-model",
    says: "first layer",
  },
  {
    title: "a Sequential without an input shape",
    topology: {
      class_name: "Sequential",
      config: { layers: [{ class_name: "ReLU", config: { name: "r" } }] },
    },
    code: "invalid-model",
    says: "r: the first layer of a Sequential must give input_shape",
  },
  {
    title: "an empty Sequential",
    topology: { class_name: "Sequential", config: { name: "m", layers: [] } },
    code: "invalid-model",
    says: "expected at least one",
  },
  {
    title: "a cycle",
    topology: model([relu([[["y", 0, 0, {}]]])]),
    code: "invalid-model",
    says: "part of a cycle",
  },
  {
    title: "an input layer that is not there",
    topology: model([relu([[["z", 0, 0, {}]]])]),
    code: "invalid-model",
    says: 'y: its input "z"',
  },
  {
    title: "an output that is not there",
    topology: model([relu([[["x", 0, 0, {}]]])], { output_layers: [["z", 0, 0]] }),
    code: "invalid-model",
    says: "z: output 0 of call 0 does not come",
  },
  {
    title: "output_layers that are no list of lists",
    topology: model([relu([[["x", 0, 0, {}]]])], { output_layers: ["y", 0, 0] }),
    code: "invalid-model",
    says: "output_layers",
  },
  {
    title: "a call with arguments",
    topology: model([relu([[["x", 0, 0, { mask: 3 }]]])]),
    code: "invalid-model",
    says: 'argument "mask"',
  },
  {
    title: "two layers of one name",
    topology: model([relu([[["x", 0, 0, {}]]]), relu([])]),
    code: "invalid-model",
    says: 'two layers are named "y"',
  },
  {
    title: "an unknown key of a model",
    topology: model([relu([[["x", 0, 0, {}]]])], { shortcuts: 1 }),
    code: "unsupported-layer",
    says: 'key "shortcuts"',
  },
  {
    title: "an Add of one tensor",
    topology: model([{ ...relu([[["x", 0, 0, {}]]]), class_name: "Add" }]),
    code: "invalid-model",
    says: "got 1 inputs, expected at least 2",
  },
  {
    title: "a Concatenate along axis -2",
    topology: model([
      {
        class_name: "Concatenate",
        name: "y",
        config: { name: "y", axis: -2 },
        inbound_nodes: [
          [
            ["x", 0, 0],
            ["x", 0, 0],
          ],
        ],
      },
    ]),
    code: "unsupported-layer",
    says: "joins along the last axis for every negative one",
  },
  {
    title: "a topology that is a layer",
    topology: { class_name: "Dense", config: { units: 3 } },
    code: "unsupported-model",
    says: "is no Sequential, Model or Functional",
  },
];

describe("models that are refused", () => {
  test.each(ROWS)("$title is refused by name", ({ topology, code, says }) => {
    const read = (): unknown =>
      readLayersModel(checkModelJson({ modelTopology: topology }, "model.json"), new Map());
    expect(read).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(says) as string }) as Error,
    );
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  test("models that call the one inside twice are refused for their layers, counted at each call", () => {
    // 2^25 ReLUs in a few kilobytes.
    let inner = model([relu([[["x", 0, 0]]])], { name: "m0" });
    for (let depth = 1; depth <= 25; depth++) {
      const name = `m${depth - 1}`;
      const twice = { ...inner, inbound_nodes: [[["x", 0, 0]], [[name, 1, 0]]] };
      inner = model([twice], { name: `m${depth}`, output_layers: [[name, 2, 0]] });
    }
    const topology = checkModelJson({ modelTopology: inner }, "model.json");
    expect(() => readLayersModel(topology, new Map())).toThrow(
      /^m\d+: has \d+ layers, those of nested models counted at each call; expected at most 20000 \[unsupported-model\]$/,
    );
  });

  test("a weight of another shape is refused with both shapes", async () => {
    const saved = await saveLayersModel(row(tf.layers.dense({ inputShape: [3], units: 2, name: "d" })));
    Object.assign(configsOf(saved)[0] ?? {}, { units: 5 });
    const { json, weights } = parseSaved(saved);
    expect(() => readLayersModel(json, weights)).toThrow(
      "d/kernel: got shape [3, 2], expected [3, 5] (15 elements) [invalid-weights]",
    );
  });

  test("a weight that is missing, and one that is left over, are named", async () => {
    const saved = await saveLayersModel(row(tf.layers.dense({ inputShape: [3], units: 2, name: "d" })));
    const { json, weights } = parseSaved(saved);
    const fewer = new Map(weights);
    fewer.delete("d/bias");
    expect(() => readLayersModel(json, fewer)).toThrow("d/bias: is not in the manifest");
    const more = new Map(weights).set("e/kernel", {
      dtype: "float32",
      shape: [1],
      data: new Float32Array(1),
    });
    expect(() => readLayersModel(json, more)).toThrow("e/kernel: no layer of the model has such a weight");
  });
});
