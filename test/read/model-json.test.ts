// Files that are no model.json, by table, and the forms of one that are accepted.

import { describe, expect, test } from "vitest";
import { readLayersModel } from "../../src/read/layers-model.js";
import { camelCase, parseModelJson } from "../../src/read/model-json.js";

describe("model.json", () => {
  test.each([
    { title: "what is not JSON", text: "{", code: "invalid-json", says: "is not JSON" },
    { title: "a list", text: "[]", code: "invalid-model", says: "got []" },
    { title: "no topology", text: "{}", code: "invalid-model", says: "modelTopology: got nothing" },
    {
      title: "an empty topology",
      text: '{"modelTopology": {}}',
      code: "invalid-model",
      says: "no class_name",
    },
    {
      title: "a graph-model",
      text: '{"format": "graph-model", "modelTopology": {"node": []}}',
      code: "unsupported-model",
      says: "graph-model",
    },
    {
      title: "a graph-model without a format",
      text: '{"modelTopology": {"node": []}}',
      code: "unsupported-model",
      says: "graph-model",
    },
    {
      title: "another format",
      text: '{"format": "onnx", "modelTopology": {}}',
      code: "unsupported-model",
      says: 'format: got "onnx"',
    },
    {
      title: "endless nesting",
      text: `${"[".repeat(5000)}${"]".repeat(5000)}`,
      code: "invalid-model",
      says: "levels deep",
    },
  ])("$title is no model.json", ({ text, code, says }) => {
    expect(() => parseModelJson(text, "model.json")).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(says) as string }) as Error,
    );
  });

  test("a byte-order mark, a missing format and model_config are accepted", () => {
    const layer = { class_name: "ReLU", config: { name: "layer", batch_input_shape: [null, 3] } };
    const topology = { class_name: "Sequential", config: { name: "m", layers: [layer] } };
    for (const text of [
      `\uFEFF${JSON.stringify({ modelTopology: topology })}`,
      JSON.stringify({
        format: "layers-model",
        modelTopology: { keras_version: "2", model_config: topology },
      }),
    ]) {
      expect(
        readLayersModel(parseModelJson(text, "model.json"), new Map()).nodes.map(({ op }) => op),
      ).toEqual(["Relu"]);
    }
  });

  test.each([
    ["kernel_size", "kernelSize"],
    ["kernelSize", "kernelSize"],
    ["channels_last", "channelsLast"],
    ["__proto__", "Proto"],
    ["_", "_"],
  ])("%s is read as %s, as tfjs does it", (snake, camel) => {
    expect(camelCase(snake)).toBe(camel);
  });
});
