// Softmax until opset 12: over all elements from an axis on, as if they were one row.

import { QdgError } from "../../../base/error.js";
import { isUnknownRank } from "../../../graph/unknown-shape.js";
import { intAttribute } from "../../../graph/graph.js";
import { asNode, type OlderForm, type OlderRule } from "./older-form.js";

const softmax: OlderRule = (older, builder) => {
  const [x = null] = older.inputs;
  if (!x || isUnknownRank(x.shape)) {
    throw new QdgError(
      "unsupported-op",
      older.where,
      `the rank of its input is not known, which its meaning at opset ${older.opset} depends on; export the model at opset 13 or later`,
    );
  }
  const rank = x.shape.length;
  const given = intAttribute(asNode(older), "axis", 1);
  const axis = given < 0 ? given + rank : given;
  const { op } = older;
  const rest = x.shape.slice(axis);
  const several = rest.filter((dim) => dim !== 1);
  if (several.length <= 1) {
    const along = axis + rest.findIndex((dim) => dim !== 1);
    return { op, inputs: [x], attributes: { axis: several.length === 1 ? along : axis } };
  }
  const rows = builder.node("Flatten", [x], { axis }, "rows");
  const result = builder.node(op, [rows], { axis: 1 }, "softmax");
  return { op: "Reshape", inputs: [result, builder.node("Shape", [x], {}, "shape")], attributes: {} };
};

export const SOFTMAX_FORMS: readonly OlderForm[] = [
  { op: "Softmax", since: 1, until: 13, upgrade: softmax },
  { op: "LogSoftmax", since: 1, until: 13, upgrade: softmax },
  { op: "Hardmax", since: 1, until: 13, upgrade: softmax },
];
