// Branches and loops of graph-models: what constants decide is taken and unrolled, judged by tfjs; what the data decide is refused.

import { expect, test } from "vitest";
import {
  b,
  compareGraphModel,
  intWeight,
  node,
  readTestGraph,
  s,
  type TestFunction,
  type TestGraph,
  type TestNode,
  type TestWeight,
  type as typed,
} from "../../support/graph-models.js";

const INPUTS: TestGraph["inputs"] = { x: { shape: [null, 3] } };
const yes = (value: boolean): TestWeight => ({ shape: [], data: [Number(value)], dtype: "bool" });
const number = (value: number): TestWeight => ({ shape: [], data: [value] });
const calls = (name: string): Readonly<Record<string, unknown>> => ({ func: { name } });

const twice: TestFunction = {
  name: "twice",
  inputs: ["a"],
  weights: ["two"],
  nodes: [node("product", "Mul", ["a", "two:output:0"])],
  outputs: ["product:z:0"],
};
const negative: TestFunction = {
  name: "negative",
  inputs: ["a"],
  nodes: [node("minus", "Neg", ["a"])],
  outputs: ["minus:y:0"],
};

function branch(op: string, taken: boolean): TestGraph {
  return {
    inputs: INPUTS,
    weights: { taken: yes(taken), two: number(2) },
    functions: [twice, negative],
    nodes: [
      node("choice", op, ["taken", "x"], { then_branch: calls("twice"), else_branch: calls("negative") }),
      node("y", "Relu", ["choice"]),
    ],
    outputs: ["y"],
  };
}

/** x = 2 x + i, as long as i < turns; the numbers of all turns in a list. */
function loop(op: string, turns: number): TestGraph {
  const more: TestFunction = {
    name: "more",
    inputs: ["i", "v", "all"],
    weights: ["turns"],
    nodes: [node("less", "Less", ["i", "turns:output:0"])],
    outputs: ["less:z:0"],
  };
  const body: TestFunction = {
    name: "body",
    inputs: ["i", "v", "all"],
    weights: ["one", "two"],
    nodes: [
      node("next", "AddV2", ["i", "one:output:0"]),
      node("product", "Mul", ["v", "two:output:0"]),
      node("real", "Cast", ["i"], { SrcT: typed("DT_INT32"), DstT: typed("DT_FLOAT") }),
      node("sum", "AddV2", ["product:z:0", "real:y:0"]),
      node("set", "TensorListSetItem", ["all", "i", "sum:z:0"], { element_dtype: typed("DT_FLOAT") }),
    ],
    outputs: ["next:z:0", "sum:z:0", "set:output_handle:0"],
  };
  const types = { element_dtype: typed("DT_FLOAT"), shape_type: typed("DT_INT32") };
  return {
    inputs: INPUTS,
    weights: {
      zero: intWeight([], 0),
      one: intWeight([], 1),
      turns: intWeight([], turns),
      count: intWeight([], turns),
      two: number(2),
      shape: intWeight([2], -1, 3),
    },
    functions: [more, body],
    nodes: [
      node("reserved", "TensorListReserve", ["shape", "count"], types),
      node("loop", op, ["zero", "x", "reserved"], { cond: calls("more"), body: calls("body") }),
      node("stacked", "TensorListStack", ["loop:2", "shape"], types),
      node("y", "Relu", ["loop:1"]),
    ],
    outputs: ["y", "stacked"],
  };
}

const frame = { frame_name: s("frame"), parallel_iterations: { i: "10" } };

/** The loop of TensorFlow 1: v = v + step, as long as i < turns. */
const oldLoop: TestGraph = {
  inputs: INPUTS,
  weights: { zero: intWeight([], 0), one: intWeight([], 1), turns: intWeight([], 3), step: number(0.5) },
  nodes: [
    node("i/enter", "Enter", ["zero"], frame),
    node("v/enter", "Enter", ["x"], frame),
    node("step/enter", "Enter", ["step"], { ...frame, is_constant: b(true) }),
    node("turns/enter", "Enter", ["turns"], { ...frame, is_constant: b(true) }),
    node("one/enter", "Enter", ["one"], { ...frame, is_constant: b(true) }),
    node("i/merge", "Merge", ["i/enter", "i/next"]),
    node("v/merge", "Merge", ["v/enter", "v/next"]),
    node("less", "Less", ["i/merge", "turns/enter"]),
    node("asked", "LoopCond", ["less"]),
    node("i/switch", "Switch", ["i/merge", "asked"]),
    node("v/switch", "Switch", ["v/merge", "asked"]),
    node("i/more", "AddV2", ["i/switch:1", "one/enter"]),
    node("v/more", "AddV2", ["v/switch:1", "step/enter"]),
    node("i/next", "NextIteration", ["i/more"]),
    node("v/next", "NextIteration", ["v/more"]),
    node("v/exit", "Exit", ["v/switch"]),
    node("y", "Tanh", ["v/exit"]),
  ],
  outputs: ["y"],
};

function oldBranch(taken: boolean): TestGraph {
  return {
    inputs: INPUTS,
    weights: { taken: yes(taken), two: number(2) },
    nodes: [
      node("switch", "Switch", ["x", "taken"]),
      node("no", "Neg", ["switch"]),
      node("yes", "Mul", ["switch:1", "two"]),
      node("merge", "Merge", ["no", "yes"]),
      node("y", "Relu", ["merge"]),
    ],
    outputs: ["y"],
  };
}

