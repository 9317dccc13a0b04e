// What TensorFlow's quantization-aware training leaves in a graph: numbers of ranges, at the tensors that are rounded to them.

import { constantOf } from "../tensors.js";
import type { Emit, OpCall, OpFamily } from "../call.js";
import { rangeQuantizer } from "../fake-quantized.js";

/** The tensor as it is, as tfjs computes it; its range is noted. */
function fakeQuantization(
  rangeOf: (call: OpCall) => readonly [min: ArrayLike<number>, max: ArrayLike<number>],
): Emit {
  return (call) => {
    const bits = call.attributes.int("num_bits", 8);
    const narrow = call.attributes.boolean("narrow_range", false);
    const [min, max] = rangeOf(call);
    const x = call.input(0);
    call.noteRange(
      x.held.value,
      rangeQuantizer(call, { min, max, bits, narrow }, constantOf(x) !== undefined),
    );
    return x;
  };
}

const constants = (call: OpCall): readonly [ArrayLike<number>, ArrayLike<number>] => {
  const [min, max] = [1, 2].map((index) => constantOf(call.input(index)));
  if (min?.dtype === "float32" && max?.dtype === "float32") {
    return [min.data as Float32Array, max.data as Float32Array];
  }
  return call.fail("its range is computed from the data; qdg needs constants");
};

export const FAKE_QUANTIZATION_OPS: OpFamily = {
  FakeQuantWithMinMaxArgs: fakeQuantization(({ attributes }) => [
    [attributes.number("min", -6)],
    [attributes.number("max", 6)],
  ]),
  FakeQuantWithMinMaxVars: fakeQuantization(constants),
  FakeQuantWithMinMaxVarsPerChannel: fakeQuantization(constants),
};
