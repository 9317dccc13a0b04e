// Emits the nodes of a lowered graph: short names, and every small constant once, because names and
// repeated constants would outweigh the weights of a small network.

import { type DataOf, type DType, tensor, type Tensor } from "../base/tensor.js";
import { GraphBuilder } from "../graph/builder.js";
import type { Attribute, Dim, Graph, Value } from "../graph/graph.js";

export class Emitter {
  readonly #builder: GraphBuilder;
  readonly #constants = new Map<string, Value>();
  #count = 0;

  constructor(name: string) {
    this.#builder = new GraphBuilder(name);
  }

  get graph(): Graph {
    return this.#builder.graph;
  }

  input(source: Value): Value {
    return this.#builder.input(source.name, source.shape, source.dtype);
  }

  /** A constant under a short name; equal ones up to 4 kB are written once. */
  constant(value: Tensor): Value {
    if (value.data.byteLength > 4096) return this.#builder.constant(this.#shortName(), value);
    const key = `${value.dtype}[${value.shape.join()}]${value.data.join()}`;
    let known = this.#constants.get(key);
    if (!known) {
      known = this.#builder.constant(this.#shortName(), value);
      this.#constants.set(key, known);
    }
    return known;
  }

  scalar<D extends DType>(dtype: D, data: DataOf<D>): Value {
    return this.constant(tensor(dtype, [], data));
  }

  float(x: number): Value {
    return this.scalar("float32", Float32Array.of(x));
  }

  byte(x: number): Value {
    return this.scalar("uint8", Uint8Array.of(x));
  }

  ints(data: readonly number[]): Value {
    return this.constant(tensor("int64", [data.length], BigInt64Array.from(data, BigInt)));
  }

  /** Adds a node; without a name its output gets a short one. */
  node(
    op: string,
    origin: string,
    inputs: readonly (Value | null)[],
    output: { readonly name?: string; readonly shape: readonly Dim[]; readonly dtype?: DType },
    attributes: Readonly<Record<string, Attribute>> = {},
    domain: "" | "qdg" = "",
  ): Value {
    const { name = this.#shortName(), ...rest } = output;
    return this.#builder.node(op, origin, inputs, { name, ...rest }, attributes, domain);
  }

  output(value: Value): void {
    this.#builder.output(value);
  }

  #shortName(): string {
    return `_${(this.#count++).toString(36)}`;
  }
}
