// Export compares what ONNX Runtime computes of a file with what the file says: files written by hand as lowering must
// not write them are refused, and a real export says what was compared.

import { access } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { expectDType, float32, int64, sizeOf, tensor, type Tensor } from "../../src/base/tensor.js";
import { exportModel } from "../../src/export/export-model.js";
import { randomFeeds } from "../../src/export/random-feeds.js";
import type { Samples } from "../../src/export/samples.js";
import { verifyFile } from "../../src/export/verify-file.js";
import type { Value } from "../../src/graph/graph.js";
import { GraphBuilder } from "../../src/graph/builder.js";
import { rangePreprocessing } from "../../src/image/preprocessing.js";
import { encodeModel } from "../../src/onnx/codec.js";
import { graphToModel } from "../../src/onnx/from-graph.js";
import { stepDifference } from "../../src/quant/step-difference.js";
import { activationSpec } from "../../src/quant/spec.js";
import { cpuRuntime } from "../../src/runtime/cpu.js";
import { referenceRuntime } from "../../src/runtime/reference.js";
import type { Session } from "../../src/runtime/runtime.js";
import { runCli } from "../support/run-cli.js";
import {
  editJson,
  madeUpScales,
  newFolder,
  removeFolder,
  writeImages,
  writeResnet,
} from "../support/small-models.js";
import { Random, Sketch } from "../runtime/sketch.js";

let folder: string;
let images: string;
let model: string;
beforeAll(async () => {
  folder = await newFolder();
  images = await writeImages(join(folder, "images"), 12);
  model = await writeResnet(folder);
});
afterAll(() => removeFolder(folder));
afterEach(() => {
  vi.restoreAllMocks();
});

interface Written {
  readonly bytes: Uint8Array;
  readonly samples: Samples;
}

interface Middle {
  readonly op: string;
  readonly attributes?: Readonly<Record<string, number>>;
  readonly axes?: readonly number[];
  /** Between DequantizeLinear and QuantizeLinear, or real by plain operators. */
  readonly dequantizes: boolean;
  readonly columns: number;
  readonly scale: number;
  readonly zeroPoint: number;
}

const SCALE = Math.fround(0.0317);

/** A float input as bytes, real again, through the operator, bytes again, then a MatMul that makes two steps of one. */
function written(middle: Middle): Written {
  const { op, columns, zeroPoint } = middle;
  const scale = Math.fround(middle.scale);
  const shape = [4, columns];
  const random = new Random(5);
  const data = Float32Array.from({ length: sizeOf(shape) }, () => 8 * random.next() - 4);
  const sketch = new Sketch();
  const s = sketch.real("s", SCALE);
  const x = sketch.input("x", float32(shape, data));
  const q = sketch.node("QuantizeLinear", [x, s, sketch.byte("z", 128)], {}, "uint8", shape);
  const real = middle.dequantizes ? sketch.dequantize(q, SCALE, 128) : plainlyReal(sketch, q, s);
  const { axes } = middle;
  const operands: Value[] = [real];
  if (axes) operands.push(sketch.constant("axes", int64([axes.length], axes)));
  const y = sketch.node(op, operands, middle.attributes ?? {}, "float32", shape);
  const inputs = [y, sketch.real("s_q", scale), sketch.byte("z_q", zeroPoint)];
  const bytes = sketch.node("QuantizeLinear", inputs, {}, "uint8", shape);
  // Each element by itself, and twice as many steps of it.
  const weights = Int8Array.from({ length: columns ** 2 }, (_, i) => (i % (columns + 1) === 0 ? 100 : 0));
  const kernel = sketch.node("DequantizeLinear", [
    sketch.constant("w", tensor("int8", [columns, columns], weights)),
    sketch.real("s_w", 1),
    sketch.constant("z_w", tensor("int8", [], new Int8Array(1))),
  ]);
  const sum = sketch.node("MatMul", [sketch.dequantize(bytes, scale, zeroPoint), kernel]);
  const { graph, feeds } = sketch.model(sum, [4, columns], { scale: 50 * scale, zeroPoint: 128 });
  return {
    bytes: encodeModel(graphToModel(graph, { opset: 21, irVersion: 10, producerVersion: "test" })),
    samples: {
      count: 1,
      async *read() {
        yield feeds;
      },
    },
  };
}

