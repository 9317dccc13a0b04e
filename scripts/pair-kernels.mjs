// Which signed 8-bit weights ONNX Runtime's kernels add in pairs, on the processor that runs this: one small model a
// shape, one output channel a pair of weights. Prints one line a shape and, last, a JSON object of totals:
// `meeting` pairs by the rule of lower/pair-sums.ts and how many of them saturate, the same of pairs `apart`, and how
// many outputs of weights that keep the rule `differ` from exact sums. Judges nothing: parity-haswell.mjs does.

import { sizeOf, tensor, float32 } from "../dist/base/tensor.js";
import { GraphBuilder } from "../dist/graph/builder.js";
import { addsInPairs, reductionOrder } from "../dist/lower/pair-sums.js";
import { encodeModel } from "../dist/onnx/codec.js";
import { graphToModel } from "../dist/onnx/from-graph.js";
import { requantize, requantizeMultiplier } from "../dist/quant/affine.js";
import { pairLimit } from "../dist/quant/paired-weights.js";
import { cpuRuntime } from "../dist/runtime/cpu.js";

const LARGEST_INPUT = 255;
const LARGEST_WEIGHT = 127;

/** [C] channels of `size`, [K] filters in groups. */
function conv(title, C, size, K, group, kernel, attributes = {}) {
  const { strides = kernel.map(() => 1), dilations = kernel.map(() => 1) } = attributes;
  const output = size.map((n, i) => Math.floor((n - (kernel[i] - 1) * dilations[i] - 1) / strides[i]) + 1);
  return {
    title: `Conv ${title}`,
    op: "Conv",
    input: [1, C, ...size],
    weight: [K, C / group, ...kernel],
    axis: 0,
    output: [1, K, ...output],
    attributes: { group, kernel_shape: kernel, strides, dilations },
    quantized: true,
  };
}

function product(title, op, lead, C, K, { transB = 0, quantized = true } = {}) {
  return {
    title: `${op} ${title}`,
    op,
    input: [...lead, C],
    weight: transB ? [K, C] : [C, K],
    axis: transB ? 0 : 1,
    output: [...lead, K],
    attributes: op === "Gemm" ? { transB } : {},
    quantized,
  };
}

const SHAPES = [
  conv("1x1, 3 channels", 3, [4, 4], 32, 1, [1, 1]),
  conv("1x1, 17 channels", 17, [5, 5], 64, 1, [1, 1]),
  conv("1x1, 64 channels, one position", 64, [1, 1], 70, 1, [1, 1]),
  conv("3x3, 1 channel", 1, [9, 9], 64, 1, [3, 3]),
  conv("3x3, 2 channels", 2, [9, 9], 64, 1, [3, 3]),
  conv("3x3, 3 channels, strided", 3, [9, 9], 64, 1, [3, 3], { strides: [2, 2] }),
  conv("3x3, 5 channels, dilated", 5, [9, 9], 64, 1, [3, 3], { dilations: [2, 2] }),
  conv("5x3, 24 channels", 24, [9, 9], 128, 1, [5, 3]),
  conv("3x3, 171 channels", 171, [7, 7], 64, 1, [3, 3]),
  conv("3x3, 2 groups of 3 channels", 6, [9, 9], 64, 2, [3, 3]),
  conv("3x3, 32 filters of 2 channels, a group each", 64, [9, 9], 32, 32, [3, 3]),
  conv("3x3, 8 filters for each of 4 channels", 4, [9, 9], 32, 4, [3, 3]),
  conv("1-D, 3 channels", 3, [19], 64, 1, [5]),
  conv("1-D, 2 groups of 7 channels", 14, [19], 64, 2, [3]),
  conv("3-D, 3 channels", 3, [5, 5, 5], 64, 1, [3, 3, 3]),
  conv("3-D, 2 groups of 3 channels", 6, [5, 5, 5], 64, 2, [2, 3, 3]),
  conv("depthwise 3x3", 33, [9, 9], 33, 33, [3, 3]),
  conv("depthwise 5x5", 32, [9, 9], 32, 32, [5, 5]),
  conv("depthwise 2x7, dilated", 48, [15, 15], 48, 48, [2, 7], { dilations: [2, 2] }),
  conv("depthwise 1-D", 24, [19], 24, 24, [5]),
  conv("depthwise 3-D", 24, [5, 5, 5], 24, 24, [3, 3, 3]),
  ...[1, 2, 5].flatMap((rows) => [
    product(`of ${rows}, weights by rows`, "Gemm", [rows], 51, 60, { transB: 1 }),
    product(`of ${rows}, weights by columns`, "Gemm", [rows], 50, 61),
    product(`of ${rows}, real`, "Gemm", [rows], 51, 60, { transB: 1, quantized: false }),
    product(`of ${rows}`, "MatMul", [rows], 51, 61),
    product(`of ${rows}, real`, "MatMul", [rows], 50, 61, { quantized: false }),
  ]),
  product("of 1, long", "Gemm", [1], 1001, 300, { transB: 1 }),
  product("of a stack", "MatMul", [2, 3], 51, 61),
];

const totals = { meeting: 0, meetingSaturated: 0, apart: 0, apartSaturated: 0, outputs: 0, differ: 0 };
for (const shape of SHAPES) {
  const pairs = await pairsThatSaturate(shape);
  const kept = await differencesWithinTheRule(shape);
  for (const [name, count] of Object.entries({ ...pairs, ...kept })) totals[name] += count;
  process.stdout.write(
    `${shape.title}: of ${pairs.meeting} pairs that meet ${pairs.meetingSaturated} saturate, of ${pairs.apart} others ${pairs.apartSaturated}; ${kept.differ} of ${kept.outputs} outputs differ within the rule\n`,
  );
}
process.stdout.write(`${JSON.stringify(totals)}\n`);

