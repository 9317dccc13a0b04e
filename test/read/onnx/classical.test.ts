// Files as skl2onnx writes them for scikit-learn: networks with scalers before them and names of classes after them. ONNX Runtime, which
// computes all of it, is the oracle.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as ort from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { float32, int64, sizeOf } from "../../../src/base/tensor.js";
import { exportModel } from "../../../src/export/export-model.js";
import { encodeModel } from "../../../src/onnx/codec.js";
import { attributeProto } from "../../../src/onnx/from-graph.js";
import type {
  AttributeProto,
  ModelProto,
  NodeProto,
  TensorProto,
  ValueInfoProto,
} from "../../../src/onnx/model-proto.js";
import { ATTRIBUTE_TYPE } from "../../../src/onnx/model-proto.js";
import { tensorToProto } from "../../../src/onnx/tensor-proto.js";
import { openModel } from "../../../src/open/open-model.js";
import { parity } from "../../../src/parity/parity.js";
import { seeded } from "../../support/layers-models.js";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "qdg-classical-"));
});
afterAll(() => rm(folder, { recursive: true }));

const ML = "ai.onnx.ml";
const FLOAT = 1;
const INT64 = 7;
const STRING = 8;
const utf8 = new TextEncoder();

const floats = (name: string, ...list: readonly number[]): AttributeProto => ({
  name,
  type: ATTRIBUTE_TYPE.floats,
  floats: list,
});
const text = (name: string, value: string): AttributeProto => ({
  name,
  type: ATTRIBUTE_TYPE.string,
  s: utf8.encode(value),
});
const texts = (name: string, ...list: readonly string[]): AttributeProto => ({
  name,
  type: ATTRIBUTE_TYPE.strings,
  strings: list.map((each) => utf8.encode(each)),
});
const integers = (name: string, ...list: readonly number[]): AttributeProto => attributeProto(name, list);
const node = (
  opType: string,
  input: readonly string[],
  output: readonly string[],
  domain = "",
  ...attribute: readonly AttributeProto[]
): NodeProto => ({ opType, input, output, ...(domain === "" ? {} : { domain }), attribute });
const info = (name: string, elemType: number, ...dims: readonly (number | null)[]): ValueInfoProto => ({
  name,
  type: {
    tensorType: { elemType, shape: { dim: dims.map((size) => (size === null ? {} : { dimValue: size })) } },
  },
});
const random = seeded(4);
const real = (name: string, ...shape: readonly number[]): TensorProto => ({
  ...tensorToProto(
    float32(
      shape,
      Float32Array.from({ length: sizeOf(shape) }, () => 2 * random() - 1),
    ),
  ),
  name,
});

interface Parts {
  /** Between "X" [N, 4] and "scaled". */
  readonly before: readonly NodeProto[];
  /** From "sums" [N, 3]. */
  readonly after: readonly NodeProto[];
  readonly outputs: readonly ValueInfoProto[];
  readonly constants?: readonly TensorProto[];
  readonly opset?: number;
}

/** A hidden layer of 5 between what stands before and after. */
function modelOf({ before, after, outputs, constants = [], opset = 21 }: Parts): ModelProto {
  return {
    irVersion: 8,
    opsetImport: [{ domain: ML, version: 1 }, { version: opset }, { version: opset }],
    graph: {
      name: "sklearn",
      input: [info("X", FLOAT, null, 4)],
      output: outputs,
      initializer: [real("w", 4, 5), real("b", 1, 5), real("v", 5, 3), real("c", 1, 3), ...constants],
      node: [
        ...before,
        node("MatMul", ["scaled", "w"], ["product"]),
        node("Add", ["product", "b"], ["hidden"]),
        node("Relu", ["hidden"], ["relu"]),
        node("MatMul", ["relu", "v"], ["product2"]),
        node("Add", ["product2", "c"], ["sums"]),
        ...after,
      ],
    },
  };
}

