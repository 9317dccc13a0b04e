// Tensors that the model makes itself: of one number, of a range, of ones at an index.

import { allocate, type DType, int64, type Tensor, tensor } from "../../../base/tensor.js";
import type { Dim } from "../../../graph/graph.js";
import { type Emit, type OpCall, type OpFamily } from "../call.js";
import { rangeSize } from "../sizes.js";
import { constantOf, type GraphTensor, knownSize, shapeOfTensor } from "../tensors.js";

/** One number, of the type that is asked for. */
function one(dtype: DType, x: number): Tensor {
  if (dtype === "float32") return tensor("float32", [1], Float32Array.of(x));
  return dtype === "bool" ? tensor("bool", [1], Uint8Array.of(x)) : tensor("int32", [1], Int32Array.of(x));
}

/** `shape` full of one constant, as a constant where the shape is known. */
function full(call: OpCall, sizes: readonly Dim[], value: Tensor, shapeInput: number): GraphTensor {
  const shape = call.cast(call.input(shapeInput).held.value, "int64", "shape");
  const { dtype } = value;
  const result = call.node("ConstantOfShape", [shape], "", sizes, { value }, { dtype });
  return call.result(result, "as-is");
}

const fill: Emit = (call) => {
  call.attributes.ignore("index_type");
  const sizes = call.numbers(0, "shape");
  const constant = constantOf(call.input(1));
  if (constant) {
    const { dtype } = constant;
    return full(call, sizes, { ...one(dtype, Number(constant.data[0])) }, 0);
  }
  const shape = call.cast(call.input(0).held.value, "int64", "shape");
  return call.result(call.node("Expand", [call.input(1).held.value, shape], "", sizes));
};

function filledAs(x: number): Emit {
  return (call) => {
    const dtype = call.attributes.dtype("T", call.attributes.dtype("dtype", "float32"));
    return full(call, call.numbers(0, "shape"), one(dtype, x), 0);
  };
}

function like(x: number): Emit {
  return (call) => {
    const { held } = call.input(0);
    const { value, layout } = held;
    const { dtype, shape } = value;
    call.attributes.ignore("dtype");
    const known = knownSize(shape);
    const sizes =
      known === null
        ? call.node("Shape", [value], "sizes", [shape.length], {}, { dtype: "int64" })
        : call.constant("sizes", int64([shape.length], shape as readonly number[]));
    const result = call.node("ConstantOfShape", [sizes], "", shape, { value: one(dtype, x) }, { dtype });
    return call.result(result, layout);
  };
}

/** `start, start + step, ...` below `limit`. */
const range: Emit = (call) => {
  const [start, limit, step] = [0, 1, 2].map((i) => call.input(i)) as [GraphTensor, GraphTensor, GraphTensor];
  const known = [start, limit, step].map((each) => constantOf(each));
  const values = [start, limit, step].map(({ held }) => held.value);
  const { dtype } = values[0] as (typeof values)[number];
  if (known.every((constant) => constant !== undefined)) {
    const [from, to, by] = known.map((constant) => Number(constant?.data[0])) as [number, number, number];
    if (by === 0) call.failModel("delta: got 0");
    const size = rangeSize(from, to, by);
    call.bounded([size]);
    const numbers = new Float64Array(size).map((_, i) => from + i * by);
    const data = dtype === "float32" ? Float32Array.from(numbers) : Int32Array.from(numbers);
    return call.result(call.constant("", { dtype, shape: [numbers.length], data }));
  }
  const isCount = start.numbers?.[0] === 0 && step.numbers?.[0] === 1;
  const size = isCount ? (limit.numbers?.[0] ?? null) : null;
  const shape = [size ?? call.unknownSize("")];
  return call.result(call.node("Range", values, "", shape, {}, { dtype }));
};

/** `y[..., i] = i == index ? on : off`, along a new last axis unless another is named. */
const oneHot: Emit = (call) => {
  const { held } = call.input(0);
  const axis = call.attributes.int("axis", -1);
  call.attributes.ignore("TI");
  const depth = call.number(1, "depth");
  const [on, off] = [constantOf(call.input(2)), constantOf(call.input(3))];
  const indices = call.asIs(held);
  if (!on || !off) return call.fail("on_value, off_value: are computed from the data; qdg needs constants");
  if (axis !== -1 && axis !== indices.shape.length)
    call.fail(`axis: got ${axis}, tfjs has the last one alone`);
  const { dtype } = on;
  const data = allocate(dtype, 2);
  [off, on].forEach((each, i) => (data[i] = each.data[0] as never));
  const values: Tensor = { dtype, shape: [2], data };
  const inputs = [indices, call.scalar("depth", depth, "int32"), call.constant("values", values)];
  return call.result(
    call.node("OneHot", inputs, "", [...shapeOfTensor(call.input(0)), depth], { axis: -1 }, { dtype }),
  );
};

export const CREATION_OPS: OpFamily = {
  Fill: fill,
  OneHot: oneHot,
  Ones: filledAs(1),
  OnesLike: like(1),
  Range: range,
  Zeros: filledAs(0),
  ZerosLike: like(0),
};