test.each<[string, TestGraph, string[]]>([
  ["If, taken", branch("If", true), ["Mul", "Relu"]],
  ["If, not taken", branch("If", false), ["Neg", "Relu"]],
  ["StatelessIf", branch("StatelessIf", true), ["Mul", "Relu"]],
  ["Switch and Merge, taken", oldBranch(true), ["Mul", "Relu"]],
  ["Switch and Merge, not taken", oldBranch(false), ["Neg", "Relu"]],
  ["a loop of TensorFlow 1", oldLoop, ["Add", "Add", "Add", "Tanh"]],
])("%s becomes what constants decide", async (_, graph, ops) => {
  const { difference, read } = await compareGraphModel(graph);
  expect(difference).toBeLessThan(1e-6);
  expect(read.nodes.map(({ op }) => op)).toEqual(ops);
});

test.each(["While", "StatelessWhile"])("%s is unrolled, and its list of tensors is known", async (op) => {
  for (const turns of [1, 3]) {
    const { difference, read } = await compareGraphModel(loop(op, turns));
    expect(difference).toBeLessThan(1e-6);
    // An addition of 0 in the first turn is nothing.
    expect(read.nodes.filter((each) => each.op === "Mul")).toHaveLength(turns);
  }
});

test("lists of tensors are split, read, resized and gathered as in tfjs", async () => {
  const types = { element_dtype: typed("DT_FLOAT"), shape_type: typed("DT_INT32") };
  const { difference } = await compareGraphModel({
    inputs: { x: { shape: [3, 2] } },
    weights: {
      shape: intWeight([1], 2),
      at: intWeight([], 1),
      some: intWeight([2], 2, 0),
      most: intWeight([], 4),
    },
    nodes: [
      node("list", "TensorListFromTensor", ["x", "shape"], types),
      node("row", "TensorListGetItem", ["list", "at", "shape"], types),
      node("gathered", "TensorListGather", ["list", "some", "shape"], types),
      node("empty", "EmptyTensorList", ["shape", "most"], types),
      node("pushed", "TensorListPushBack", ["empty", "row"], types),
      node("stacked", "TensorListStack", ["pushed", "shape"], types),
      node("larger", "TensorListResize", ["list", "most"], {}),
      node("length", "TensorListLength", ["larger"]),
      node("count", "Cast", ["length"], { SrcT: typed("DT_INT32"), DstT: typed("DT_FLOAT") }),
      node("y", "Mul", ["row", "count"]),
    ],
    outputs: ["y", "gathered", "stacked"],
  });
  expect(difference).toBeLessThan(1e-6);
});

const asked: TestNode[] = [
  node("total", "Sum", ["x", "axes"], { keep_dims: b(false) }),
  node("taken", "Less", ["total", "limit"]),
];

test.each<[string, TestGraph, RegExp]>([
  [
    "a branch that the data decide",
    {
      ...branch("If", true),
      weights: { two: number(2), limit: number(2), axes: intWeight([2], 0, 1) },
      nodes: [...asked, ...branch("If", true).nodes],
    },
    /choice \(If\): its condition is computed from the data, expected a constant/,
  ],
  [
    "a Switch that the data decide",
    {
      ...oldBranch(true),
      weights: { two: number(2), limit: number(2), axes: intWeight([2], 0, 1) },
      nodes: [...asked, ...oldBranch(true).nodes],
    },
    /switch \(Switch\): its condition is computed from the data/,
  ],
  ["a loop of too many turns", loop("While", 1500), /loop \(While\): takes more than 1000 turns/],
  [
    "a function that is not there",
    { ...branch("If", true), functions: [twice] },
    /choice \(If\): attribute else_branch: got "negative", expected a function of the library/,
  ],
  [
    "functions that call each other without end",
    {
      ...branch("If", true),
      functions: [
        {
          ...twice,
          weights: ["two", "taken"],
          nodes: [
            node("again", "If", ["taken:output:0", "a"], {
              then_branch: calls("twice"),
              else_branch: calls("negative"),
            }),
          ],
          outputs: ["again:output:0"],
        },
        negative,
      ],
      weights: { two: number(2), taken: yes(true), first: yes(true) },
      nodes: [
        node("choice", "If", ["first", "x"], { then_branch: calls("twice"), else_branch: calls("negative") }),
      ],
      outputs: ["choice"],
    },
    /functions and loops stand more than 50 deep in each other/,
  ],
  [
    "an operator that is not read, within a function",
    {
      ...branch("If", true),
      functions: [{ ...twice, nodes: [node("fft", "RFFT", ["a"])], outputs: ["fft:output:0"] }, negative],
    },
    /fft \(RFFT\): is an operator that qdg does not read/,
  ],
  [
    "an element that was never set",
    {
      inputs: INPUTS,
      weights: { shape: intWeight([1], 2), count: intWeight([], 3) },
      nodes: [
        node("list", "TensorListReserve", ["shape", "count"], { element_dtype: typed("DT_FLOAT") }),
        node("y", "TensorListStack", ["list", "shape"], { element_dtype: typed("DT_FLOAT") }),
      ],
      outputs: ["y"],
    },
    /y \(TensorListStack\): element 0 was never set/,
  ],
  [
    "a list where a tensor is expected",
    {
      inputs: INPUTS,
      weights: { shape: intWeight([1], 2), count: intWeight([], 3) },
      nodes: [
        node("list", "TensorListReserve", ["shape", "count"], { element_dtype: typed("DT_FLOAT") }),
        node("y", "Relu", ["list"]),
      ],
      outputs: ["y"],
    },
    /y \(Relu\): input 0: got a list of tensors, expected a tensor/,
  ],
])("refused is %s", (_, graph, says) => {
  expect(() => readTestGraph(graph)).toThrow(says);
});
