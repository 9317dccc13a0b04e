// Builds small models node by node, with random data that is the same in every run.

import type { DType, Tensor } from "../../src/base/tensor.js";
import { float32, sizeOf, tensor } from "../../src/base/tensor.js";
import { GraphBuilder } from "../../src/graph/builder.js";
import type { Attribute, Graph, Value } from "../../src/graph/graph.js";

/** A linear congruential generator: the same models in every run. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
    for (let i = 0; i < 8; i++) this.next();
  }

  /** A real number in [0, 1). */
  next(): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return this.#state / 2 ** 32;
  }

  integer(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  pick<T>(items: readonly T[]): T {
    return items[this.integer(0, items.length - 1)] as T;
  }

  scale(): number {
    return Math.fround(0.001 + this.next() * 0.1);
  }

  bytes(shape: readonly number[], high = 255): Tensor<"uint8"> {
    return tensor(
      "uint8",
      shape,
      Uint8Array.from({ length: sizeOf(shape) }, () => this.integer(0, high)),
    );
  }
}

export interface Model {
  readonly graph: Graph;
  readonly feeds: Readonly<Record<string, Tensor>>;
}

/** Builds one model: nodes in one line each. */
export class Sketch {
  readonly builder: GraphBuilder = new GraphBuilder("case");
  readonly feeds: Record<string, Tensor> = {};

  input(name: string, data: Tensor): Value {
    this.feeds[name] = data;
    return this.builder.input(name, data.shape, data.dtype);
  }

  real(name: string, value: number): Value {
    return this.builder.constant(name, float32([], [value]));
  }

  reals(name: string, values: readonly number[]): Value {
    return this.builder.constant(name, float32([values.length], values));
  }

  byte(name: string, value: number): Value {
    return this.builder.constant(name, tensor("uint8", [], Uint8Array.of(value)));
  }

  constant(name: string, data: Tensor): Value {
    return this.builder.constant(name, data);
  }

  node(
    op: string,
    inputs: readonly (Value | null)[],
    attributes: Readonly<Record<string, Attribute>> = {},
    dtype: DType = "float32",
    shape: readonly number[] = [],
  ): Value {
    const name = `${op}${this.builder.graph.nodes.length}`;
    return this.builder.node(op, name, inputs, { name, shape, dtype }, attributes);
  }

  dequantize(q: Value, scale: number, zeroPoint: number): Value {
    const n = this.builder.graph.nodes.length;
    return this.node("DequantizeLinear", [q, this.real(`s${n}`, scale), this.byte(`z${n}`, zeroPoint)]);
  }

  /** The model whose output is `value` quantized, or `value` itself. */
  model(
    value: Value,
    shape: readonly number[],
    to: { scale: number; zeroPoint: number; clip?: [number, number] } | null,
  ): Model {
    let output = value;
    if (to) {
      const inputs = [output, this.real("s_y", to.scale), this.byte("z_y", to.zeroPoint)];
      output = this.node("QuantizeLinear", inputs, {}, "uint8", shape);
      if (to.clip) {
        const bounds = [this.byte("low", to.clip[0]), this.byte("high", to.clip[1])];
        output = this.node("Clip", [output, ...bounds], {}, "uint8", shape);
      }
    }
    output.shape = shape;
    this.builder.output(output);
    return { graph: this.builder.graph, feeds: this.feeds };
  }
}