function plainlyReal(sketch: Sketch, q: Value, scale: Value): Value {
  const cast = sketch.node("Cast", [q], { to: 1 });
  const centred = sketch.node("Sub", [cast, sketch.real("z_real", 128)]);
  return sketch.node("Mul", [centred, scale]);
}

/** Ten elements, a fine scale: ONNX Runtime's QLinearSoftmax leaves its 32 bits. */
const SOFTMAX: Middle = {
  op: "Softmax",
  attributes: { axis: -1 },
  dequantizes: true,
  columns: 10,
  scale: 0.0005,
  zeroPoint: 0,
};

/** Means of four bytes on the scale of the bytes: a quarter of them lies on a tie, but for the last bits. */
const MEANS: Middle = {
  op: "ReduceMean",
  attributes: { keepdims: 1 },
  axes: [0],
  dequantizes: false,
  columns: 60,
  scale: SCALE,
  zeroPoint: 128,
};

function verify({ bytes, samples }: Written): ReturnType<typeof verifyFile> {
  return verifyFile("model.onnx", bytes, { source: "held-out", samples });
}

describe("the integers of a file are compared with the reference's", () => {
  test("a softmax that ONNX Runtime takes for its approximate kernel is an error with layer and steps", async () => {
    await expect(verify(written(SOFTMAX))).rejects.toThrow(
      /^model\.onnx, layer QuantizeLinear\d: \d+ integers of tensor QuantizeLinear\d differ from the reference's on cpu, by up to (1|2)\d\d steps, more than the one of a tie; nothing is written\. Try --form float; --no-verify/,
    );
    expect(await verify(written({ ...SOFTMAX, dequantizes: false }))).toMatchObject({ samples: 1, ties: 0 });
  });

  test("single steps next to a tie are counted, and the layers behind them are judged by themselves", async () => {
    const file = written(MEANS);
    const verified = await verify(file);
    expect(verified).toMatchObject({ samples: 1, tensors: 3, tieLayers: ["QuantizeLinear5"] });
    expect((verified as { ties: number }).ties).toBeGreaterThan(0);
    const results: Tensor[] = [];
    for (const runtime of [referenceRuntime, cpuRuntime]) {
      const session = await runtime.open({ bytes: file.bytes });
      for await (const feeds of file.samples.read()) results.push(...Object.values(await session.run(feeds)));
      await session.dispose();
    }
    // From end to end a tie is more than one step: what a comparison of whole runs would call an error.
    const [a, b] = results.map((result) => expectDType(result, "uint8", "output").data);
    expect(stepDifference(a ?? [], b ?? []).largestSteps).toBeGreaterThan(1);
  });

  test("a file with an operator that the reference does not compute is not verified, and says so", async () => {
    const file = written({ ...MEANS, op: "Celu", axes: undefined as never, attributes: {} });
    expect(await verify(file)).toEqual({
      skipped: expect.stringMatching(/Celu.*the reference interpreter has no such operator/),
    });
  });
});

function target(name: string): string {
  return join(folder, `${name}.onnx`);
}

function exported(name: string, more: object = {}): ReturnType<typeof exportModel> {
  const preprocessing = rangePreprocessing(0, 1);
  return exportModel({ model, output: target(name), bits: 4, calibration: [images], preprocessing, ...more });
}

/** ONNX Runtime, with the last byte of every quantized tensor moved. */
function disturb(steps: number): void {
  const open = cpuRuntime.open.bind(cpuRuntime);
  vi.spyOn(cpuRuntime, "open").mockImplementation(async (...args) => {
    const session = await open(...args);
    const run: Session["run"] = async (feeds) => {
      const results = await session.run(feeds);
      for (const { dtype, data } of Object.values(results)) {
        const last = data.length - 1;
        if (dtype === "uint8") data[last] = Number(data[last]) + (Number(data[last]) < 100 ? steps : -steps);
      }
      return results;
    };
    return { inputs: session.inputs, outputs: session.outputs, run, dispose: () => session.dispose() };
  });
}

