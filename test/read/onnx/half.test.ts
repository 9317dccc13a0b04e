// Models in float16: read as the same model in float32, number for number.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { float32, sizeOf } from "../../../src/base/tensor.js";
import { toFloat16 } from "../../../src/compute/cast.js";
import { exportModel } from "../../../src/export/export-model.js";
import { valuesOf } from "../../../src/graph/graph.js";
import { printGraph } from "../../../src/graph/print.js";
import { encodeModel } from "../../../src/onnx/codec.js";
import { DATA_TYPE } from "../../../src/onnx/data-type.js";
import { attributeProto } from "../../../src/onnx/from-graph.js";
import { inspectFile } from "../../../src/export/inspect.js";
import {
  ATTRIBUTE_TYPE,
  type AttributeProto,
  type ModelProto,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from "../../../src/onnx/model-proto.js";
import { tensorToProto } from "../../../src/onnx/tensor-proto.js";
import { rangePreprocessing } from "../../../src/image/preprocessing.js";
import { openModel } from "../../../src/open/open-model.js";
import { parity } from "../../../src/parity/parity.js";
import { inSingle } from "../../../src/read/onnx/half.js";
import { readOnnx } from "../../../src/read/onnx/read-onnx.js";
import { cpuRuntime } from "../../../src/runtime/cpu.js";
import { seeded } from "../../support/layers-models.js";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "qdg-half-"));
});
afterAll(async () => rm(folder, { recursive: true }));

const HALF = DATA_TYPE.float16;

function info(name: string, shape: readonly number[], elemType: number): ValueInfoProto {
  return {
    name,
    type: { tensorType: { elemType, shape: { dim: shape.map((dimValue) => ({ dimValue })) } } },
  };
}

/** Halves, in raw bytes or as the list of the format. */
function weight(
  name: string,
  shape: readonly number[],
  random: () => number,
  asList: boolean,
  half: boolean,
): TensorProto {
  const bits = Array.from({ length: sizeOf(shape) }, () => toFloat16(random() - 0.5));
  if (!half) return tensorToProto(float32(shape, bits.map(numberOf)), name);
  if (asList) return { dims: shape, dataType: HALF, name, int32Data: Int32Array.from(bits) };
  return tensorToProto({ dtype: "float16", shape, data: Uint16Array.from(bits) }, name);
}

