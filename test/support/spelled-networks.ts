// Random networks as exporters write them: what one node could say stands there in several, constants in every shape, shapes
// that are computed. Shapes of values are right, as those of a file are.

import { type DType, float32, int64, sizeOf } from "../../src/base/tensor.js";
import { GraphBuilder } from "../../src/graph/builder.js";
import type { Attribute, Graph, Value } from "../../src/graph/graph.js";
import { turnedBlock } from "./channels-last-networks.js";
import { chosen, logSoftmax } from "./spelled-functions.js";
import { seeded } from "./layers-models.js";

type Attributes = Readonly<Record<string, Attribute>>;

/** Writes a network node by node, with what is arbitrary at random. */
export class Spelling {
  readonly net: GraphBuilder = new GraphBuilder("spelled");
  readonly random: () => number;
  #count = 0;

  constructor(seed: number) {
    this.random = seeded(seed * 101 + 9);
  }

  int(low: number, high: number): number {
    return low + Math.floor(this.random() * (high - low + 1));
  }

  pick<T>(list: readonly T[]): T {
    return list[this.int(0, list.length - 1)] as T;
  }

  op(
    op: string,
    inputs: readonly (Value | null)[],
    shape: readonly (number | string)[],
    attributes: Attributes = {},
    dtype: DType = "float32",
  ): Value {
    const name = `${op.toLowerCase()}_${this.#count++}`;
    return this.net.node(op, name, inputs, { name, shape, dtype }, attributes);
  }

  numbers(...shape: number[]): Value {
    const data = Float32Array.from({ length: sizeOf(shape) }, () => Math.fround(this.random() * 1.5 + 0.25));
    return this.net.constant(`c_${this.#count++}`, float32(shape, data));
  }

  number(x: number): Value {
    return this.net.constant(`n_${this.#count++}`, float32(this.pick([[], [1]]), [Math.fround(x)]));
  }

  ints(...list: number[]): Value {
    return this.net.constant(`i_${this.#count++}`, int64([list.length], list));
  }

  /** Two operands in either order. */
  either(a: Value, b: Value): readonly Value[] {
    return this.pick([
      [a, b],
      [b, a],
    ]);
  }
}

type Block = (s: Spelling, x: Value) => Value;

const SIDE = 4;

