// What the WebGPU form writes, and what ONNX Runtime leaves of it: the multiplier must survive its fusions, or sums
// stop being integers. That the numbers are right is tested by running random networks (test/e2e).

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { float32, type Tensor } from "../../src/base/tensor.js";
import { integerFile } from "../../src/export/integer-file.js";
import { GraphBuilder } from "../../src/graph/builder.js";
import type { Graph, Value } from "../../src/graph/graph.js";
import { printGraph } from "../../src/graph/print.js";
import { lower } from "../../src/lower/lower.js";
import { decodeModel } from "../../src/onnx/codec.js";
import type { GraphProto, NodeProto } from "../../src/onnx/model-proto.js";
import { protoToTensor } from "../../src/onnx/tensor-proto.js";
import { quantize } from "../../src/quant/affine.js";
import { activationSpec, type Quantization, weightSpec } from "../../src/quant/spec.js";
import { cpuRuntime } from "../../src/runtime/cpu.js";
import { referenceRuntime } from "../../src/runtime/reference.js";
import type { Runtime } from "../../src/runtime/runtime.js";
import { wasmRuntime } from "../../src/runtime/wasm.js";
import { webgpuRuntime } from "../../src/runtime/webgpu.js";
import { needsWebgpu } from "../support/needs.js";
import { Random } from "../runtime/sketch.js";

const WEBGPU = await needsWebgpu();
let folder: string;
beforeAll(async () => (folder = await mkdtemp(join(tmpdir(), "qdg-webgpu-"))));
afterAll(() => rm(folder, { recursive: true, force: true }));

function quantized(value: Value, bits: number, scale: number): Value {
  value.quantization = {
    spec: activationSpec(bits, "non-negative"),
    params: { scale: Float32Array.of(scale), zeroPoint: Int32Array.of(0) },
  };
  return value;
}

function conv(net: GraphBuilder, name: string, x: Value, channels: number, scale: number, bits = 3): Value {
  const [, inputs = 1, h, w] = x.shape as number[];
  const random = new Random(name.length);
  const largest = 2 ** (bits - 1) - 1;
  const weights = Float32Array.from(
    { length: channels * inputs * 9 },
    () => scale * random.integer(-largest, largest),
  );
  const kernel = net.constant(`${name}/kernel`, float32([channels, inputs, 3, 3], weights));
  kernel.quantization = {
    spec: weightSpec(bits, 0),
    params: {
      scale: new Float32Array(channels).fill(scale),
      zeroPoint: new Int32Array(channels),
    },
  };
  const bias = net.constant(`${name}/bias`, float32([channels], new Float32Array(channels).fill(scale)));
  const attributes = { pads: [1, 1, 1, 1] };
  return net.node(
    "Conv",
    name,
    [x, kernel, bias],
    { name, shape: [1, channels, h ?? 1, w ?? 1] },
    attributes,
  );
}

/** Conv -> ReLU -> Conv (signed) -> Conv to real; no scale a power of two. At 8 bits sums leave no room for fractions. */
function network(channels: number, bits: 3 | 8): Graph {
  const net = new GraphBuilder("net");
  const x = quantized(net.input("x", [1, 2, 6, 6]), bits, 0.3);
  const first = conv(net, "first", x, channels, 0.07, bits);
  const relu = net.node("Relu", "relu", [first], { name: "relu", shape: first.shape });
  const second = conv(net, "second", quantized(relu, bits, 0.11), channels, 0.05, bits);
  second.quantization = {
    spec: activationSpec(bits, "signed"),
    params: { scale: Float32Array.of(0.13), zeroPoint: Int32Array.of(0) },
  };
  net.output(conv(net, "last", second, 1, 0.03, bits));
  return net.graph;
}

