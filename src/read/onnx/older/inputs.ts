// Operators whose attributes became inputs: the same numbers, as constants.

import { float32, int64 } from "../../../base/tensor.js";
import { floatAttribute, intAttribute, intsAttribute } from "../../../graph/graph.js";
import type { NewerNode, UpgradeBuilder } from "../../../onnx/upgrade.js";
import { asNode, type OlderForm, type OlderRule } from "./older-form.js";

/** The node with an input more for each list of ints among its attributes that is there. */
function listsToInputs(...names: readonly string[]): OlderRule {
  return (older, builder) => {
    const node = asNode(older);
    const lists = names.map((name) => {
      const list = intsAttribute(node, name);
      return list ? builder.constant(name, int64([list.length], list)) : null;
    });
    return { op: older.op, inputs: [...older.inputs, ...lists], attributes: without(older, ...names) };
  };
}

function without({ attributes }: NewerNode, ...names: readonly string[]): NewerNode["attributes"] {
  return Object.fromEntries(Object.entries(attributes).filter(([name]) => !names.includes(name)));
}

const clip: OlderRule = (older, builder) => {
  const node = asNode(older);
  const bound = (name: string): ReturnType<UpgradeBuilder["constant"]> | null =>
    older.attributes[name] === undefined
      ? null
      : builder.constant(name, float32([], [Math.fround(floatAttribute(node, name, 0))]));
  return { op: "Clip", inputs: [...older.inputs, bound("min"), bound("max")], attributes: {} };
};

const pad: OlderRule = (older, builder) => {
  const node = asNode(older);
  const pads = intsAttribute(node, "pads") ?? [];
  const value = builder.constant("value", float32([], [floatAttribute(node, "value", 0)]));
  return {
    op: "Pad",
    inputs: [...older.inputs, builder.constant("pads", int64([pads.length], pads)), value],
    attributes: without(older, "pads", "value"),
  };
};

/** From opset 18 on the number of equal parts is said, where no sizes are. */
const split: OlderRule = (older, builder) => {
  const node = older.attributes["split"] ? listsToInputs("split")(older, builder) : older;
  const { op, inputs, attributes } = node;
  return { op, inputs, attributes: inputs[1] ? attributes : { ...attributes, num_outputs: older.outputs } };
};

const topK: OlderRule = (older, builder) => {
  const k = intAttribute(asNode(older), "k", 1);
  return {
    op: "TopK",
    inputs: [...older.inputs, builder.constant("k", int64([1], [k]))],
    attributes: without(older, "k"),
  };
};

export const INPUT_FORMS: readonly OlderForm[] = [
  { op: "Clip", since: 6, until: 11, upgrade: clip },
  { op: "Pad", since: 2, until: 11, upgrade: pad },
  { op: "Slice", since: 1, until: 10, upgrade: listsToInputs("starts", "ends", "axes") },
  { op: "Split", since: 2, until: 18, upgrade: split },
  { op: "Squeeze", since: 1, until: 13, upgrade: listsToInputs("axes") },
  { op: "TopK", since: 1, until: 10, upgrade: topK },
  { op: "Unsqueeze", since: 1, until: 13, upgrade: listsToInputs("axes") },
  { op: "ReduceSum", since: 1, until: 13, upgrade: listsToInputs("axes") },
  ...["L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare"].map((what) => ({
    op: `Reduce${what}`,
    since: 1,
    until: 18,
    upgrade: listsToInputs("axes"),
  })),
];