const cast = node("Cast", ["X"], ["scaled"], "", attributeProto("to", FLOAT));
const softmax = [node("Softmax", ["sums"], ["probabilities"], "", attributeProto("axis", 1))];
const probabilities = info("probabilities", FLOAT, null, 3);
const named: Pick<Parts, "constants" | "outputs"> & { readonly nodes: readonly NodeProto[] } = {
  constants: [
    {
      name: "classes",
      dims: [3],
      dataType: STRING,
      stringData: ["cat", "dog", "owl"].map((each) => utf8.encode(each)),
    },
    { ...tensorToProto(int64([1], [-1])), name: "flat" },
  ],
  outputs: [info("label", STRING, null), probabilities],
  nodes: [
    node("ArgMax", ["probabilities"], ["best"], "", attributeProto("axis", 1)),
    node("ArrayFeatureExtractor", ["classes", "best"], ["picked"], ML),
    node("Reshape", ["picked", "flat"], ["label"]),
  ],
};

async function written(model: ModelProto): Promise<string> {
  const path = join(folder, "sklearn.onnx");
  await writeFile(path, encodeModel(model));
  return path;
}

const X = Float32Array.from({ length: 4 * 25 }, () => 4 * random() - 2);
// A row of nothing, which a normalizer must not divide by.
X.fill(0, 0, 4);

/** Of the file, or of what qdg makes of it. */
async function run(path: string, output: string): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(path, { logSeverityLevel: 3 });
  const results = await session.run({ X: new ort.Tensor("float32", X, [25, 4]) }, [output]);
  await session.release();
  return (results[output] as ort.Tensor).data as Float32Array;
}

describe("a file of scikit-learn", () => {
  test.each<[string, Parts, string]>([
    [
      "StandardScaler",
      {
        before: [
          node(
            "Scaler",
            ["X"],
            ["scaled"],
            ML,
            floats("offset", 0.1, 0.2, 0.3, -0.4),
            floats("scale", 2, 3, 0.5, 1),
          ),
        ],
        after: softmax,
        outputs: [probabilities],
      },
      "probabilities",
    ],
    [
      "one number for all in a Scaler",
      {
        before: [node("Scaler", ["X"], ["scaled"], ML, floats("offset", 0.5), floats("scale", 2))],
        after: softmax,
        outputs: [probabilities],
      },
      "probabilities",
    ],
    ...["L1", "L2"].flatMap((norm): [string, Parts, string][] =>
      [15, 21].map((opset) => [
        `Normalizer of ${norm} at opset ${opset}`,
        {
          before: [node("Normalizer", ["X"], ["scaled"], ML, text("norm", norm))],
          after: softmax,
          outputs: [probabilities],
          opset,
        },
        "probabilities",
      ]),
    ),
    [
      "LinearRegressor of two targets",
      {
        before: [cast],
        after: [
          node(
            "LinearRegressor",
            ["sums"],
            ["y"],
            ML,
            floats("coefficients", 1, -2, 0.5, 0.25, 1, 3),
            floats("intercepts", 0.5, -1),
            attributeProto("targets", 2),
          ),
        ],
        outputs: [info("y", FLOAT, null, 2)],
      },
      "y",
    ],
    ...["NONE", "SOFTMAX", "LOGISTIC"].map((transform): [string, Parts, string] => [
      `LinearClassifier with ${transform}`,
      {
        before: [cast],
        after: [
          node(
            "LinearClassifier",
            ["sums"],
            ["label", "scores"],
            ML,
            floats("coefficients", 1, -2, 0.5, 0.25, 1, 3),
            floats("intercepts", 0.5, -1),
            integers("classlabels_ints", 3, 8),
            text("post_transform", transform),
          ),
        ],
        outputs: [info("label", INT64, null), info("scores", FLOAT, null, 2)],
      },
      "scores",
    ]),
  ])("with %s computes what ONNX Runtime does", async (_, parts, output) => {
    const model = await written(modelOf(parts));
    const made = join(folder, "float.onnx");
    await exportModel({ model, output: made, float: true, force: true });
    const [expected, got] = [await run(model, output), await run(made, output)];
    expect(got.length).toBe(expected.length);
    got.forEach((x, i) => expect(Math.abs(x - (expected[i] as number))).toBeLessThan(1e-5));
    const report = await parity({ model: made, data: ["random:5"], targets: ["cpu"], reference: model });
    expect(report.reasons).toEqual([]);
  });

  test("names of classes are labels, and no output", async () => {
    const path = await written(modelOf({ before: [cast], after: [...softmax, ...named.nodes], ...named }));
    const { graph, facts, warnings } = await openModel(path);
    expect(graph.outputs.map(({ name }) => name)).toEqual(["probabilities"]);
    expect(facts.labels).toEqual(["cat", "dog", "owl"]);
    expect(warnings).toEqual([
      expect.stringContaining("names its most probable class in label: that output is left out"),
    ]);
  });

  test("names put to numbers by a ZipMap are labels, and the numbers the output", async () => {
    const zip = node(
      "ZipMap",
      ["probabilities"],
      ["zipped"],
      ML,
      texts("classlabels_strings", "cat", "dog", "owl"),
    );
    const model = modelOf({ before: [cast], after: [...softmax, zip], outputs: [{ name: "zipped" }] });
    const { graph, facts, warnings } = await openModel(await written(model));
    expect(graph.outputs.map(({ name, shape }) => [name, shape])).toEqual([["probabilities", ["N", 3]]]);
    expect([facts.labels, warnings]).toEqual([["cat", "dog", "owl"], []]);
  });

  test("is quantized like any network", async () => {
    const model = await written(modelOf({ before: [cast], after: [...softmax, ...named.nodes], ...named }));
    const output = join(folder, "quantized.onnx");
    const { bits } = await exportModel({ model, output, force: true, weightBits: 4 });
    expect(Object.keys(bits)).toHaveLength(2);
    expect(
      (await parity({ model: output, data: ["random:20"] })).targets.flatMap(({ outputs }) => outputs).length,
    ).toBe(2);
  });
});

