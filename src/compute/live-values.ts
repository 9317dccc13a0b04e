// The tensors that an interpreted graph holds at a time, and how much memory that is. What is too much for one tensor
// is base/tensor.ts's to say.

import type { Tensor } from "../base/tensor.js";
import type { Value } from "../graph/graph.js";

/** 4 GiB: a file of any size up to the format's limit, and as much again. */
export const MAX_LIVE_BYTES: number = 2 ** 32;

/** A map that knows its bytes. Data that several tensors share (a Reshape's) counts once. */
export class LiveValues extends Map<Value, Tensor> {
  bytes = 0;
  readonly #holders = new Map<Tensor["data"], number>();

  override set(value: Value, tensor: Tensor): this {
    this.#release(value);
    const { data } = tensor;
    const holders = this.#holders.get(data) ?? 0;
    if (holders === 0) this.bytes += data.byteLength;
    this.#holders.set(data, holders + 1);
    return super.set(value, tensor);
  }

  override delete(value: Value): boolean {
    this.#release(value);
    return super.delete(value);
  }

  #release(value: Value): void {
    const data = this.get(value)?.data;
    if (!data) return;
    const holders = (this.#holders.get(data) ?? 0) - 1;
    if (holders > 0) this.#holders.set(data, holders);
    else {
      this.#holders.delete(data);
      this.bytes -= data.byteLength;
    }
  }
}
