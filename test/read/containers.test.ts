// Oracle: tfjs against ONNX Runtime on models of models, shared layers, several inputs and outputs.

import * as tf from "@tensorflow/tfjs";
import { describe, expect, test } from "vitest";
import { readLayersModel } from "../../src/read/layers-model.js";
import { row } from "../support/layer-cases.js";
import {
  compareFloat,
  configsOf,
  parseSaved,
  randomizeWeights,
  saveLayersModel,
  seeded,
} from "../support/layers-models.js";

const L = tf.layers;
const TOLERANCE = 2e-5;

function apply(layer: tf.layers.Layer, ...inputs: tf.SymbolicTensor[]): tf.SymbolicTensor {
  return layer.apply(inputs.length === 1 ? (inputs[0] as tf.SymbolicTensor) : inputs) as tf.SymbolicTensor;
}

async function agrees(model: tf.LayersModel, seed = 3): Promise<Awaited<ReturnType<typeof compareFloat>>> {
  const result = await compareFloat(model, { seed });
  expect(result.magnitude).toBeGreaterThan(0);
  expect(result.difference / Math.max(1, result.magnitude)).toBeLessThan(TOLERANCE);
  return result;
}

describe("models within models", () => {
  test("a Sequential of Sequentials of a Model computes what tfjs computes, under the inner layers' names", async () => {
    const input = tf.input({ shape: [6, 6, 2], name: "pixels" });
    const conv = apply(L.conv2d({ filters: 3, kernelSize: 3, name: "conv" }), input);
    const inner = tf.model({
      inputs: input,
      outputs: apply(L.add({ name: "sum" }), conv, conv),
      name: "inner",
    });
    const features = tf.sequential({
      name: "features",
      layers: [inner, L.globalMaxPooling2d({ name: "pool" })],
    });
    const head = row(L.dense({ inputShape: [3], units: 4, activation: "softmax", name: "head" }));
    const { graph } = await agrees(tf.sequential({ layers: [features, head] as never }));
    expect(graph.inputs.map(({ name }) => name)).toEqual(["pixels"]);
    expect(graph.outputs.map(({ name }) => name)).toEqual(["head"]);
    expect(graph.nodes.map(({ origin }) => origin)).toEqual(
      expect.arrayContaining(["conv", "sum", "pool", "head"]),
    );
  });

  test("a Model that is called twice shares its weights and names the second call @1", async () => {
    const shared = row(
      L.dense({ inputShape: [4], units: 5, activation: "tanh", name: "first" }),
      L.dense({ units: 3, name: "second" }),
    );
    const [a, b] = [tf.input({ shape: [4], name: "a" }), tf.input({ shape: [4], name: "b" })];
    const [x, y] = [apply(shared, a), apply(shared, b)];
    const output = apply(L.concatenate({ name: "both" }), y, x, apply(shared, a));
    const { graph } = await agrees(tf.model({ inputs: [a, b], outputs: output }));
    const values = graph.nodes.map((node) => node.outputs[0]?.name);
    expect(values).toEqual(
      expect.arrayContaining(["second", "second@1", "second@2", "first@1/pre_activation"]),
    );
    const kernels = graph.nodes.flatMap(({ op, inputs }) => (op === "Gemm" ? [inputs[1]] : []));
    expect(new Set(kernels).size).toBe(2);
  });

  test("a wrong batch_input_shape on an inner layer changes nothing", async () => {
    const model = row(
      L.conv2d({ inputShape: [8, 8, 2], filters: 3, kernelSize: 3 }),
      L.conv2d({ filters: 2, kernelSize: 2 }),
    );
    const { graph } = await compareFloat(model, {
      mend: (configs) => Object.assign(configs[1] ?? {}, { batch_input_shape: [7, 1, 1, 99] }),
    });
    expect(graph.outputs[0]?.shape).toEqual(["N", 5, 5, 2]);
  });

  test("a nested model is computed at the size that it is called with, not the one it declares", async () => {
    const inner = row(
      L.conv2d({
        inputShape: [null, null, 2] as never,
        filters: 3,
        kernelSize: 3,
        padding: "same",
        strides: 2,
      }),
    );
    const input = tf.input({ shape: [7, 9, 2] });
    const model = tf.model({ inputs: input, outputs: apply(L.flatten(), apply(inner, input)) });
    const { graph } = await agrees(model);
    expect(graph.outputs[0]?.shape).toEqual(["N", 60]);
  });
});