test("where sums leave room, a fraction in the weights stands for the multiplier, and Floor for all else", () => {
  const { graph } = lower(network(1, 3), { form: "webgpu", weights: "packed" });
  expect(printGraph(graph)).toMatchInlineSnapshot(`
    "graph net(x: float32[1,2,6,6])
      _1: float32[1,2,6,6] = Mul(x, _0: float32[] = 3.33333) @input
      _4: float32[1,2,6,6] = Floor(_1) @input
      _5: float32[1,2,6,6] = Clip(_4, _2: float32[] = 0, _3: float32[] = 6) @input
      _6: int32[1,2,6,6] = Cast(_5) {to=6} @input
      _8: float32[1,2,6,6] = Gather(_7: float32[7], _6) @input
      _9: bool[1,2,6,6] = GreaterOrEqual(x, _8) @input
      _a: float32[1,2,6,6] = Cast(_9) {to=1} @input
      x/quantized: float32[1,2,6,6] = Add(_5, _a) @input
      _d: int8[1,2,3,3] = qdg.Unpack3(_b: uint8[3,3], _c: int64[4] = [1,2,3,3]) @first
      _e: float32[1,2,3,3] = Cast(_d) {to=1} @first
      _g: float32[1,2,3,3] = Mul(_e, _f: float32[1,1,1,1] = [0.195313]) @first
      _i: float32[1,1,6,6] = Conv(x/quantized, _g, _h: float32[1] = [1.07031]) {pads=[1,1,1,1]} @first
      _k: float32[1,1,6,6] = Clip(_i, _2: float32[] = 0, _j: float32[] = 7) @relu
      relu: float32[1,1,6,6] = Floor(_k)
      _n: int8[1,1,3,3] = qdg.Unpack3(_l: uint8[3,2] = [226,1,202,0,192,0], _m: int64[4] = [1,1,3,3]) @second
      _o: float32[1,1,3,3] = Cast(_n) {to=1} @second
      _q: float32[1,1,3,3] = Mul(_o, _p: float32[1,1,1,1] = [0.0424805]) @second
      _s: float32[1,1,6,6] = Conv(relu, _q, _r: float32[1] = [0.875977]) {pads=[1,1,1,1]} @second
      _v: float32[1,1,6,6] = Clip(_s, _t: float32[] = -4, _u: float32[] = 3) @second
      second: float32[1,1,6,6] = Floor(_v)
      _x: int8[1,1,3,3] = qdg.Unpack3(_w: uint8[3,2] = [228,1,194,1,128,1], _m: int64[4] = [1,1,3,3]) @last
      _y: float32[1,1,3,3] = Cast(_x) {to=1} @last
      _10: float32[1,1,6,6] = Conv(second, _y, _z: float32[1] = [7.6875]) {pads=[1,1,1,1]} @last
      _13: float32[1,1,6,6] = Clip(_10, _11: float32[] = -16777216, _12: float32[] = 16777216) @last
      last: float32[1,1,6,6] = Mul(_13, _14: float32[] = 0.0039)
      return last
    "
  `);
});

test("elsewhere sums become products, clamps and sums: no division, no Round, no 8-bit operator", () => {
  const { graph } = lower(network(8, 8), { form: "webgpu", weights: "int8" });
  expect(printGraph(graph)).toMatchInlineSnapshot(`
    "graph net(x: float32[1,2,6,6])
      _1: float32[1,2,6,6] = Mul(x, _0: float32[] = 3.33333) @input
      _4: float32[1,2,6,6] = Floor(_1) @input
      _5: float32[1,2,6,6] = Clip(_4, _2: float32[] = 0, _3: float32[] = 254) @input
      _6: int32[1,2,6,6] = Cast(_5) {to=6} @input
      _8: float32[1,2,6,6] = Gather(_7: float32[255], _6) @input
      _9: bool[1,2,6,6] = GreaterOrEqual(x, _8) @input
      _a: float32[1,2,6,6] = Cast(_9) {to=1} @input
      x/quantized: float32[1,2,6,6] = Add(_5, _a) @input
      _c: float32[8,2,3,3] = Cast(_b: uint8[8,2,3,3]) {to=1} @first
      _e: float32[8,2,3,3] = Sub(_c, _d: float32[] = 128) @first
      _g: float32[1,8,6,6] = Conv(x/quantized, _e, _f: float32[8]) {pads=[1,1,1,1]} @first
      _h: float32[1,8,6,6] = Relu(_g) @relu
      _j: float32[1,8,6,6] = Mul(_h, _i: float32[1,8,1,1]) @relu
      _l: float32[1,8,6,6] = Clip(_j, _2: float32[] = 0, _k: float32[] = 255) @relu
      _n: float32[1,8,6,6] = Add(_l, _m: float32[] = 12582912) @relu
      relu: float32[1,8,6,6] = Sub(_n, _m: float32[] = 12582912)
      _p: float32[8,8,3,3] = Cast(_o: uint8[8,8,3,3]) {to=1} @second
      _q: float32[8,8,3,3] = Sub(_p, _d: float32[] = 128) @second
      _s: float32[1,8,6,6] = Conv(relu, _q, _r: float32[8]) {pads=[1,1,1,1]} @second
      _v: float32[1,8,6,6] = Clip(_s, _t: float32[] = -16777216, _u: float32[] = 16777216) @second
      _x: float32[1,8,6,6] = Mul(_v, _w: float32[1,8,1,1]) @second
      _10: float32[1,8,6,6] = Clip(_x, _y: float32[] = -128, _z: float32[] = 127) @second
      _11: float32[1,8,6,6] = Add(_10, _m: float32[] = 12582912) @second
      second: float32[1,8,6,6] = Sub(_11, _m: float32[] = 12582912)
      _13: float32[1,8,3,3] = Cast(_12: uint8[1,8,3,3]) {to=1} @last
      _14: float32[1,8,3,3] = Sub(_13, _d: float32[] = 128) @last
      _16: float32[1,1,6,6] = Conv(second, _14, _15: float32[1] = [8]) {pads=[1,1,1,1]} @last
      _17: float32[1,1,6,6] = Clip(_16, _t: float32[] = -16777216, _u: float32[] = 16777216) @last
      last: float32[1,1,6,6] = Mul(_17, _18: float32[] = 0.0039)
      return last
    "
  `);
});