describe("an export", () => {
  test("says on how many samples of which kind its integers were compared", async () => {
    const { verification } = await exported("held-out");
    expect(verification).toMatchObject({ samples: 2, source: "held-out", ties: 0, tieLayers: [] });
    expect((verification as { integers: number }).integers).toBeGreaterThan(1000);
    const calibrated = await exported("calibration", { heldOutCount: 0 });
    expect(calibrated.verification).toMatchObject({ samples: 2, source: "calibration" });
    const both = await exported("both", { targets: ["cpu", "webgpu"] });
    const { tensors } = verification as { tensors: number };
    expect(both.verification).toMatchObject({ samples: 2, ties: 0 });
    expect((both.verification as { tensors: number }).tensors).toBeGreaterThan(1.5 * tensors);
  });

  test("of learned scales alone compares random inputs, the same each time", async () => {
    const learned = await writeResnet(join(folder, "learned"));
    const qdg = await madeUpScales(learned, { weightBits: 4, activationBits: 4 });
    await editJson(learned, (json) => Object.assign(json, { userDefinedMetadata: { qdg } }));
    const options = { model: learned, bits: undefined as never, calibration: [], force: true };
    const { verification } = await exported("learned", options);
    expect(verification).toMatchObject({ samples: 2, source: "random" });
    expect((await exported("learned", options)).verification).toEqual(verification);
  });

  test("without activations to quantize has nothing to compare", async () => {
    const { verification } = await exported("weights", { calibration: [] });
    expect(verification).toEqual({ skipped: "the file has no quantized tensors" });
  });

  test.each([
    [1, /by up to 1 step, though the file's own numbers prove that there can be none; nothing is written/],
    [3, /layer \S+: \d+ integers of tensor \S+ differ .*; nothing is written/],
  ])(
    "whose integers ONNX Runtime computes otherwise, by %i step(s), is an error and writes no file",
    async (steps, says) => {
      disturb(steps);
      await expect(exported("disturbed")).rejects.toThrow(says);
      await expect(access(target("disturbed"))).rejects.toThrow(/ENOENT/);
    },
  );

  test("writes such a file where it is told not to verify, and says that it did not", async () => {
    disturb(3);
    const { verification } = await exported("unverified", { verify: false });
    expect(verification).toEqual({ skipped: "--no-verify" });
    await access(target("unverified"));
    vi.restoreAllMocks();
    const args = ["export", model, "--bits", "4", "--calibration", images, "--preprocess", "0,1", "--force"];
    const said = await runCli(...args, "-o", target("said"));
    expect(said.stderr).toMatch(
      /verified on 2 held-out samples: all of \d+ integers in \d+ tensors are the ref/,
    );
    const unsaid = await runCli(...args, "-o", target("said"), "--no-verify");
    expect(unsaid.stderr).toContain("integers not verified: --no-verify");
  });
});

describe("random inputs", () => {
  test("lie in the range of the input's quantizer, and look up rows that are there", () => {
    const net = new GraphBuilder("inputs");
    const x = net.input("x", ["N", "H", 5, 3]);
    x.quantization = {
      spec: activationSpec(8, "asymmetric"),
      params: { scale: Float32Array.of(0.5), zeroPoint: Int32Array.of(55) },
    };
    const i = net.input("i", ["N", 400], "int32");
    const table = net.constant("table", float32([7, 2], new Float32Array(14)));
    net.output(net.node("Gather", "lookup", [table, i], { name: "rows", shape: ["N", 400, 2] }));
    const options = { inputSize: [9, 5], layout: "nhwc" } as const;
    const feeds = randomFeeds(net.graph, null, options, 1);
    expect(feeds["x"]?.shape).toEqual([1, 9, 5, 3]);
    const reals = feeds["x"]?.data as Float32Array;
    expect(Math.min(...reals)).toBeGreaterThanOrEqual(-27.5);
    expect(Math.max(...reals)).toBeLessThanOrEqual(100);
    expect(Math.max(...reals)).toBeGreaterThan(90);
    const indices = new Set(Array.from(feeds["i"]?.data ?? [], Number));
    expect(indices).toEqual(new Set([0, 1, 2, 3, 4, 5, 6]));
    expect(randomFeeds(net.graph, null, options, 1)).toEqual(feeds);
    expect(randomFeeds(net.graph, null, options, 2)).not.toEqual(feeds);
  });

  test("lie in the range of the preprocessing where no quantizer says more", () => {
    const net = new GraphBuilder("inputs");
    net.input("x", ["N", 100]);
    const options = { layout: "nhwc" } as const;
    const feeds = randomFeeds(net.graph, rangePreprocessing(10, 20), options, 1);
    const reals = Array.from(feeds["x"]?.data ?? [], Number);
    expect(Math.min(...reals)).toBeGreaterThanOrEqual(10);
    expect(Math.max(...reals)).toBeGreaterThan(19);
  });
});