/** Over [N, C, 4, 4], and back to it. */
export const BLOCKS: Readonly<Record<string, Block>> = {
  identity: (s, x) => s.op(s.pick(["Identity", "Dropout"]), [x], x.shape),
  neutral: (s, x) =>
    s.pick([
      () => s.op("Add", s.either(x, s.number(0)), x.shape),
      () => s.op("Div", [x, s.number(1)], x.shape),
      () => s.op("Transpose", [x], x.shape, { perm: [0, 1, 2, 3] }),
      () => s.op("Slice", [x, s.ints(0), s.ints(99), s.ints(2)], x.shape),
      () => s.op("Concat", [x], x.shape, { axis: 1 }),
    ])(),
  conv: (s, x) => conv(s, x, s.random() < 0.5),
  convAndAdd: (s, x) => s.op("Add", s.either(conv(s, x, s.random() < 0.5), byChannel(s, x)), x.shape),
  convAndAffine: (s, x) => {
    const scaled = s.op("Mul", s.either(conv(s, x, true), byChannel(s, x)), x.shape);
    const shifted = s.op("Add", s.either(scaled, byChannel(s, x)), x.shape);
    return s.random() < 0.5 ? shifted : s.op("Div", [shifted, s.number(1.5)], x.shape);
  },
  swish: (s, x) => s.op("Mul", s.either(x, s.op("Sigmoid", [x], x.shape)), x.shape),
  hardSwish: (s, x) => {
    const clipped = s.op(
      "Clip",
      [s.op("Add", s.either(x, s.number(3)), x.shape), s.number(0), s.number(6)],
      x.shape,
    );
    return s.pick([
      () => s.op("Div", [s.op("Mul", s.either(x, clipped), x.shape), s.number(6)], x.shape),
      () => s.op("Mul", s.either(x, s.op("Div", [clipped, s.number(6)], x.shape)), x.shape),
      () => s.op("Mul", s.either(x, s.op("Mul", s.either(clipped, s.number(1 / 6)), x.shape)), x.shape),
    ])();
  },
  mish: (s, x) => s.op("Mul", s.either(x, s.op("Tanh", [s.op("Softplus", [x], x.shape)], x.shape)), x.shape),
  gelu: (s, x) => {
    const scaled = s.pick([
      () => s.op("Div", [x, s.number(Math.SQRT2)], x.shape),
      () => s.op("Mul", s.either(x, s.number(Math.SQRT1_2)), x.shape),
    ])();
    const gate = s.op("Add", s.either(s.op("Erf", [scaled], x.shape), s.number(1)), x.shape);
    const half = s.number(0.5);
    return s.pick([
      () => s.op("Mul", s.either(s.op("Mul", s.either(x, gate), x.shape), half), x.shape),
      () => s.op("Mul", s.either(s.op("Mul", s.either(x, half), x.shape), gate), x.shape),
      () => s.op("Mul", s.either(x, s.op("Mul", s.either(gate, half), x.shape)), x.shape),
    ])();
  },
  geluTanh: (s, x) => {
    const cube = s.op("Pow", [x, s.number(3)], x.shape);
    const inner = s.op("Add", s.either(x, s.op("Mul", s.either(cube, s.number(0.044715)), x.shape)), x.shape);
    const tanh = s.op(
      "Tanh",
      [s.op("Mul", s.either(inner, s.number(Math.sqrt(2 / Math.PI))), x.shape)],
      x.shape,
    );
    const gate = s.op("Add", s.either(tanh, s.number(1)), x.shape);
    return s.op("Mul", s.either(s.op("Mul", s.either(x, s.number(0.5)), x.shape), gate), x.shape);
  },
  softmax: (s, x) => {
    const axis = s.int(1, 3);
    const reduced = (op: string, of: Value, ...axes: number[]): Value =>
      s.op(
        op,
        [of, s.ints(...axes)],
        of.shape.map((size, at) => (axes.some((each) => each === at || each + 4 === at) ? 1 : size)),
      );
    const over = s.pick([axis, axis - 4]);
    const argument = s.pick([
      () => s.op("Sub", [x, reduced("ReduceMax", x, over)], x.shape),
      () => s.op("Sub", [x, reduced("ReduceMax", x, 1, 2, 3)], x.shape),
      () => s.op("Sub", [x, reduced("ReduceMax", x, axis === 1 ? 2 : 1)], x.shape),
      () => s.op("Tanh", [x], x.shape),
    ])();
    const powers = s.op("Exp", [argument], x.shape);
    const sum = reduced("ReduceSum", powers, over);
    return s.pick([
      () => s.op("Div", [powers, sum], x.shape),
      () => s.op("Mul", s.either(powers, s.op("Reciprocal", [sum], sum.shape)), x.shape),
    ])();
  },
  leak: (s, x) => leak(s, x, s.number(s.pick([0.1, 0.25, -0.5, 1.5]))),
  leakByChannel: (s, x) => leak(s, x, s.numbers(x.shape[1] as number, 1, 1)),
  slant: (s, x) => s.op("Max", s.either(x, s.op("Mul", s.either(x, s.number(0.2)), x.shape)), x.shape),
  chosen: (s, x) => chosen(s, x, s.op("Mul", s.either(x, s.number(0.2)), x.shape)),
  cut: (s, x) => chosen(s, x, s.number(0)),
  logSoftmax,
  preprocessed,
  prelu: (s, x) => s.op("PRelu", [x, s.number(0.3)], x.shape),
  layerNorm: (s, x) => {
    const mean = (of: Value): Value => s.op("ReduceMean", [of, s.ints(-1)], [...x.shape.slice(0, -1), 1]);
    const centred = s.op("Sub", [x, mean(x)], x.shape);
    const variance = mean(s.op("Pow", [centred, s.number(2)], x.shape));
    const deviation = s.op(
      "Sqrt",
      [s.op("Add", s.either(variance, s.number(1e-5)), variance.shape)],
      variance.shape,
    );
    const normal = s.op("Div", [centred, deviation], x.shape);
    const rows = s.int(0, 2);
    const scaled = rows > 0 ? s.op("Mul", s.either(normal, s.numbers(SIDE)), x.shape) : normal;
    return rows > 1 ? s.op("Add", s.either(scaled, s.numbers(SIDE)), x.shape) : scaled;
  },
  dense: (s, x) => {
    const product = s.op("MatMul", [x, s.numbers(SIDE, SIDE)], x.shape);
    return s.random() < 0.5
      ? product
      : s.op("Add", s.either(product, s.pick([s.numbers(SIDE), s.numbers(1)])), x.shape);
  },
  gemm: (s, x) => {
    const size = (x.shape[1] as number) * SIDE * SIDE;
    const flat = s.op("Flatten", [x], ["N", size]);
    const isTransposed = s.int(0, 1);
    const bias = s.pick([null, s.numbers(3), s.numbers(1, 3), s.numbers(1)]);
    const weight = isTransposed ? s.numbers(3, size) : s.numbers(size, 3);
    const factors = {
      alpha: { float: s.pick([1, 0.5]) },
      beta: { float: s.pick([1, 2]) },
      transB: isTransposed,
    };
    const y = s.op("Gemm", [flat, weight, bias], ["N", 3], factors);
    const image = s.op("Unsqueeze", [y, s.ints(2, 3)], ["N", 3, 1, 1]);
    return s.op(
      "Concat",
      [x, s.op("Expand", [image, s.ints(1, 1, SIDE, SIDE)], ["N", 3, SIDE, SIDE])],
      ["N", (x.shape[1] as number) + 3, SIDE, SIDE],
      { axis: 1 },
    );
  },
  gate: (s, x) => {
    const channels = x.shape[1] as number;
    const keep = s.int(0, 1);
    const op = s.pick(["ReduceMean", "ReduceMax"]);
    const shape = keep ? ["N", channels, 1, 1] : ["N", channels];
    const pooled = s.op(op, [x, s.pick([s.ints(2, 3), s.ints(-1, -2)])], shape, { keepdims: keep });
    const back = keep ? pooled : s.op("Unsqueeze", [pooled, s.ints(2, 3)], ["N", channels, 1, 1]);
    return s.op("Mul", s.either(x, s.op("Sigmoid", [back], back.shape)), x.shape);
  },
  pool: (s, x) => {
    const pooled = s.op("AveragePool", [x], [...x.shape.slice(0, 2), 1, 1], { kernel_shape: [SIDE, SIDE] });
    return s.op("Add", [x, pooled], x.shape);
  },
  split: (s, x) => {
    const channels = x.shape[1] as number;
    const first = s.int(1, Math.max(1, channels - 1));
    if (channels < 2) return x;
    const node = s.op("Split", [x, s.ints(first, channels - first)], ["N", first, SIDE, SIDE], { axis: 1 });
    const rest: Value = {
      name: `${node.name}_rest`,
      dtype: "float32",
      shape: ["N", channels - first, SIDE, SIDE],
    };
    if (node.producer) rest.producer = node.producer;
    node.producer?.outputs.push(rest);
    return s.op("Concat", [rest, node], x.shape, { axis: 1 });
  },
  gather: (s, x) => {
    const row = s.net.constant(`row_${s.int(0, 1e9)}`, int64([], [s.pick([0, -1])]));
    const taken = s.op("Gather", [x, row], ["N", x.shape[1] as number, SIDE], { axis: 2 });
    const back = s.op("Unsqueeze", [taken, s.ints(2)], ["N", x.shape[1] as number, 1, SIDE]);
    return s.op("Add", [x, back], x.shape);
  },
  padded: (s, x) => {
    // By nothing, or to and fro: the shape stays, what is in it need not.
    const shift = s.int(0, 1);
    return s.op("Pad", [x, s.ints(0, 0, shift, 0, 0, 0, -shift, 0)], x.shape);
  },
  turnedBlock,
  turned: (s, x) => {
    const channels = x.shape[1] as number;
    const last = s.op("Transpose", [x], ["N", SIDE, SIDE, channels], { perm: [0, 2, 3, 1] });
    const perm = s.pick([
      [0, 3, 1, 2],
      [0, 3, 2, 1],
    ]);
    return s.op("Transpose", [last], x.shape, { perm });
  },
  flattened: (s, x) => {
    const channels = x.shape[1] as number;
    const flat = s.op("Flatten", [x], ["N", channels * SIDE * SIDE]);
    const rows = s.op("Reshape", [flat, s.ints(0, channels, -1)], ["N", channels, SIDE * SIDE]);
    return s.op(
      "Reshape",
      [rows, s.pick([s.ints(0, 0, SIDE, SIDE), s.ints(-1, channels, SIDE, SIDE)])],
      x.shape,
    );
  },
  reshape: (s, x) => {
    // As view(x.size(0), x.size(1), -1) is exported.
    const list = s.net.node("Shape", "shape", [x], {
      name: `shape_${s.int(0, 1e9)}`,
      shape: [4],
      dtype: "int64",
    });
    const size = (axis: number): Value => {
      const index = s.net.constant(`axis_${s.int(0, 1e9)}`, int64([1], [axis]));
      return s.net.node("Gather", "size", [list, index], {
        name: `size_${s.int(0, 1e9)}`,
        shape: [1],
        dtype: "int64",
      });
    };
    const wanted = s.net.node(
      "Concat",
      "sizes",
      [size(0), size(1), s.ints(-1)],
      {
        name: `sizes_${s.int(0, 1e9)}`,
        shape: [3],
        dtype: "int64",
      },
      { axis: 0 },
    );
    const rows = s.op("Reshape", [x, wanted], ["N", x.shape[1] as number, SIDE * SIDE]);
    return s.op("Reshape", [s.op("Relu", [rows], rows.shape), list], x.shape);
  },
};

