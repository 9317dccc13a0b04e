// Oracle: tfjs. Operators that move, cut and join, on data and on shapes.

import type { Chance } from "../../support/layer-cases.js";
import {
  conv,
  i,
  ints,
  intWeight,
  node,
  type OpCase,
  realWeight,
  s,
  type TestGraph,
  testOps,
  type,
} from "../../support/graph-models.js";

/** The same on the input itself, and after a convolution, where channels stand first. */
function both(
  title: string,
  graph: (x: string, c: Chance) => Pick<TestGraph, "nodes" | "outputs" | "weights">,
  seeds = 3,
): OpCase[] {
  return [
    {
      title,
      seeds,
      graph: (c) => ({ inputs: { x: { shape: [2, 4, 5, 3] } }, ...graph("x", c) }),
    },
    {
      title: `${title}, after a convolution`,
      seeds,
      graph(c) {
        const { nodes, weights, outputs } = graph("c", c);
        return {
          inputs: { x: { shape: [2, 4, 5, 2] } },
          weights: { w: realWeight(c, 2, 2, 2, 3), ...weights },
          nodes: [conv, ...nodes],
          outputs,
        };
      },
    },
  ];
}

function masks(c: Chance): Record<string, ReturnType<typeof i>> {
  return {
    begin_mask: i(c.int(0, 15)),
    end_mask: i(c.int(0, 15)),
    ellipsis_mask: i(0),
    new_axis_mask: i(0),
    shrink_axis_mask: i(0),
  };
}