test("powers of two need neither a table for the input nor a multiplication of their own", () => {
  const net = new GraphBuilder("pow2");
  const x = quantized(net.input("x", [1, 1, 4, 4]), 8, 0.25);
  const layer = conv(net, "conv", x, 1, 0.5);
  net.output(conv(net, "last", quantized(layer, 4, 2), 1, 0.5));
  const { graph } = lower(net.graph, { form: "webgpu", weights: "int8" });
  expect(printGraph(graph)).toMatchInlineSnapshot(`
    "graph pow2(x: float32[1,1,4,4])
      _1: float32[1,1,4,4] = Mul(x, _0: float32[] = 4) @input
      _4: float32[1,1,4,4] = Clip(_1, _2: float32[] = 0, _3: float32[] = 255) @input
      _6: float32[1,1,4,4] = Add(_4, _5: float32[] = 12582912) @input
      x/quantized: float32[1,1,4,4] = Sub(_6, _5: float32[] = 12582912) @input
      _8: float32[1,1,3,3] = Cast(_7: int8[1,1,3,3]) {to=1} @conv
      _a: float32[1,1,3,3] = Mul(_8, _9: float32[1,1,1,1] = [0.0625]) @conv
      _c: float32[1,1,4,4] = Conv(x/quantized, _a, _b: float32[1] = [0.25]) {pads=[1,1,1,1]} @conv
      _e: float32[1,1,4,4] = Clip(_c, _2: float32[] = 0, _d: float32[] = 15) @conv
      _f: float32[1,1,4,4] = Add(_e, _5: float32[] = 12582912) @conv
      conv: float32[1,1,4,4] = Sub(_f, _5: float32[] = 12582912)
      _g: float32[1,1,3,3] = Cast(_7: int8[1,1,3,3]) {to=1} @last
      _i: float32[1,1,4,4] = Conv(conv, _g, _h: float32[1] = [0.5]) {pads=[1,1,1,1]} @last
      _l: float32[1,1,4,4] = Clip(_i, _j: float32[] = -16777216, _k: float32[] = 16777216) @last
      last: float32[1,1,4,4] = Mul(_l, _m: float32[] = 1)
      return last
    "
  `);
});

const constant = (graph: GraphProto, name = ""): Tensor | null => {
  const proto = graph.initializer?.find((each) => each.name === name);
  return proto ? protoToTensor(proto, name) : null;
};
const readers = (graph: GraphProto, { output = [] }: NodeProto): NodeProto[] =>
  (graph.node ?? []).filter(({ input = [] }) => input.includes(output[0] ?? ""));
/** Those of the network: on x86-64 the CPU computes a multiplier as a convolution too, "_mul_nchwc". */
const convolutions = (graph: GraphProto): NodeProto[] =>
  (graph.node ?? []).filter(
    ({ opType, name = "" }) => /^(Fused)?Conv$/.test(opType ?? "") && !name.endsWith("_mul_nchwc"),
  );