/** An image in another range before its first convolution: channels first or turned so, padded where nothing is added. */
function preprocessed(s: Spelling, image: Value): Value {
  const channels = image.shape[1] as number;
  const isTurned = s.random() < 0.5;
  const turnedShape = ["N", SIDE, SIDE, channels];
  let x = isTurned ? s.op("Transpose", [image], turnedShape, { perm: [0, 2, 3, 1] }) : image;
  const factor = (): Value =>
    s.pick([() => s.number(0.75), () => (isTurned ? s.numbers(channels) : s.numbers(channels, 1, 1))])();
  const isPadded = s.random() < 0.5;
  if (!isPadded) x = s.op("Sub", [x, factor()], x.shape);
  x = s.random() < 0.5 ? s.op("Mul", s.either(x, factor()), x.shape) : s.op("Div", [x, factor()], x.shape);
  if (isTurned) x = s.op("Transpose", [x], image.shape, { perm: [0, 3, 1, 2] });
  if (!isPadded) x = s.op("Add", s.either(x, s.numbers(1, channels, 1, 1)), x.shape);
  const isDepthwise = s.random() < 0.3;
  const weight = s.numbers(channels, isDepthwise ? 1 : channels, 3, 3);
  const group = isDepthwise ? channels : 1;
  const inputs = [x, weight, ...(s.random() < 0.5 ? [s.numbers(channels)] : [])];
  const pads = isPadded ? [1, 1, 1, 1] : [0, 0, 0, 0];
  const side = isPadded ? SIDE : SIDE - 2;
  const y = s.op("Conv", inputs, ["N", channels, side, side], { group, pads });
  return isPadded ? y : s.op("Pad", [y, s.ints(0, 0, 1, 1, 0, 0, 1, 1)], image.shape);
}

