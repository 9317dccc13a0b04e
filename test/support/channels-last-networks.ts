// Random networks as exporters of tools with channels last write them: every convolution between two transposes, all else in
// the other order. Shapes of values are right, as those of a file are.

import { float32 } from "../../src/base/tensor.js";
import type { Graph, Value } from "../../src/graph/graph.js";
import type { Spelling } from "./spelled-networks.js";

type Block = (s: Spelling, x: Value) => Value;

const TO_FIRST = [0, 3, 1, 2];
const TO_LAST = [0, 2, 3, 1];

/** What works along axes that are named, over [N, H, W, C] or any other order of four axes; the shape stays. */
const INNER: readonly Block[] = [
  (s, x) => s.op(s.pick(["Relu", "Sigmoid", "Tanh", "Abs", "HardSwish"]), [x], x.shape),
  (s, x) => s.op(s.pick(["Add", "Mul"]), s.either(x, s.numbers(x.shape[3] as number)), x.shape),
  (s, x) => s.op("Clip", [x, s.number(0), s.number(6)], x.shape),
  (s, x) => s.op("PRelu", [x, s.numbers(1, 1, x.shape[3] as number)], x.shape),
  (s, x) => s.op("Add", s.either(x, s.op("Neg", [x], x.shape)), x.shape),
  (s, x) => s.op("Softmax", [x], x.shape, { axis: s.pick([-1, 1, 3]) }),
  (s, x) =>
    s.op("Where", [s.op("Greater", [x, s.number(0.5)], x.shape, {}, "bool"), x, s.number(0.25)], x.shape),
  (s, x) => {
    const axis = s.int(1, 3);
    const shape = x.shape.with(axis, 1);
    const reduced = s.op(
      s.pick(["ReduceMean", "ReduceMax", "ReduceSum"]),
      [x, s.ints(s.pick([axis, axis - 4]))],
      shape,
    );
    return s.op("Sub", [x, reduced], x.shape);
  },
  (s, x) => {
    const axis = s.int(1, 3);
    const size = x.shape[axis] as number;
    const wide = s.op("Concat", [x, s.op("Tanh", [x], x.shape)], x.shape.with(axis, size * 2), {
      axis: s.pick([axis, axis - 4]),
    });
    const from = s.int(0, size);
    return s.op("Slice", [wide, s.ints(from), s.ints(from + size), s.ints(axis)], x.shape);
  },
  (s, x) => {
    const axis = s.int(1, 3);
    const pads = Array.from({ length: 8 }, (_, at) => (at === axis ? 1 : at === axis + 4 ? 2 : 0));
    const wide = s.op("Pad", [x, s.ints(...pads)], x.shape.with(axis, (x.shape[axis] as number) + 3));
    const starts = s.ints(...[0, 0, 0, 0].with(axis, 1));
    const ends = s.ints(...[0, 1, 2, 3].map((at) => (at === axis ? 1 + (x.shape[at] as number) : 99)));
    return s.op("Slice", [wide, starts, ends], x.shape);
  },
  (s, x) => {
    const axis = s.int(1, 3);
    const order = Array.from({ length: x.shape[axis] as number }, (_, i) => i).reverse();
    return s.op("Gather", [x, s.ints(...order)], x.shape, { axis });
  },
  (s, x) => {
    const axis = s.int(1, 3);
    const one = s.op("ReduceSum", [x, s.ints(axis)], x.shape.with(axis, 1));
    const repeats = s.ints(...[1, 1, 1, 1].with(axis, x.shape[axis] as number));
    return s.op("Mul", [s.op("Tile", [s.op("Tanh", [one], one.shape), repeats], x.shape), x], x.shape);
  },
];

/** A convolution of images with channels last, as it is exported. */
function convolution(s: Spelling, x: Value, filters: number): Value {
  const [n, h, w, c] = x.shape as [string, number, number, number];
  const side = s.pick([1, 3]);
  const first = s.op("Transpose", [x], [n, c, h, w], { perm: TO_FIRST });
  const pads = Array.from({ length: 4 }, () => (side - 1) / 2);
  const random = Float32Array.from({ length: filters * c * side * side }, () => s.random() / (c * side));
  const weight = s.net.constant(s.net.uniqueName("w"), float32([filters, c, side, side], random));
  const y = s.op("Conv", [first, weight], [n, filters, h, w], { pads });
  return s.op("Transpose", [y], [n, h, w, filters], { perm: TO_LAST });
}