async function optimized(runtime: Runtime, bits: 3 | 8): Promise<GraphProto> {
  const { bytes } = integerFile(network(8, bits), 21, { form: "webgpu", weights: "packed" }, () => ({}));
  const optimizedModelPath = join(folder, `${runtime.name}.onnx`);
  await (await runtime.open({ bytes }, { optimizedModelPath })).dispose();
  return decodeModel(await readFile(optimizedModelPath)).graph ?? {};
}

describe("ONNX Runtime", () => {
  test.each([
    ["each multiplier", 8, "Mul"],
    ["Floor", 3, "Floor"],
  ] as const)(
    "computes the clamp in the convolution on WebGPU, and keeps %s after it at %i bits",
    WEBGPU,
    async (_, bits, next) => {
      const graph = await optimized(webgpuRuntime, bits);
      const found = convolutions(graph);
      expect(found.map((node) => readers(graph, node).map(({ opType }) => opType))).toEqual([
        [next],
        [next],
        expect.arrayContaining([expect.stringMatching(/Mul|Transpose/)]),
      ]);
      for (const node of found) {
        expect(node.attribute?.some(({ name }) => name === "activation")).toBe(true);
      }
    },
  );

  describe.each([
    { runtime: cpuRuntime, options: {} },
    { runtime: webgpuRuntime, options: WEBGPU },
  ])("in $runtime.name", ({ runtime, options }) => {
    test(
      "leaves integers as the weights of every convolution that has a multiplier after it",
      options,
      async () => {
        const graph = await optimized(runtime, 8);
        const found = convolutions(graph);
        expect(found.length).toBe(3);
        for (const { input = [] } of found) {
          const weights = constant(graph, input[1])?.data as Float32Array;
          const sums = [...weights, ...((constant(graph, input[2])?.data ?? []) as Float32Array)];
          expect(sums.length).toBeGreaterThan(0);
          expect(sums.filter((w) => !Number.isInteger(w))).toEqual([]);
        }
      },
    );
  });

  test(
    "unpacks the weights when it loads the file: no Unpack, Cast or BitShift is left",
    WEBGPU,
    async () => {
      const graph = await optimized(webgpuRuntime, 3);
      const operators = new Set((graph.node ?? []).map(({ opType }) => opType));
      expect([...operators].filter((op) => /Unpack|Bit|Slice|Unsqueeze|Split/.test(op ?? ""))).toEqual([]);
    },
  );
});

describe("a real input", () => {
  const quantization: Quantization = {
    spec: activationSpec(8, "non-negative"),
    params: { scale: Float32Array.of(1 / 255), zeroPoint: Int32Array.of(13) },
  };

  /** Ties and their neighbours, where a quotient that is off by an ULP gives another integer. */
  function nextToTies(): Float32Array {
    const bits = new Int32Array(1);
    const real = new Float32Array(bits.buffer);
    const xs: number[] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 1e30, -1e30];
    for (let q = -14; q < 244; q++) {
      for (let step = -3; step <= 3; step++) {
        real[0] = (q + 0.5) * (quantization.params.scale[0] as number);
        bits[0] = (bits[0] as number) + step;
        xs.push(real[0]);
      }
    }
    return Float32Array.from(xs);
  }

  test.each([referenceRuntime, cpuRuntime, wasmRuntime, ...(WEBGPU.skip !== true ? [webgpuRuntime] : [])])(
    "is quantized as by a correctly rounded division, next to every tie ($name)",
    async (runtime) => {
      const x = nextToTies();
      const net = new GraphBuilder("input");
      const input = net.input("x", [1, x.length]);
      input.quantization = quantization;
      const flat = net.node("Flatten", "flat", [input], { name: "flat", shape: [1, x.length] });
      net.output(flat);
      const { bytes } = integerFile(net.graph, 21, { form: "webgpu", weights: "packed" }, () => ({}));
      const session = await runtime.open({ bytes });
      const result = Object.values(await session.run({ x: float32([1, x.length], x) }))[0] as Tensor;
      await session.dispose();
      const scale = quantization.params.scale[0] as number;
      const q = quantize(x, [x.length], quantization);
      const expected = Float32Array.from(q, (each) => (each - 13) * scale);
      expect([...(result.data as Float32Array)].filter((y, i) => y !== expected[i])).toEqual([]);
    },
  );
});
