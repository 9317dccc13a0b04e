// Models of a few kilobytes that are huge, or deep, once their functions stand in the place of their calls.

import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { int64 } from "../../src/base/tensor.js";
import { inspectFile } from "../../src/export/inspect.js";
import { decodeModel, encodeModel } from "../../src/onnx/codec.js";
import { bodyNode, localFunction } from "../../src/onnx/local-function.js";
import {
  ATTRIBUTE_TYPE,
  type FunctionProto,
  type ModelProto,
  type NodeProto,
} from "../../src/onnx/model-proto.js";
import { modelToGraph } from "../../src/onnx/to-graph.js";
import { parity } from "../../src/parity/parity.js";
import { cpuRuntime } from "../../src/runtime/cpu.js";

function modelOf(nodes: readonly NodeProto[], functions: readonly FunctionProto[]): ModelProto {
  const type = { tensorType: { elemType: 1, shape: { dim: [{ dimValue: 1 }] } } };
  return {
    irVersion: 10,
    opsetImport: [{ version: 21 }, { domain: "qdg", version: 1 }, { domain: "other", version: 1 }],
    graph: {
      name: "g",
      node: nodes,
      input: [{ name: "x", type }],
      output: [{ name: "y", type }],
    },
    functions,
  };
}

const call = (name: string, inputs: string[], outputs: string[], domain = "qdg"): NodeProto => ({
  ...bodyNode(name, inputs, outputs, {}, "qdg"),
  domain,
});

/** Function `level` calls the one below twice; `bottom` is what the first one does. */
function twice(
  levels: number,
  bottom: readonly NodeProto[],
  domains: readonly string[] = ["qdg"],
): FunctionProto[] {
  return Array.from({ length: levels }, (_, level): FunctionProto => {
    const below = [`F${level - 1}`, domains[(level - 1) % domains.length] as string] as const;
    return {
      ...localFunction({
        name: `F${level}`,
        inputs: ["x"],
        outputs: ["y"],
        nodes:
          level === 0
            ? bottom
            : [call(below[0], ["x"], ["t"], below[1]), call(below[0], ["t"], ["y"], below[1])],
        opset: 21,
      }),
      domain: domains[level % domains.length] as string,
      opsetImport: [{ version: 21 }, { domain: "qdg", version: 1 }, { domain: "other", version: 1 }],
    };
  });
}

const relu = bodyNode("Relu", ["x"], ["y"]);
const TOO_MANY = /has more than 100000 nodes, those of functions counted at each call/;
const TOO_DEEP = /functions call functions, or graphs hold graphs, more than 100 deep/;

/** A node with a graph in it whose only node is the one given. */
function holding(node: NodeProto): NodeProto {
  return {
    opType: "If",
    input: ["x"],
    output: ["y"],
    attribute: [
      {
        name: "then_branch",
        type: ATTRIBUTE_TYPE.graph,
        g: { name: "then", node: [node, node], output: [{ name: "y" }] },
      },
    ],
  };
}

const BOMBS: readonly [title: string, model: ModelProto, message: RegExp][] = [
  ["functions of nodes", modelOf([call("F30", ["x"], ["y"])], twice(31, [relu])), TOO_MANY],
  [
    "functions of constants, which become no nodes",
    modelOf(
      [call("F30", ["x"], ["y"])],
      twice(31, [
        bodyNode("Constant", [], ["c"], { value: int64([1], [1]) }),
        bodyNode("Identity", ["x"], ["y"]),
      ]),
    ),
    TOO_MANY,
  ],
  ["functions of nothing: calls alone", modelOf([call("F30", ["x"], ["y"])], twice(31, [])), TOO_MANY],
  [
    "functions in two domains",
    modelOf([call("F30", ["x"], ["y"])], twice(31, [relu], ["qdg", "other"])),
    TOO_MANY,
  ],
  [
    "calls in the graphs of nodes",
    modelOf([holding(call("F17", ["x"], ["y"]))], twice(18, [relu], ["qdg"])),
    TOO_MANY,
  ],
  ["functions that nothing calls", modelOf([relu], twice(31, [relu])), TOO_MANY],
  [
    "3,000 functions in a row",
    modelOf(
      [call("F2999", ["x"], ["y"])],
      Array.from({ length: 3000 }, (_, level) =>
        localFunction({
          name: `F${level}`,
          inputs: ["x"],
          outputs: ["y"],
          nodes: [level === 0 ? relu : call(`F${level - 1}`, ["x"], ["y"])],
          opset: 21,
        }),
      ),
    ),
    TOO_DEEP,
  ],
];

describe("a model that expands without bound", () => {
  test.each(BOMBS)("is refused as it is read: %s", (_, model, message) => {
    const bytes = encodeModel(model);
    expect(() => decodeModel(bytes, "bomb.onnx")).toThrow(message);
    expect(() => modelToGraph(model)).toThrow(message);
  });

  test("is not handed to ONNX Runtime by inspect, nor by parity as a model or a reference", async () => {
    const open = vi.spyOn(cpuRuntime, "open");
    const folder = await mkdtemp(join(tmpdir(), "qdg-test-"));
    const bomb = join(folder, "bomb.onnx");
    await writeFile(bomb, encodeModel(BOMBS[0]?.[1] as ModelProto));
    const fine = join(folder, "fine.onnx");
    await writeFile(fine, encodeModel(modelOf([relu], [])));
    await expect(inspectFile(bomb)).rejects.toThrow(TOO_MANY);
    await expect(parity({ model: bomb, data: ["random:2"] })).rejects.toThrow(TOO_MANY);
    await expect(parity({ model: fine, data: ["random:2"], reference: bomb })).rejects.toThrow(TOO_MANY);
    expect(open).not.toHaveBeenCalled();
    await inspectFile(fine);
    expect(open).toHaveBeenCalledOnce();
    open.mockRestore();
  });

  test("has a limit that real nesting does not reach: 99 functions in a row run", () => {
    const functions = Array.from({ length: 99 }, (_, level) =>
      localFunction({
        name: `F${level}`,
        inputs: ["x"],
        outputs: ["y"],
        nodes: [level === 0 ? relu : call(`F${level - 1}`, ["x"], ["y"])],
        opset: 21,
      }),
    );
    expect(modelToGraph(modelOf([call("F98", ["x"], ["y"])], functions)).nodes.map(({ op }) => op)).toEqual([
      "Relu",
    ]);
  });
});

test("names inside functions grow neither with depth nor, one by one, with the number of calls", () => {
  const long = "n".repeat(900);
  const functions = twice(12, [bodyNode("Relu", ["x"], [long]), bodyNode("Relu", [long], ["y"])]);
  const graph = modelToGraph(modelOf([call("F11", ["x"], ["y"])], functions));
  expect(graph.nodes.length).toBe(2 ** 12);
  const names = graph.nodes.flatMap(({ outputs }) => outputs.map(({ name }) => name));
  expect(new Set(names).size).toBe(names.length);
  expect(Math.max(...names.map((name) => name.length))).toBeLessThan(3000);
});