/** What stands between convolutions; the shape stays but for the channels. */
const BETWEEN: readonly Block[] = [
  ...INNER,
  (s, x) => convolution(s, x, s.int(1, 4)),
  (s, x) => s.op("Add", s.either(x, convolution(s, x, x.shape[3] as number)), x.shape),
  (s, x) => {
    const [a, b] = [convolution(s, x, 2), s.op("Relu", [convolution(s, x, 3)], x.shape.with(3, 3))];
    return s.op("Concat", [a, b], x.shape.with(3, 5), { axis: s.pick([3, -1]) });
  },
  // Squeeze and excitation.
  (s, x) => {
    const pooled = s.op("ReduceMean", [x, s.ints(1, 2)], [x.shape[0] as string, 1, 1, x.shape[3] as number]);
    const gate = s.op("Sigmoid", [convolution(s, pooled, x.shape[3] as number)], pooled.shape);
    return s.op("Mul", s.either(x, gate), x.shape);
  },
  // The same with what a dense layer would read between.
  (s, x) => {
    const [n, , , c] = x.shape as [string, number, number, number];
    const pooled = s.op("ReduceMean", [x, s.ints(1, 2)], [n, c], { keepdims: 0 });
    const image = s.op("Reshape", [pooled, s.ints(-1, 1, 1, c)], [n, 1, 1, c]);
    return s.op("Mul", s.either(x, s.op("Sigmoid", [convolution(s, image, c)], image.shape)), x.shape);
  },
  (s, x) => {
    const [n, h, w, c] = x.shape as [string, number, number, number];
    const scales = s.net.constant(s.net.uniqueName("scales"), float32([4], [1, 2, 2, 1]));
    const large = s.op("Resize", [x, null, scales], [n, h * 2, w * 2, c], {
      mode: "nearest",
      coordinate_transformation_mode: "asymmetric",
      nearest_mode: "floor",
    });
    const first = s.op("Transpose", [large], [n, c, h * 2, w * 2], { perm: TO_FIRST });
    const pooled = s.op("MaxPool", [first], [n, c, h, w], { kernel_shape: [2, 2], strides: [2, 2] });
    return s.op("Transpose", [pooled], [n, h, w, c], { perm: TO_LAST });
  },
];

/** A network of convolutions and what stands between them, channels last from its input to its outputs, one of which is its end. */
export function channelsLastNetwork(s: Spelling, size: number, moreOutputs: number): Graph {
  let x = s.net.input("x", ["N", 4, 3, s.int(1, 3)]);
  x = convolution(s, x, 3);
  for (let i = 0; i < size; i++) {
    x = s.pick(BETWEEN)(s, x);
    if (i % 3 === 2) x = s.op("Tanh", [x], x.shape);
    if (s.random() < moreOutputs && !s.net.graph.outputs.includes(x)) s.net.output(x);
  }
  s.net.output(s.op("Tanh", [convolution(s, x, 2)], x.shape.with(3, 2)));
  return s.net.graph;
}

/** Over [N, C, H, W] and back to it: functions of elements and of axes in some other order of axes. */
export function turnedBlock(s: Spelling, x: Value): Value {
  const perm = s.pick([TO_LAST, TO_FIRST, [0, 2, 1, 3], [0, 1, 3, 2], [0, 3, 2, 1]]);
  const turned = s.op(
    "Transpose",
    [x],
    perm.map((axis) => x.shape[axis] as number | string),
    { perm },
  );
  let y = turned;
  for (let i = s.int(1, 3); i > 0; i--) y = s.pick(INNER)(s, y);
  if (s.random() < 0.3) y = s.op("Add", s.either(y, turned), y.shape);
  const back = s.op("Transpose", [y], x.shape, { perm: perm.map((_, axis) => perm.indexOf(axis)) });
  return s.random() < 0.3 ? s.op("Mul", s.either(back, x), x.shape) : back;
}
