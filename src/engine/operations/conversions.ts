// Between float32 tensors and bytes, and functions of one byte.

import type { Tensor } from "../../base/tensor.js";
import { allocate } from "../../base/tensor.js";
import { around } from "../../compute/shapes.js";
import type { Value } from "../../graph/graph.js";
import { addressesOf, addressOf, addressOrder, type Bytes, pitchOf } from "../bytes.js";
import type { Limits, Operation, Tensors } from "./operation.js";
import { overSpans } from "./spans.js";

/** QuantizeLinear of a float32 tensor. */
export function quantize(where: string, x: Value, scale: number, y: Bytes, limits: Limits): Operation {
  return {
    where,
    reads: [],
    writes: y,
    quantizer: { x, scale, limits },
    prepare: (memory, kernels) => {
      const { H, W, C, step } = y.storage;
      const target = memory.putTarget(limits.low, limits.high, limits.zeroPoint);
      const reals = memory.reserve(H * W * C * 4);
      // Elements of one channel are neighbours where axes follow the channel's.
      const [, , inner] = around(y.shape, y.channelAxis);
      const [positionStep, plane] = inner === 1 ? [C * 4, 4] : [4, inner * 4];
      const call = [
        reals,
        addressOf(y.storage, 0, 0),
        H,
        W,
        C,
        W * positionStep,
        positionStep,
        plane,
        pitchOf(y.storage),
        step,
        scale,
        target,
      ] as const;
      return (tensors) => {
        const { data } = tensors.get(x) as Tensor<"float32">;
        new Float32Array(memory.memory.buffer, reals, data.length).set(data);
        kernels.quantize(...call);
      };
    },
  };
}

/** `y = table[x]`. @param table 256 bytes */
export function lookUp(where: string, x: Bytes, table: Uint8Array, y: Bytes): Operation {
  return overSpans(where, [x], y, (memory, kernels) => {
    const address = memory.put(table);
    return ({ at: [from, to], rows, length, pitches: [pitchFrom, pitchTo] }) =>
      kernels.lookUp(from, to, rows, length, pitchFrom, pitchTo, address);
  });
}

/** A tensor of any type from bytes. @param table 256 elements: what each byte becomes */
export function toTensor(
  where: string,
  x: Bytes,
  table: Tensor,
  value: Value,
  shape: readonly number[],
): Operation {
  return {
    where,
    reads: [x],
    writes: null,
    prepare: (memory) => {
      const { outer, channels, inner, positions } = addressOrder(x);
      const numbers = table.data;
      return (tensors) => {
        const bytes = new Uint8Array(memory.memory.buffer);
        const data = allocate(table.dtype, positions.length * channels);
        let index = 0;
        for (let o = 0; o < outer; o++) {
          for (let c = 0; c < channels; c++) {
            for (let i = 0; i < inner; i++) {
              const address = (positions[o * inner + i] as number) + c;
              data[index++] = numbers[bytes[address] as number] as never;
            }
          }
        }
        tensors.set(value, { dtype: table.dtype, shape, data });
      };
    },
  };
}

/** The bytes of a tensor: an input, or one that no input decides. */
export function fromTensor(where: string, tensorOf: (tensors: Tensors) => Tensor, y: Bytes): Operation {
  return {
    where,
    reads: [],
    writes: y,
    prepare: (memory) => {
      const order = addressesOf(y);
      return (tensors) => {
        const { data } = tensorOf(tensors) as Tensor<"uint8">;
        const bytes = new Uint8Array(memory.memory.buffer);
        for (let i = 0; i < order.length; i++) bytes[order[i] as number] = data[i] as number;
      };
    },
  };
}
