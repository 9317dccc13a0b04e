// Operators as random cases: one node, its inputs, and the tolerance of its result. The oracle is ONNX Runtime on
// the float file of the same node.

import * as tf from "@tensorflow/tfjs";
import type { DType, Tensor } from "../../../src/base/tensor.js";
import { float32, int64, sizeOf, tensor } from "../../../src/base/tensor.js";
import { floatFile } from "../../../src/export/float-file.js";
import { GraphBuilder } from "../../../src/graph/builder.js";
import type { Attribute, Graph, Node, Value } from "../../../src/graph/graph.js";
import { cpuRuntime } from "../../../src/runtime/cpu.js";
import { constantTensor } from "../../../src/train/execute.js";
import { kernelLayout } from "../../../src/train/ops/kernel-layout.js";
import { channelsLast, type HeldTensor, hold } from "../../../src/train/ops/op.js";
import { OPS } from "../../../src/train/ops/ops.js";
import { Random } from "../../runtime/sketch.js";

export type Input = Tensor | { readonly constant: Tensor } | null;

export interface OperatorCase {
  readonly op: string;
  /** Fed, or constant; null where it is left out. */
  readonly inputs: readonly Input[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly domain?: "qdg";
  readonly output?: DType;
  /** Of the largest element; 0: the same. */
  readonly tolerance?: number;
  /** Compare gradients with finite differences. */
  readonly gradient?: boolean;
}

const random = new Random(11);

/** Half of the values are halves and integers, where comparisons have their ties. */
export function reals(shape: readonly number[], low = -4, high = 4): Tensor<"float32"> {
  const values = Float32Array.from({ length: sizeOf(shape) }, () => {
    const x = low + (high - low) * random.next();
    return random.next() < 0.5 ? x : Math.round(2 * x) / 2;
  });
  return float32(shape, values);
}

/** Away from 0 and other whole and half numbers, where activations have their kinks. */
export function smooth(shape: readonly number[]): Tensor<"float32"> {
  const values = Float32Array.from({ length: sizeOf(shape) }, () => {
    return random.integer(-6, 5) / 2 + 0.1 + 0.3 * random.next();
  });
  return float32(shape, values);
}

/** 0.5, 1, 1.5 and 2: never near a smooth one. */
export function halves(shape: readonly number[]): Tensor<"float32"> {
  return float32(
    shape,
    Float32Array.from({ length: sizeOf(shape) }, () => random.integer(1, 4) / 2),
  );
}

/** No two closer than 0.05, so that a small step does not change which one is the largest. */
export function apart(shape: readonly number[]): Tensor<"float32"> {
  const values = Float32Array.from({ length: sizeOf(shape) }, (_, i) => (i - sizeOf(shape) / 2) / 20);
  for (let i = values.length - 1; i > 0; i--) {
    const j = random.integer(0, i);
    [values[i], values[j]] = [values[j] as number, values[i] as number];
  }
  return float32(shape, values);
}

export function int32(shape: readonly number[], low: number, high: number): Tensor<"int32"> {
  const values = Int32Array.from({ length: sizeOf(shape) }, () => random.integer(low, high));
  return tensor("int32", shape, values);
}

export const ints = (...list: number[]): Input => ({ constant: int64([list.length], list) });
export const constant = (data: Tensor): Input => ({ constant: data });
export const scalar = (value: number): Input => constant(float32([], [value]));

export function nodeOf({ op, inputs, attributes = {}, domain, output = "float32" }: OperatorCase): {
  readonly graph: Graph;
  readonly node: Node;
} {
  const builder = new GraphBuilder("case");
  const values = inputs.map((input, i): Value | null => {
    if (input === null) return null;
    if ("constant" in input) return builder.constant(`c${i}`, input.constant);
    return builder.input(`x${i}`, input.shape, input.dtype);
  });
  const y = builder.node(op, "layer", values, { name: "y", shape: ["?"], dtype: output }, attributes, domain);
  builder.output(y);
  return { graph: builder.graph, node: y.producer as Node };
}

/** What ONNX Runtime makes of the node, without optimizations. */
export async function expected(each: OperatorCase): Promise<Tensor> {
  const { graph } = nodeOf(each);
  const session = await cpuRuntime.open({ bytes: floatFile(graph, 21) }, { optimization: "none" });
  const feeds = each.inputs.flatMap((input, i) =>
    input === null || "constant" in input ? [] : [[`x${i}`, input] as const],
  );
  const result = await session.run(Object.fromEntries(feeds));
  await session.dispose();
  return result["y"] as Tensor;
}

/** Orders in which inputs of rank 3 and more are held; weights are held in kernel layout in the last. */
export const WAYS = ["as-is", "channels-last", "mixed", "kernel"] as const;
export type Way = (typeof WAYS)[number];

const WEIGHTED: ReadonlySet<string> = new Set(["Conv", "ConvTranspose", "Gemm", "MatMul"]);

/** The fed inputs and the float constants as the operator gets them. */
export function heldInputs(each: OperatorCase, node: Node, way: Way): (HeldTensor | null)[] {
  return each.inputs.map((input, i) => {
    if (input === null) return null;
    const data = "constant" in input ? input.constant : input;
    const isWeight = i === 1 && WEIGHTED.has(each.op) && data.dtype === "float32";
    if (isWeight && way === "kernel" && (each.op !== "MatMul" || data.shape.length === 2)) {
      const kernel = kernelLayout(node, data as Tensor<"float32">);
      return { tensor: tf.tensor(kernel.data, [...kernel.shape], "float32"), layout: "kernel" };
    }
    const held = constantTensor(data);
    const moves = !isWeight && !("constant" in input) && (way !== "mixed" || i % 2 === 1);
    if (!held || way === "as-is" || !moves) return held;
    return hold(channelsLast(held), "channels-last");
  });
}

/** The operator itself, on tfjs's current backend. */
export function computed(each: OperatorCase, node: Node, inputs: readonly (HeldTensor | null)[]): HeldTensor {
  const op = OPS[each.op];
  if (!op) throw new Error(`${each.op} is not in the list`);
  const [y] = op(node, inputs, (index) => node.inputs[index]?.constant);
  return y as HeldTensor;
}