testOps([
  ...both(
    "StridedSlice with begin and end masks, steps either way",
    (x, c) => {
      const back = c.pick([false, true]);
      const begin = back ? [1, c.int(2, 3), 4, 2] : [0, c.int(0, 1), c.int(-4, 1), 0];
      const end = back ? [0, 0, c.int(-5, 1), 0] : [2, c.int(2, 9), c.int(-2, 5), 3];
      const step = back ? [-1, -1, -2, -1] : [1, 1, c.int(1, 2), c.int(1, 2)];
      return {
        weights: { b: intWeight([4], ...begin), e: intWeight([4], ...end), t: intWeight([4], ...step) },
        nodes: [node("y", "StridedSlice", [x, "b", "e", "t"], masks(c))],
        outputs: ["y"],
      };
    },
    8,
  ),
  ...both(
    "StridedSlice with new, shrunk and left out axes",
    (x, c) => {
      const [ellipsis, added, shrunk] = c.pick([
        [0, 0, 1],
        [0, 0, 6],
        [0, 0, 8],
        [0, 1, 0],
        [0, 2, 4],
        [1, 4, 0],
        [2, 0, 1],
        [1, 2, 4],
        [0, 9, 2],
      ] as [number, number, number][]);
      return {
        weights: {
          b: intWeight([4], 0, 1, 1, 1),
          e: intWeight([4], 1, 2, 2, 2),
          t: intWeight([4], 1, 1, 1, 1),
        },
        nodes: [
          node("y", "StridedSlice", [x, "b", "e", "t"], {
            begin_mask: i(0),
            end_mask: i(0),
            ellipsis_mask: i(ellipsis),
            new_axis_mask: i(added),
            shrink_axis_mask: i(shrunk),
          }),
        ],
        outputs: ["y"],
      };
    },
    12,
  ),
  ...both("Slice", (x, c) => ({
    weights: { b: intWeight([4], 0, c.int(0, 2), 1, c.int(0, 1)), z: intWeight([4], 2, 2, -1, c.int(1, 2)) },
    nodes: [node("y", "Slice", [x, "b", "z"])],
    outputs: ["y"],
  })),
  ...both("Split and SplitV", (x) => ({
    weights: { one: intWeight([], 1), two: intWeight([], 2), parts: intWeight([3], 1, -1, 2) },
    nodes: [
      node("a", "Split", ["one", x], { num_split: i(2) }),
      node("b", "SplitV", [x, "parts", "two"], { num_split: i(3) }),
    ],
    outputs: ["a", "a:1", "b", "b:1", "b:2"],
  })),
  ...both("Unpack and Pack", (x, c) => ({
    nodes: [
      node("u", "Unpack", [x], { axis: i(3), num: i(3) }),
      node("y", "Pack", ["u:2", "u", "u:1"], { axis: i(c.int(0, 3)) }),
    ],
    outputs: ["y"],
  })),
  ...both("ConcatV2 and Concat", (x, c) => ({
    weights: { axis: intWeight([], c.int(-1, 3)), k: realWeight(c, 2, 4, 5, 3) },
    nodes: [
      node("y", "ConcatV2", [x, "k", x, "axis"], { N: i(3) }),
      node("z", "Concat", ["axis", x, "k"], { N: i(2) }),
    ],
    outputs: ["y", "z"],
  })),
  ...both("GatherV2", (x, c) => ({
    weights: { at: intWeight([2, 2], 0, 1, 1, 0), axis: intWeight([], c.int(0, 3)) },
    nodes: [node("y", "GatherV2", [x, "at", "axis"], { batch_dims: i(0) })],
    outputs: ["y"],
  })),
  ...both("Gather and GatherNd", (x) => ({
    weights: { at: intWeight([2], 1, 0), deep: intWeight([2, 2], 1, 3, 0, 2) },
    nodes: [node("y", "Gather", [x, "at"]), node("z", "GatherNd", [x, "deep"])],
    outputs: ["y", "z"],
  })),
  ...both("ReverseV2", (x, c) => ({
    weights: { axes: intWeight([2], 1, c.pick([-1, 2])) },
    nodes: [node("y", "ReverseV2", [x, "axes"])],
    outputs: ["y"],
  })),
  ...both(
    "Transpose",
    (x, c) => ({
      weights: {
        p: intWeight(
          [4],
          ...c.pick([
            [0, 3, 1, 2],
            [0, 2, 1, 3],
            [3, 0, 1, 2],
            [0, 1, 2, 3],
          ]),
        ),
      },
      nodes: [node("y", "Transpose", [x, "p"])],
      outputs: ["y"],
    }),
    6,
  ),
  ...both("Reshape", (x, c) => ({
    weights: {
      to: intWeight(
        [3],
        ...c.pick([
          [2, -1, 3],
          [-1, 4, 15],
          [2, 10, 6],
        ]),
      ),
    },
    nodes: [node("y", "Reshape", [x, "to"])],
    outputs: ["y"],
  })),
  ...both(
    "ExpandDims and Squeeze",
    (x, c) => ({
      weights: { at: intWeight([], c.int(-5, 4)), space: intWeight([2], 1, 2) },
      nodes: [
        node("e", "ExpandDims", [x, "at"]),
        node("y", "Squeeze", ["e"], { squeeze_dims: { list: {} } }),
        node("m", "Max", [x, "space"], { keep_dims: { b: true } }),
        node("z", "Squeeze", ["m"], { squeeze_dims: ints(1, -2) }),
      ],
      outputs: ["e", "y", "z"],
    }),
    6,
  ),
  ...both("Pad, PadV2 and MirrorPad", (x, c) => ({
    weights: {
      p: intWeight([4, 2], 0, 0, 1, c.int(0, 2), c.int(0, 2), 1, 0, c.int(0, 1)),
      m: intWeight([4, 2], 0, 0, 1, 0, 1, 1, 0, 1),
      v: { shape: [], data: [1.5] },
    },
    nodes: [
      node("a", "Pad", [x, "p"]),
      node("b", "PadV2", [x, "p", "v"]),
      node("d", "MirrorPad", [x, "m"], { mode: s("REFLECT") }),
      node("e", "MirrorPad", [x, "m"], { mode: s("SYMMETRIC") }),
    ],
    outputs: ["a", "b", "d", "e"],
  })),
  ...both("Tile and BroadcastTo", (x, c) => ({
    weights: { r: intWeight([4], 1, c.int(1, 2), 1, 2), to: intWeight([5], 2, 2, 4, 5, 3) },
    nodes: [node("y", "Tile", [x, "r"]), node("z", "BroadcastTo", [x, "to"])],
    outputs: ["y", "z"],
  })),
  ...both(
    "names for the same tensor",
    (x) => ({
      weights: { shape: intWeight([4], 2, 4, 5, 3) },
      nodes: [
        node("a", "Identity", [x]),
        node("g", "EnsureShape", ["a", "shape"]),
        node("h", "PlaceholderWithDefault", ["g"]),
        node("b", "StopGradient", ["h"]),
        node("d", "Snapshot", ["b"]),
        node("e", "IdentityN", ["d", "a"]),
        node("n", "Neg", ["e:1"]),
      ],
      outputs: ["e", "n"],
    }),
    1,
  ),
  ...both(
    "Shape, Size, Rank and ShapeN",
    (x) => ({
      nodes: [
        node("a", "Shape", [x]),
        node("b", "Size", [x]),
        node("d", "Rank", [x]),
        node("e", "ShapeN", [x, x], { N: i(2) }),
      ],
      outputs: ["a", "b", "d", "e:1"],
    }),
    1,
  ),
  {
    title: "Cast between all types",
    graph: () => ({
      inputs: {
        x: { shape: [3, 4] },
        n: { shape: [3, 4], dtype: "int32" },
        q: { shape: [3, 4], dtype: "bool" },
      },
      nodes: [
        node("a", "Cast", ["x"], { DstT: type("DT_INT32"), SrcT: type("DT_FLOAT"), Truncate: { b: false } }),
        node("b", "Cast", ["n"], { DstT: type("DT_FLOAT") }),
        node("d", "Cast", ["n"], { DstT: type("DT_BOOL") }),
        node("e", "Cast", ["q"], { DstT: type("DT_INT32") }),
        node("g", "Cast", ["q"], { DstT: type("DT_FLOAT") }),
        node("h", "Cast", ["n"], { DstT: type("DT_INT64") }),
      ],
      outputs: ["a", "b", "d", "e", "g", "h"],
    }),
  },
  {
    title: "a shape that is computed from that of an open input",
    graph: () => ({
      inputs: { x: { shape: [null, 4, 6] } },
      weights: {
        zero: intWeight([1], 0),
        one: intWeight([1], 1),
        two: intWeight([1], 2),
        six: intWeight([], 6),
        half: intWeight([], 2),
      },
      nodes: [
        node("shape", "Shape", ["x"]),
        node("n", "StridedSlice", ["shape", "zero", "one", "one"], { shrink_axis_mask: i(1) }),
        node("h", "StridedSlice", ["shape", "one", "two", "one"], { shrink_axis_mask: i(1) }),
        node("d", "Mul", ["h", "six"]),
        node("e", "FloorDiv", ["d", "half"]),
        node("to", "Pack", ["n", "half", "e"], { axis: i(0) }),
        node("y", "Reshape", ["x", "to"]),
      ],
      outputs: ["y"],
    }),
  },
  {
    title: "a shape of two open sizes",
    graph: () => ({
      inputs: { x: { shape: [null, null, 6] } },
      weights: {
        to: intWeight([2], 3, 2),
        zero: intWeight([1], 0),
        two: intWeight([1], 2),
        one: intWeight([1], 1),
        axis: intWeight([], 0),
      },
      nodes: [
        node("shape", "Shape", ["x"]),
        node("outer", "StridedSlice", ["shape", "zero", "two", "one"]),
        node("all", "ConcatV2", ["outer", "to", "axis"], { N: i(2) }),
        node("y", "Reshape", ["x", "all"]),
      ],
      outputs: ["y"],
    }),
  },
  {
    title: "Fill, Ones, Zeros, OnesLike, ZerosLike",
    graph: () => ({
      inputs: { x: { shape: [null, 3] } },
      weights: { k: { shape: [], data: [2.5] }, fixed: intWeight([2], 2, 3) },
      nodes: [
        node("shape", "Shape", ["x"]),
        node("a", "Fill", ["shape", "k"]),
        node("y", "AddV2", ["x", "a"]),
        node("b", "OnesLike", ["x"]),
        node("d", "ZerosLike", ["x"]),
        node("e", "Ones", ["fixed"], { T: type("DT_FLOAT") }),
        node("g", "Zeros", ["fixed"], { T: type("DT_FLOAT") }),
        node("h", "AddV2", ["e", "g"]),
        node("z", "AddV2", ["h", "x"]),
      ],
      outputs: ["y", "b", "d", "z"],
    }),
  },
  {
    title: "Range and OneHot",
    graph: () => ({
      inputs: { n: { shape: [null, 3], dtype: "int32", below: 4 } },
      weights: {
        zero: intWeight([], 0),
        five: intWeight([], 5),
        one: intWeight([], 1),
        first: intWeight([1], 0),
        second: intWeight([1], 1),
        on: { shape: [], data: [2] },
        off: { shape: [], data: [-1] },
      },
      nodes: [
        node("shape", "Shape", ["n"]),
        node("count", "StridedSlice", ["shape", "first", "second", "second"], { shrink_axis_mask: i(1) }),
        node("r", "Range", ["zero", "count", "one"], { Tidx: type("DT_INT32") }),
        node("fixed", "Range", ["one", "five", "one"], { Tidx: type("DT_INT32") }),
        node("k", "AddV2", ["fixed", "count"]),
        node("y", "OneHot", ["n", "five", "on", "off"], { axis: i(-1), T: type("DT_FLOAT") }),
      ],
      outputs: ["r", "k", "y"],
    }),
  },
]);