describe("graphs of layers", () => {
  test("a layer that is shared in A(B(A(x))) computes what tfjs computes", async () => {
    const input = tf.input({ shape: [4] });
    const [a, b] = [L.dense({ units: 4, activation: "tanh", name: "a" }), L.dense({ units: 4, name: "b" })];
    const { graph } = await agrees(tf.model({ inputs: input, outputs: apply(a, apply(b, apply(a, input))) }));
    expect(graph.outputs[0]?.name).toBe("a@1");
  });

  test("calls are numbered in the order tfjs makes them, whatever the file's order", async () => {
    const input = tf.input({ shape: [4] });
    const a = L.dense({ units: 4, activation: "tanh", name: "a" });
    const late = apply(L.dense({ units: 4, name: "late" }), input);
    const early = apply(a, input);
    const output = apply(L.concatenate(), apply(a, late), early);
    const model = tf.model({ inputs: input, outputs: output });
    randomizeWeights(model, seeded(5));
    const saved = await saveLayersModel(model);
    const { modelTopology } = saved.json as { modelTopology: { config: { layers: unknown[] } } };
    modelTopology.config.layers.reverse();
    const reloaded = await tf.loadLayersModel(
      tf.io.fromMemory({
        modelTopology: structuredClone(modelTopology) as object,
        weightSpecs:
          (saved.json["weightsManifest"] as { weights: tf.io.WeightsManifestEntry[] }[])[0]?.weights ?? [],
        weightData: saved.weights.slice().buffer,
      }),
    );
    const { difference, magnitude } = await compareFloat(reloaded, { saved, keepWeights: true });
    expect(magnitude).toBeGreaterThan(0);
    expect(difference).toBeLessThan(TOLERANCE);
  });

  test("several inputs and outputs keep tfjs's order and names", async () => {
    const [a, b] = [tf.input({ shape: [5, 5, 2], name: "a" }), tf.input({ shape: [3], name: "b" })];
    const conv = apply(L.conv2d({ filters: 3, kernelSize: 2, name: "conv" }), a);
    const gate = apply(L.multiply({ name: "gate" }), conv, b);
    const dense = apply(L.dense({ units: 2, name: "dense" }), b);
    const { graph } = await agrees(tf.model({ inputs: [b, a], outputs: [gate, dense, conv] }));
    expect(graph.inputs.map(({ name }) => name)).toEqual(["b", "a"]);
    expect(graph.outputs.map(({ name }) => name)).toEqual(["gate", "dense", "conv"]);
  });

  test("an output that is an input, and one that is given twice, are named apart", async () => {
    const input = tf.input({ shape: [3], name: "x" });
    const dense = apply(L.dense({ units: 2, name: "dense" }), input);
    const dropped = apply(L.dropout({ rate: 0.5, name: "drop" }), dense);
    const model = tf.model({
      inputs: input,
      outputs: [dense, dropped, apply(L.activation({ activation: "linear" }), input)],
    });
    const { graph } = await agrees(model);
    expect(new Set(graph.outputs.map(({ name }) => name)).size).toBe(3);
  });

  test("transposes appear once a value and only where layouts meet", async () => {
    const input = tf.input({ shape: [8, 8, 3] });
    const x = apply(L.conv2d({ filters: 4, kernelSize: 3, padding: "same", activation: "relu" }), input);
    const y = apply(
      L.batchNormalization(),
      apply(L.conv2d({ filters: 4, kernelSize: 3, padding: "same" }), x),
    );
    const z = apply(L.add(), x, y, apply(L.conv2d({ filters: 4, kernelSize: 1 }), input));
    const pooled = apply(L.globalAveragePooling2d({}), apply(L.activation({ activation: "softmax" }), z));
    const { graph } = await agrees(tf.model({ inputs: input, outputs: pooled }));
    expect(graph.nodes.filter(({ op }) => op === "Transpose")).toHaveLength(1);
  });

  test("layers that the outputs do not need are left out", async () => {
    const model = row(L.dense({ inputShape: [3], units: 2, name: "kept" }));
    const saved = await saveLayersModel(model);
    const wrapped = {
      class_name: "Model",
      config: {
        name: "m",
        layers: [
          {
            class_name: "InputLayer",
            name: "x",
            config: { name: "x", batch_input_shape: [null, 3] },
            inbound_nodes: [],
          },
          {
            class_name: "Dense",
            name: "kept",
            config: configsOf(saved)[0],
            inbound_nodes: [[["x", 0, 0, {}]]],
          },
          {
            class_name: "Dense",
            name: "dead",
            config: { name: "dead", units: 9 },
            inbound_nodes: [[["kept", 0, 0]]],
          },
        ],
        input_layers: [["x", 0, 0]],
        output_layers: [["kept", 0, 0]],
      },
    };
    const { json, weights } = parseSaved({ ...saved, json: { ...saved.json, modelTopology: wrapped } });
    expect(readLayersModel(json, weights).nodes.map(({ origin }) => origin)).toEqual(["kept"]);
  });

  test("camelCase configs are read as tfjs reads them", async () => {
    const model = row(
      L.conv2d({
        inputShape: [6, 6, 2],
        filters: 3,
        kernelSize: 3,
        strides: 2,
        padding: "same",
        useBias: false,
      }),
    );
    const { difference } = await compareFloat(model, {
      mend: ([config]) => {
        if (!config) return;
        for (const [snake, camel] of [
          ["kernel_size", "kernelSize"],
          ["use_bias", "useBias"],
          ["data_format", "dataFormat"],
        ] as const) {
          config[camel] = config[snake] === "channels_last" ? "channelsLast" : config[snake];
          delete config[snake];
        }
      },
    });
    expect(difference).toBeLessThan(TOLERANCE);
  });
});
