// Networks with QuantizeLinear and DequantizeLinear in them, as tools of quantization write them: exported again without data they
// compute the same, and what does not fit is named. ONNX Runtime on the file itself is the oracle.

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type DType, float32, sizeOf, tensor } from "../../../src/base/tensor.js";
import { exportModel } from "../../../src/export/export-model.js";
import { floatFile } from "../../../src/export/float-file.js";
import { GraphBuilder } from "../../../src/graph/builder.js";
import type { Attribute, Dim, Graph, Value } from "../../../src/graph/graph.js";
import { openModel } from "../../../src/open/open-model.js";
import { seeded } from "../../support/layers-models.js";
import { npyOf } from "../../parity/tiny-models.js";
import { largestDifference } from "../../support/same-outputs.js";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "qdg-pairs-"));
});
afterAll(() => rm(folder, { recursive: true }));

type Bytes = "uint8" | "int8";

/** A network node by node, with numbers at random. */
class Net {
  readonly net = new GraphBuilder("pairs");
  readonly random: () => number;
  readonly #counts = new Map<string, number>();

  constructor(seed = 1) {
    this.random = seeded(seed);
  }

  op(
    op: string,
    inputs: readonly (Value | null)[],
    shape: readonly Dim[],
    attributes: Readonly<Record<string, Attribute>> = {},
    dtype: DType = "float32",
  ): Value {
    const count = (this.#counts.get(op) ?? 0) + 1;
    this.#counts.set(op, count);
    const name = `${op.toLowerCase()}${count}`;
    return this.net.node(op, `/${name}`, inputs, { name, shape, dtype }, attributes);
  }

  number(x: number): Value {
    return this.net.constant("n", float32([], [Math.fround(x)]));
  }

  byte(dtype: Bytes, x: number): Value {
    return this.net.constant("b", tensor(dtype, [], dtype === "uint8" ? Uint8Array.of(x) : Int8Array.of(x)));
  }

  integers(dtype: Bytes, shape: readonly number[], low: number, high: number): Value {
    const numbers = Array.from({ length: sizeOf(shape) }, () =>
      Math.floor(low + this.random() * (high - low + 1)),
    );
    const data = dtype === "uint8" ? Uint8Array.from(numbers) : Int8Array.from(numbers);
    return this.net.constant("q", tensor(dtype, shape, data));
  }

  quantize(x: Value, scale: number, zero: number, dtype: Bytes = "uint8"): Value {
    return this.op("QuantizeLinear", [x, this.number(scale), this.byte(dtype, zero)], x.shape, {}, dtype);
  }

  real(q: Value, scale: number, zero: number): Value {
    return this.op("DequantizeLinear", [q, this.number(scale), this.byte(q.dtype as Bytes, zero)], q.shape);
  }

  pair(x: Value, scale: number, zero = 0, dtype: Bytes = "uint8"): Value {
    return this.real(this.quantize(x, scale, zero, dtype), scale, zero);
  }

  /** Signed bytes, a scale along axis. */
  weight(shape: readonly number[], axis = 0, most = 127): Value {
    const count = shape[axis] as number;
    const scales = Float32Array.from({ length: count }, () => 0.002 + this.random() * 0.004);
    const zeros = this.net.constant("z", tensor("int8", [count], new Int8Array(count)));
    const scale = this.net.constant("s", float32([count], scales));
    return this.op("DequantizeLinear", [this.integers("int8", shape, -most, most), scale, zeros], shape, {
      axis,
    });
  }

  /** Real numbers that the graph makes integers up to `most`. */
  roundedWeight(shape: readonly number[], most: number): Value {
    const data = Float32Array.from({ length: sizeOf(shape) }, () => this.random() - 0.5);
    const q = this.quantize(this.net.constant("r", float32(shape, data)), 0.05, 0, "int8");
    const limits = [this.byte("int8", -most), this.byte("int8", most)];
    return this.real(this.op("Clip", [q, ...limits], shape, {}, "int8"), 0.05, 0);
  }

  conv(x: Value, filters: number, side = 3): Value {
    const [n, channels, h, w] = x.shape as [Dim, number, Dim, Dim];
    const pads = Array.from({ length: 4 }, () => (side - 1) / 2);
    return this.op("Conv", [x, this.weight([filters, channels, side, side])], [n, filters, h, w], { pads });
  }

  done(...outputs: readonly Value[]): Graph {
    for (const output of outputs) this.net.output(output);
    return this.net.graph;
  }
}

const IMAGE = ["N", 3, 6, 6];

/** As ONNX Runtime's quantize_static writes them: rounding of what moves, and of the outputs, too. */
function classifier(): Graph {
  const s = new Net();
  const x = s.pair(s.net.input("x", IMAGE), 0.02, 114);
  const bias = s.net.constant("bias", tensor("int32", [4], Int32Array.of(100, -200, 3000, 0)));
  const scales = s.net.constant("bias_s", float32([4], [1e-4, 2e-4, 1e-4, 3e-4]));
  const zeros = s.net.constant("bias_z", tensor("int32", [4], new Int32Array(4)));
  const real = s.op("DequantizeLinear", [bias, scales, zeros], [4], { axis: 0 });
  const first = s.op("Conv", [x, s.weight([4, 3, 3, 3]), real], ["N", 4, 6, 6], { pads: [1, 1, 1, 1] });
  const y = s.pair(s.op("Relu", [first], first.shape), 0.006);
  const pooled = s.op("MaxPool", [y], ["N", 4, 3, 3], { kernel_shape: [2, 2], strides: [2, 2] });
  const z = s.pair(s.conv(s.pair(pooled, 0.006), 5, 1), 0.01, 131);
  const mean = s.pair(s.op("GlobalAveragePool", [z], ["N", 5, 1, 1]), 0.004, 120);
  const flat = s.pair(s.op("Flatten", [mean], ["N", 5], { axis: 1 }), 0.004, 120);
  const dense = s.op("MatMul", [flat, s.weight([5, 3], 1)], ["N", 3]);
  const softmax = s.op("Softmax", [s.pair(dense, 0.01, 128)], ["N", 3], { axis: 1 });
  return s.done(s.pair(softmax, 1 / 256));
}

/** Few bits: clips between the two, of weights what their integers need; integers that move. */
function fewBits(): Graph {
  const s = new Net();
  const x = s.pair(s.net.input("x", IMAGE), 0.03, 5, "int8");
  const sum = s.op("Conv", [x, s.weight([4, 3, 1, 1], 0, 3)], ["N", 4, 6, 6]);
  const q = s.op(
    "Clip",
    [s.quantize(sum, 0.01, 7), s.byte("uint8", 0), s.byte("uint8", 15)],
    sum.shape,
    {},
    "uint8",
  );
  const pooled = s.op("MaxPool", [q], ["N", 4, 3, 3], { kernel_shape: [2, 2], strides: [2, 2] }, "uint8");
  const y = s.op("Conv", [s.real(pooled, 0.01, 7), s.roundedWeight([4, 4, 1, 1], 7)], ["N", 4, 3, 3]);
  // Up to 11 of 15: a rectifier on the grid.
  const clipped = s.op(
    "Clip",
    [s.quantize(y, 0.02, 0), s.byte("uint8", 0), s.byte("uint8", 11)],
    y.shape,
    {},
    "uint8",
  );
  return s.done(s.conv(s.real(clipped, 0.02, 0), 2, 1));
}

/** Both operands of a sum on one scale. */
function residual(): Graph {
  const s = new Net();
  const x = s.pair(s.net.input("x", IMAGE), 0.02, 114);
  const a = s.conv(x, 4);
  const y = s.pair(s.op("Relu", [a], a.shape), 0.01);
  const b = s.pair(s.conv(y, 4), 0.01);
  const sum = s.pair(s.op("Add", [y, b], y.shape), 0.015);
  return s.done(s.conv(sum, 2, 1));
}

async function write(graph: Graph, name: string): Promise<string> {
  const path = join(folder, `${name}.onnx`);
  await writeFile(path, floatFile(graph, 21));
  return path;
}

test.each<[string, () => Graph, Readonly<Record<string, number>>]>([
  ["classifier", classifier, { x: 8, relu1: 8 }],
  ["few bits", fewBits, { x: 8, conv1: 4 }],
  ["residual", residual, { x: 8, relu1: 8, add1: 8 }],
])("a %s is exported without data, and computes what the file computes", async (title, make, bits) => {
  const graph = make();
  const path = await write(graph, title);
  const { learned, graph: read } = await openModel(path);
  expect(read.nodes.some(({ op }) => op.endsWith("QuantizeLinear"))).toBe(false);
  for (const [name, expected] of Object.entries(bits))
    expect(learned?.quantizers.get(name)?.bits, name).toBe(expected);
  const output = join(folder, `${title}.out.onnx`);
  const result = await exportModel({ model: path, output });
  expect(result.scales).toBe("learned");
  const [before, after] = [await readFile(path), await readFile(output)];
  for (const seed of [1, 2, 3]) {
    expect(await largestDifference(before, after, read, { seed })).toBeLessThan(1e-6);
  }
  // What was asked for and was not learned is an error, as of any learned scales.
  await expect(exportModel({ model: path, output, force: true, weightBits: 2 })).rejects.toThrow(
    /scales were learned at/,
  );
});

test("weights have the bits that their integers need", async () => {
  const { learned, graph } = await openModel(await write(fewBits(), "weights"));
  const bits = graph.nodes.flatMap(({ op, inputs }) =>
    op === "Conv" ? [learned?.quantizers.get(inputs[1]?.name ?? "")?.bits] : [],
  );
  expect(bits).toEqual([3, 4, 8]);
});

test("operands of a sum on two scales, as quantize_static writes them, have one that calibration finds, and that is said", async () => {
  const s = new Net();
  const x = s.pair(s.net.input("x", IMAGE), 0.02, 114);
  const y = s.pair(s.conv(x, 3), 0.01, 128);
  const path = await write(s.done(s.conv(s.pair(s.op("Add", [x, y], y.shape), 0.02, 128), 2)), "two-scales");
  const { learned, warnings } = await openModel(path);
  expect([...(learned?.quantizers.keys() ?? [])]).toEqual(["dequantizelinear2", "dequantizelinear5", "add1"]);
  expect(warnings).toEqual([
    expect.stringMatching(
      /has two scales where qdg has one quantizer: conv1 \(8 bits, scale 0\.00999.*, zero point 128\) and x \(8 bits, scale 0\.0199.*, zero point 114\); .*--calibration/,
    ),
  ]);
  const output = join(folder, "found-anew.onnx");
  await expect(exportModel({ model: path, output })).rejects.toThrow(
    /has no learned scale.*give --calibration/,
  );
  const data = join(folder, "x.npy");
  const samples = Float32Array.from({ length: 24 * 108 }, () => 4 * s.random() - 2);
  await writeFile(data, npyOf(float32([24, 3, 6, 6], samples)));
  const { scales } = await exportModel({ model: path, output, calibration: [`x=${data}`] });
  expect(scales).toBe("learned+calibrated");
});

test.each<[string, (s: Net, x: Value) => Value, string]>([
  [
    "rounding before a ReLU that rounds too",
    (s, x) => {
      const y = s.pair(s.conv(x, 3), 0.01, 128);
      return s.conv(s.pair(s.op("Relu", [y], y.shape), 0.01), 2);
    },
    "rounds conv1, where qdg has no quantizer",
  ],
  [
    "a layer whose input is in real numbers",
    (s, x) => s.conv(s.conv(x, 3), 2),
    "conv1 is in real numbers, expected QuantizeLinear and DequantizeLinear after it",
  ],
  [
    "a weight in real numbers",
    (s, x) =>
      s.op("Conv", [x, s.net.constant("w", float32([2, 3, 1, 1], [1, 2, 3, 4, 5, 6]))], ["N", 2, 6, 6]),
    "its weight w is in real numbers",
  ],
  [
    "a weight around a number other than 0",
    (s, x) => {
      const zero = s.byte("uint8", 113);
      const w = s.op(
        "DequantizeLinear",
        [s.integers("uint8", [2, 3, 1, 1], 0, 255), s.number(0.01), zero],
        [2, 3, 1, 1],
      );
      return s.op("Conv", [x, w], ["N", 2, 6, 6]);
    },
    "integers of a weight around -15, expected around 0",
  ],
  [
    "scales of a weight by input channel",
    (s, x) => s.op("Conv", [x, s.weight([2, 3, 1, 1], 1)], ["N", 2, 6, 6]),
    "scales of a weight along axis 1, expected output channels, axis 0, or one scale",
  ],
  [
    "scales of an activation by channel",
    (s, x) => {
      const scale = s.net.constant("s", float32([3], [0.1, 0.2, 0.3]));
      const zero = s.net.constant("z", tensor("uint8", [3], new Uint8Array(3)));
      const q = s.op("QuantizeLinear", [s.conv(x, 3), scale, zero], IMAGE, { axis: 1 }, "uint8");
      return s.conv(s.op("DequantizeLinear", [q, scale, zero], IMAGE, { axis: 1 }), 2);
    },
    "has 3 scales, expected one for the whole activation",
  ],
  [
    "two scales of one pair",
    (s, x) => s.conv(s.real(s.quantize(s.conv(x, 3), 0.01, 3), 0.02, 3), 2),
    "has scale 0.019999999552965164 and zero point 3, expected those of quantizelinear2",
  ],
  [
    "integers that something else reads",
    (s, x) => s.conv(s.op("Cast", [s.quantize(s.conv(x, 3), 0.01, 3)], IMAGE, { to: 1 }), 2),
    "cast1 (Cast): reads the integers of conv1, expected DequantizeLinear between",
  ],
  [
    "a value that is read with and without its rounding",
    (s, x) => {
      const y = s.conv(x, 3);
      return s.op("Add", [s.conv(s.pair(y, 0.01, 128), 3), s.conv(y, 3)], IMAGE);
    },
    "reads conv1 without the rounding of quantizelinear2",
  ],
])("refused is %s", async (title, build, message) => {
  const s = new Net();
  const x = s.pair(s.net.input("x", IMAGE), 0.02, 114);
  const path = await write(s.done(build(s, x)), title.replaceAll(" ", "-"));
  await expect(openModel(path)).rejects.toThrow(message);
  await expect(openModel(path)).rejects.toThrow(
    "give the float model that the file was made from, with --bits",
  );
});