describe("what is no network is refused by name", () => {
  test.each<[string, readonly NodeProto[], RegExp]>([
    [
      "trees",
      [node("TreeEnsembleRegressor", ["sums"], ["y"], ML)],
      /TreeEnsembleRegressor, which is of decision trees and no layer/,
    ],
    [
      "support vectors",
      [node("SVMRegressor", ["sums"], ["y"], ML)],
      /SVMRegressor, which is of support vectors and no layer/,
    ],
    [
      "others",
      [node("Imputer", ["sums"], ["y"], ML)],
      /Imputer, which is of traditional machine learning and no layer/,
    ],
    [
      "a normalizer by the largest",
      [node("Normalizer", ["sums"], ["y"], ML, text("norm", "MAX"))],
      /y \(Normalizer\): norm: got MAX, expected L1 or L2/,
    ],
    [
      "a linear model that transforms",
      [
        node(
          "LinearRegressor",
          ["sums"],
          ["y"],
          ML,
          floats("coefficients", 1, 2, 3),
          text("post_transform", "PROBIT"),
        ),
      ],
      /post_transform: got PROBIT, expected NONE/,
    ],
    [
      "coefficients of another number",
      [
        node(
          "LinearRegressor",
          ["sums"],
          ["y"],
          ML,
          floats("coefficients", 1, 2, 3),
          floats("intercepts", 1, 2),
        ),
      ],
      /has 3 coefficients and 2 intercepts for 1 outputs/,
    ],
    [
      "a scaler without a scale",
      [node("Scaler", ["sums"], ["y"], ML, floats("offset", 1))],
      /has no offset or no scale/,
    ],
  ])("%s", async (_, after, message) => {
    const path = await written(modelOf({ before: [cast], after, outputs: [info("y", FLOAT, null, 3)] }));
    await expect(openModel(path)).rejects.toThrow(message);
  });

  test("a file of which only a name would be left", async () => {
    const path = await written(
      modelOf({
        before: [cast],
        after: [...softmax, ...named.nodes],
        ...named,
        outputs: [info("label", STRING, null)],
      }),
    );
    await expect(openModel(path)).rejects.toThrow(
      /ArrayFeatureExtractor, which is of traditional machine learning/,
    );
  });
});