/** By the definition of the format. */
function numberOf(bits: number): number {
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  return sign * (exponent === 0 ? fraction / 2 ** 24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
}

function tensorValue(t: TensorProto): readonly AttributeProto[] {
  return [{ name: "value", type: ATTRIBUTE_TYPE.tensor, t }];
}

function nodeOf(opType: string, input: readonly string[], output: string, more: NodeProto = {}): NodeProto {
  return { opType, name: `n_${output}`, input, output: [output], ...more };
}

interface Kind {
  /** In float32 otherwise, the same numbers. */
  readonly half: boolean;
  /** Inputs and outputs stay float32, with casts after and before them. */
  readonly keepsPorts?: boolean;
}

/** A convolution, a function that is called, constants, a cast to float32 and back, a classifier. */
function modelOf({ half, keepsPorts = false }: Kind): ModelProto {
  const random = seeded(4);
  const type = half ? HALF : DATA_TYPE.float32;
  const port = keepsPorts ? DATA_TYPE.float32 : type;
  const cast = (input: string, output: string, to: number): NodeProto =>
    nodeOf("Cast", [input], output, { attribute: [attributeProto("to", to)] });
  const scalar = (x: number): TensorProto =>
    half
      ? tensorToProto({ dtype: "float16", shape: [], data: Uint16Array.of(toFloat16(x)) })
      : tensorToProto(float32([], [x]));
  return {
    irVersion: 8,
    opsetImport: [{ version: 17 }, { domain: "own", version: 1 }],
    functions: [
      {
        name: "Doubled",
        domain: "own",
        input: ["a"],
        output: ["b"],
        opsetImport: [{ version: 17 }],
        node: [
          nodeOf("Constant", [], "two", { attribute: tensorValue(scalar(2)) }),
          nodeOf("Mul", ["a", "two"], "b"),
        ],
      },
    ],
    graph: {
      name: "half",
      input: [info("image", [1, 3, 8, 8], port)],
      output: [info("scores", [1, 4], port)],
      valueInfo: [info("c", [1, 4, 8, 8], type)],
      initializer: [
        weight("w", [4, 3, 3, 3], random, false, half),
        weight("b", [4], random, true, half),
        weight("v", [4, 4], random, true, half),
      ],
      node: [
        keepsPorts ? cast("image", "x", type) : nodeOf("Identity", ["image"], "x"),
        nodeOf("Conv", ["x", "w", "b"], "c", { attribute: [attributeProto("pads", [1, 1, 1, 1])] }),
        nodeOf("Relu", ["c"], "r"),
        nodeOf("Doubled", ["r"], "d", { domain: "own" }),
        cast("d", "wide", DATA_TYPE.float32),
        nodeOf("GlobalAveragePool", ["wide"], "pooled"),
        cast("pooled", "narrow", type),
        nodeOf("Flatten", ["narrow"], "flat"),
        nodeOf("MatMul", ["flat", "v"], "sums"),
        keepsPorts ? cast("sums", "scores", port) : nodeOf("Identity", ["sums"], "scores"),
      ],
    },
  };
}

test.each([false, true])(
  "every number is that of the same model in float32, ports in float32: %s",
  (keepsPorts) => {
    const half = readOnnx(modelOf({ half: true, keepsPorts }), "half.onnx");
    const single = readOnnx(modelOf({ half: false, keepsPorts }), "single.onnx");
    expect(printGraph(half)).toBe(printGraph(single));
    const constants = (graph: typeof half): unknown => valuesOf(graph).map(({ constant }) => constant?.data);
    expect(constants(half)).toEqual(constants(single));
    expect(valuesOf(half).every(({ dtype }) => dtype !== "float16")).toBe(true);
  },
);

test("what ONNX Runtime computes from the file in float16 is near", async () => {
  const model = modelOf({ half: true, keepsPorts: true });
  const image = Float32Array.from({ length: 3 * 64 }, seeded(8));
  const scores = async (bytes: Uint8Array): Promise<Float32Array> => {
    const session = await cpuRuntime.open({ bytes });
    const results = await session.run({ image: float32([1, 3, 8, 8], image) });
    await session.dispose();
    return results["scores"]?.data as Float32Array;
  };
  const [asWritten, asRead] = [
    await scores(encodeModel(model)),
    await scores(encodeModel(inSingle(model).model)),
  ];
  // Eleven bits of each sum, several sums one after the other.
  for (const [i, x] of asRead.entries()) expect(Math.abs(x - (asWritten[i] as number))).toBeLessThan(0.01);
  expect(Math.max(...asRead.map(Math.abs))).toBeGreaterThan(0.05);
});

test("a user is told, with the names of inputs and outputs that change their type", async () => {
  const path = join(folder, "half.onnx");
  await writeFile(path, encodeModel(modelOf({ half: true })));
  const { graph, warnings } = await openModel(path);
  const read =
    "has float16 in it, which is read as float32: weights keep their values, sums are more exact than in the file";
  const ports = "inputs and outputs of float16 (image, scores) are float32 in what is made of it";
  expect(warnings).toEqual([`${path} ${read}; ${ports}`]);
  expect([...graph.inputs, ...graph.outputs].map(({ dtype }) => dtype)).toEqual(["float32", "float32"]);
  expect((await inspectFile(path)).notes).toContain(`${read}; ${ports}`);
  const kept = inSingle(modelOf({ half: true, keepsPorts: true }));
  expect(kept.warning).toBe(read);
  const single = modelOf({ half: false });
  expect(inSingle(single)).toEqual({ model: single, warning: null });
  expect(inSingle(single).model).toBe(single);
});

test("it is exported, and compared with the file that it comes from", async () => {
  const model = join(folder, "source.onnx");
  const output = join(folder, "out.onnx");
  await writeFile(model, encodeModel(modelOf({ half: true })));
  const { warnings } = await exportModel({
    model,
    output,
    bits: 8,
    calibration: ["synthetic"],
    calibrationCount: 8,
    heldOutCount: 4,
    preprocessing: rangePreprocessing(-1, 1),
  });
  expect(warnings.filter((each) => each.includes("float16"))).toHaveLength(1);
  const report = await parity({ model: output, data: ["random:4"], targets: ["cpu"], reference: model });
  expect(report.reasons).toEqual([]);
  // Eight bits; numbers of another type or order would be apart by their own size.
  expect(report.float?.outputs[0]?.relativeDifference).toBeLessThan(0.05);
});

test("a damaged tensor is told by its name", () => {
  const model = modelOf({ half: true });
  const broken = { dims: [4], dataType: HALF, name: "b", rawData: new Uint8Array(6) };
  const initializer = (model.graph?.initializer ?? []).map((each) => (each.name === "b" ? broken : each));
  expect(() => readOnnx({ ...model, graph: { ...model.graph, initializer } }, "half.onnx")).toThrow(
    /tensor b: has 6 bytes of data, expected 8 for float16 \[4\]/,
  );
});