/** Channel k: the largest weight at two places, 0 elsewhere; every second one at two that meet. */
async function pairsThatSaturate(shape) {
  const { channels, place, length } = layoutOf(shape);
  const random = randomFrom(7);
  const weights = new Int8Array(sizeOf(shape.weight));
  const pairs = Array.from({ length: channels }, (_, k) => {
    const first = 2 * random(Math.floor(length / 2));
    const other = (first + [1, 2, 3, 4, 8, 16][random(6)]) % length;
    const pair = k % 2 === 0 ? [first, first + 1] : [other, (other + 1 + random(3)) % length];
    for (const i of pair) weights[place(k, i)] = LARGEST_WEIGHT;
    return pair;
  });
  const sums = await sumsOf(shape, weights, 254);
  const counts = { meeting: 0, meetingSaturated: 0, apart: 0, apartSaturated: 0 };
  const meets = addsInPairs({ ...nodeOf(shape), inputs: [null, { shape: shape.weight }] }, true);
  pairs.forEach(([a, b], k) => {
    if (a === b) return;
    const kind = meets && Math.floor(a / 2) === Math.floor(b / 2) ? "meeting" : "apart";
    const exact = 2 * LARGEST_WEIGHT * LARGEST_INPUT;
    counts[kind]++;
    if (sums(k).some((sum) => sum < exact - 1000)) counts[`${kind}Saturated`]++;
  });
  return counts;
}

/** Every pair that meets at the very limit, of either sign, neighbours that do not meet beyond it: exact or not. */
async function differencesWithinTheRule(shape) {
  const { channels, place, length } = layoutOf(shape);
  const random = randomFrom(8);
  const limit = pairLimit(LARGEST_INPUT);
  const weights = new Int8Array(sizeOf(shape.weight));
  const exact = Array.from({ length: channels }, (_, k) => {
    let sum = 0;
    for (let i = 0; i < length; i += 2) {
      const sign = random(2) === 0 ? 1 : -1;
      const size = 1 + random(LARGEST_WEIGHT);
      for (const [at, weight] of [
        [i, size],
        [i + 1, limit - size],
      ]) {
        if (at >= length) continue;
        weights[place(k, at)] = sign * weight;
        sum += sign * weight * LARGEST_INPUT;
      }
    }
    return sum;
  });
  const scale = Math.ceil((Math.max(...exact.map(Math.abs)) * 2) / 255);
  const sums = await sumsOf(shape, weights, scale, 128);
  const counts = { outputs: 0, differ: 0 };
  exact.forEach((sum, k) => {
    const q = requantize(sum, requantizeMultiplier(1, 1, scale), 128, 0, 255);
    const expected = shape.quantized ? (q - 128) * scale : sum;
    for (const got of sums(k)) {
      counts.outputs++;
      if (got !== expected) counts.differ++;
    }
  });
  return counts;
}

function layoutOf({ weight, axis }) {
  const order = reductionOrder(weight, axis);
  const stride = sizeOf(weight.slice(axis + 1));
  return { channels: weight[axis], length: order.length, place: (k, i) => order[i] + k * stride };
}

function nodeOf({ op, attributes, title }) {
  return { op, attributes, origin: title, domain: "", outputs: [] };
}

/** Runs the layer on inputs of 255. @returns of channel k, its sums: multiples of `scale`, or as they are when real */
async function sumsOf(shape, weights, scale, zeroPoint = 0) {
  const { op, input, weight, axis, output, attributes, quantized } = shape;
  const g = new GraphBuilder("pairs");
  const byte = (name, value) => g.constant(name, tensor("uint8", [], Uint8Array.of(value)));
  const real = (name, value) => g.constant(name, float32([], [value]));
  const x = g.input("x", input, "uint8");
  const xReal = g.node("DequantizeLinear", "x", [x, real("s_x", 1), byte("z_x", 0)], {
    name: "r",
    shape: input,
  });
  const channels = weight[axis];
  const stored = [
    g.constant("w", tensor("int8", weight, weights)),
    g.constant("s_w", float32([channels], new Float32Array(channels).fill(1))),
    g.constant("z_w", tensor("int8", [channels], new Int8Array(channels))),
  ];
  const w = g.node("DequantizeLinear", "w", stored, { name: "k", shape: weight }, { axis });
  let y = g.node(op, "sum", [xReal, w], { name: "sum", shape: output }, attributes);
  if (quantized) {
    const quantizer = [y, real("s_y", scale), byte("z_y", zeroPoint)];
    y = g.node("QuantizeLinear", "y", quantizer, { name: "y", shape: output, dtype: "uint8" });
  }
  g.output(y);
  const bytes = encodeModel(graphToModel(g.graph, { opset: 21, irVersion: 10, producerVersion: "pairs" }));
  const session = await cpuRuntime.open({ bytes });
  const feeds = { x: tensor("uint8", input, new Uint8Array(sizeOf(input)).fill(LARGEST_INPUT)) };
  const [result] = Object.values(await session.run(feeds));
  await session.dispose();
  const inner = op === "Conv" ? sizeOf(output.slice(2)) : 1;
  const values = Array.from(result.data, (value) => (quantized ? (value - zeroPoint) * scale : value));
  return (k) => values.filter((_, i) => Math.floor(i / inner) % channels === k);
}

/** Whole numbers below `n`, the same in every run. */
function randomFrom(seed) {
  let state = seed;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}