function conv(s: Spelling, x: Value, bias: boolean): Value {
  const channels = x.shape[1] as number;
  const inputs = [x, s.numbers(channels, channels, 1, 1), ...(bias ? [s.numbers(channels)] : [])];
  return s.op("Conv", inputs, x.shape);
}

/** What is positive, and a part of what is not. */
function leak(s: Spelling, x: Value, slope: Value): Value {
  const positive = s.pick([
    () => s.op("Relu", [x], x.shape),
    () => s.op("Max", s.either(x, s.number(0)), x.shape),
    () => s.op("Clip", [x, s.number(0)], x.shape),
  ])();
  const flipped = (): Value => s.op("Relu", [s.op("Neg", [x], x.shape)], x.shape);
  const times = (value: Value): Value => s.op("Mul", s.either(value, slope), x.shape);
  const negative = s.pick([
    () => s.op("Min", s.either(x, s.number(0)), x.shape),
    () => s.op("Clip", [x, null, s.number(0)], x.shape),
    () => s.op("Neg", [flipped()], x.shape),
  ]);
  const halves = (): Value => s.op("Sub", [x, s.op("Abs", [x], x.shape)], x.shape);
  return s.pick([
    () => s.op("Add", s.either(positive, times(negative())), x.shape),
    () => s.op("Sub", [positive, times(flipped())], x.shape),
    () =>
      s.op(
        "Add",
        s.either(positive, s.op("Mul", s.either(times(halves()), s.number(0.5)), x.shape)),
        x.shape,
      ),
    () => s.op("Add", s.either(positive, s.op("Div", [times(halves()), s.number(2)], x.shape)), x.shape),
    () => s.op("Add", s.either(positive, s.op("Neg", [times(flipped())], x.shape)), x.shape),
  ])();
}

function byChannel(s: Spelling, x: Value): Value {
  return s.pick([
    () => s.numbers(x.shape[1] as number, 1, 1),
    () => s.numbers(1, x.shape[1] as number, 1, 1),
    () => s.number(0.75),
  ])();
}

/** A chain of `size` blocks; some values on the way are outputs too. */
export function spelledNetwork(
  seed: number,
  size = 8,
  blocks: readonly Block[] = Object.values(BLOCKS),
): Graph {
  const s = new Spelling(seed);
  let x = s.net.input("x", ["N", s.int(1, 3), SIDE, SIDE]);
  for (let i = 0; i < size; i++) {
    // What images go through before a network stands at its beginning only.
    const isFirst = i === 0 && blocks.length > 1 && s.random() < 0.3;
    x = isFirst ? preprocessed(s, x) : s.pick(blocks)(s, x);
    // Keeps the numbers from growing without end.
    if (i % 2 === 1) x = s.op("Tanh", [x], x.shape);
    if (s.random() < 0.15 && x.producer && !s.net.graph.outputs.includes(x)) s.net.output(x);
  }
  if (!s.net.graph.outputs.includes(x)) s.net.output(s.op("Tanh", [x], x.shape));
  return s.net.graph;
}
