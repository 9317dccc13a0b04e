// Small quantized models for the tests of parity, and data to feed them.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Tensor } from "../../src/base/tensor.js";
import { float32, sizeOf, tensor } from "../../src/base/tensor.js";
import type { Value } from "../../src/graph/graph.js";
import { decodeModel, encodeModel } from "../../src/onnx/codec.js";
import { graphToModel } from "../../src/onnx/from-graph.js";
import type { ModelProto } from "../../src/onnx/model-proto.js";
import type { InputSource, ParityInput } from "../../src/parity/inputs.js";
import { Random, Sketch } from "../runtime/sketch.js";

export interface TinyOptions {
  /** The first layer has float weights, which ONNX Runtime quantizes to int8 without a word. */
  readonly floatWeights?: boolean;
  /** The second layer's scale is so large that it rounds everything to its zero point. */
  readonly dead?: boolean;
  /** A bias of the last layer that outweighs everything: always the same class. */
  readonly oneClass?: boolean;
  readonly metadata?: Readonly<Record<string, string>>;
}

export const TINY_SHAPE: readonly number[] = [1, 4, 4, 3];

/** NHWC image [1, 4, 4, 3] -> two 1x1 convolutions at 4 bits -> three classes. */
export function tinyModel(options: TinyOptions = {}): ModelProto {
  const random = new Random(3);
  const sketch = new Sketch();
  const image = sketch.input("image", float32(TINY_SHAPE, new Float32Array(sizeOf(TINY_SHAPE))));
  const x = sketch.node("Transpose", [image], { perm: [0, 3, 1, 2] }, "float32", [1, 3, 4, 4]);
  const q = quantize(sketch, "image_q", x, 1 / 16, 8, 15);
  const first = convolution(sketch, random, "first", q, 1 / 16, 8, 6, options.floatWeights === true);
  const q1 = quantize(sketch, "first", sketch.node("Relu", [first]), 1 / 8, 0, 15);
  const second = convolution(sketch, random, "second", q1, 1 / 8, 0, 3, false);
  const q2 = quantize(sketch, "second", second, options.dead ? 1e6 : 1 / 2, 8, 15);
  const real = sketch.dequantize(q2, 1 / 2, 8);
  const pooled = sketch.node("GlobalAveragePool", [real]);
  const flat = sketch.node("Flatten", [pooled], {}, "float32", [1, 3]);
  const bias = sketch.constant("bias", float32([3], [0, 0, options.oneClass ? 1000 : 0]));
  const logits = sketch.node("Add", [flat, bias], {}, "float32", [1, 3]);
  logits.name = "logits";
  sketch.builder.output(logits);
  return graphToModel(sketch.builder.graph, {
    opset: 21,
    irVersion: 10,
    producerVersion: "test",
    ...(options.metadata && { metadata: options.metadata }),
  });
}

function quantize(
  sketch: Sketch,
  name: string,
  x: Value,
  scale: number,
  zeroPoint: number,
  high: number,
): Value {
  const parameters = [sketch.real(`${name}/s`, scale), sketch.byte(`${name}/z`, zeroPoint)];
  const wide = sketch.node("QuantizeLinear", [x, ...parameters], {}, "uint8");
  const bounds = [sketch.byte(`${name}/low`, 0), sketch.byte(`${name}/high`, high)];
  const q = sketch.node("Clip", [wide, ...bounds], {}, "uint8");
  q.name = name;
  if (q.producer) q.producer.origin = name;
  return q;
}

function convolution(
  sketch: Sketch,
  random: Random,
  name: string,
  q: Value,
  scale: number,
  zeroPoint: number,
  K: number,
  floatWeights: boolean,
): Value {
  const C = name === "first" ? 3 : 6;
  const real = sketch.dequantize(q, scale, zeroPoint);
  if (floatWeights) {
    const values = Float32Array.from({ length: K * C }, () => 4 * random.next() - 2);
    return sketch.node("Conv", [real, sketch.constant(`${name}/kernel`, float32([K, C, 1, 1], values))]);
  }
  // Channel c of the image speaks for class c, so that colors decide the class.
  const weights = Int8Array.from(
    { length: K * C },
    (_, i) => (Math.floor(i / C) % 3 === (i % C) % 3 ? 6 : -3) + random.integer(-1, 1),
  );
  const w = sketch.constant(`${name}/kernel`, tensor("int8", [K, C, 1, 1], weights));
  const kernel = sketch.node("DequantizeLinear", [w, sketch.real(`${name}/s_w`, 1 / 4)]);
  const biases = Int32Array.from({ length: K }, () => random.integer(-9, 9));
  const b = sketch.constant(`${name}/bias`, tensor("int32", [K], biases));
  const bias = sketch.node("DequantizeLinear", [b, sketch.real(`${name}/s_b`, scale / 4)]);
  return sketch.node("Conv", [real, kernel, bias]);
}

/** Images of noise around a color, all different, or `same` ones. */
export function tinyInputs(
  count: number,
  same = false,
  label: (i: number) => string | null = () => null,
): InputSource {
  return {
    description: `${count} made-up images`,
    count,
    async *read() {
      for (let i = 0; i < count; i++) yield tinyInput(i, same ? 0 : i, label(i));
    },
  };
}

function tinyInput(index: number, seed: number, label: string | null): ParityInput {
  const random = new Random(100 + seed);
  const color = [random.next() - 0.5, random.next() - 0.5, random.next() - 0.5];
  const data = new Float32Array(sizeOf(TINY_SHAPE)).map(
    (_, i) => (color[i % 3] as number) + 0.5 * (random.next() - 0.5),
  );
  return { name: `image ${index}`, label, group: "", feeds: { image: float32(TINY_SHAPE, data) } };
}

/** What reading the file back gives. */
export function reread(model: ModelProto): ModelProto {
  return decodeModel(encodeModel(model));
}

export async function inTemporaryFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "qdg-parity-"));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The bytes of a .npy file, version 1. */
export function npyOf({ dtype, shape, data }: Tensor): Uint8Array {
  const descr = { float32: "<f4", float64: "<f8", int64: "<i8", uint8: "|u1" }[dtype as "float32"];
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape.join(", ")},), }`;
  const header = text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11) + "\n";
  const bytes = new Uint8Array(10 + header.length + data.byteLength);
  bytes.set([0x93, ...new TextEncoder().encode("NUMPY"), 1, 0, header.length & 255, header.length >> 8]);
  bytes.set(new TextEncoder().encode(header), 10);
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), 10 + header.length);
  return bytes;
}
