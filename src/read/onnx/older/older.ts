// Operators in the forms that opsets 7 to 17 gave them, and newer ones that older say: one line a form. An operator that is here neither nor in
// operator-table.ts at the file's opset is an error that names the node.

import { QdgError } from "../../../base/error.js";
import type { Upgrade } from "../../../onnx/upgrade.js";
import { attention } from "./attention.js";
import { INPUT_FORMS } from "./inputs.js";
import { stringAttribute } from "../../../graph/graph.js";
import { DATA_TYPE } from "../../../onnx/data-type.js";
import { MAX_OPSET } from "../../../onnx/opset.js";
import { asNode, type OlderForm, type OlderRule } from "./older-form.js";
import { rmsNormalization } from "./rms-normalization.js";
import { RESIZE_FORMS } from "./resize.js";
import { SOFTMAX_FORMS } from "./softmax.js";

/** What was added later has a default that means what was meant before. */
const same: OlderRule = ({ op, attributes, inputs }) => ({ op, attributes, inputs });

const batchNormalization: OlderRule = ({ op, inputs, where, attributes: { spatial = 1, ...attributes } }) => {
  if (spatial !== 1)
    throw new QdgError(
      "unsupported-op",
      where,
      "has statistics by position (spatial 0), expected by channel",
    );
  return { op, inputs, attributes };
};

/** At inference its input; the ratio became an input that may be left out. */
const dropout: OlderRule = ({ op, inputs }) => ({ op, inputs, attributes: {} });

const scatter: OlderRule = ({ attributes, inputs }) => ({ op: "ScatterElements", attributes, inputs });

const castLike: OlderRule = ({ attributes, inputs, where }) => {
  const [x = null, like = null] = inputs;
  if (!like) throw new QdgError("invalid-onnx", where, "has no value whose type it takes");
  return { op: "Cast", inputs: [x], attributes: { ...attributes, to: DATA_TYPE[like.dtype] } };
};

const gridSample: OlderRule = (older) => {
  const { op, inputs, attributes } = older;
  const mode = { bilinear: "linear", bicubic: "cubic" }[stringAttribute(asNode(older), "mode", "bilinear")];
  return { op, inputs, attributes: mode === undefined ? attributes : { ...attributes, mode } };
};

const roiAlign: OlderRule = ({ op, inputs, attributes }) => ({
  op,
  inputs,
  attributes: { ...attributes, coordinate_transformation_mode: "output_half_pixel" },
});

export const OLDER_FORMS: readonly OlderForm[] = [
  ...INPUT_FORMS,
  ...RESIZE_FORMS,
  ...SOFTMAX_FORMS,
  { op: "Attention", since: 23, until: MAX_OPSET + 1, upgrade: attention },
  { op: "ArgMax", since: 1, until: 13, upgrade: same },
  { op: "ArgMin", since: 1, until: 13, upgrade: same },
  { op: "BatchNormalization", since: 7, until: 9, upgrade: batchNormalization },
  { op: "CastLike", since: 15, until: MAX_OPSET + 1, upgrade: castLike },
  { op: "DepthToSpace", since: 1, until: 11, upgrade: same },
  { op: "Dropout", since: 7, until: 12, upgrade: dropout },
  { op: "GatherND", since: 11, until: 12, upgrade: same },
  { op: "Greater", since: 7, until: 9, upgrade: same },
  { op: "GridSample", since: 16, until: 20, upgrade: gridSample },
  { op: "Less", since: 7, until: 9, upgrade: same },
  { op: "Max", since: 6, until: 8, upgrade: same },
  { op: "Mean", since: 6, until: 8, upgrade: same },
  { op: "Min", since: 6, until: 8, upgrade: same },
  { op: "OneHot", since: 9, until: 11, upgrade: same },
  { op: "PRelu", since: 7, until: 9, upgrade: same },
  { op: "Pow", since: 7, until: 12, upgrade: same },
  { op: "RMSNormalization", since: 23, until: MAX_OPSET + 1, upgrade: rmsNormalization },
  { op: "RoiAlign", since: 10, until: 16, upgrade: roiAlign },
  { op: "Scatter", since: 9, until: 11, upgrade: scatter },
  { op: "Sum", since: 6, until: 8, upgrade: same },
  { op: "TopK", since: 10, until: 11, upgrade: same },
];

/** undefined where the operator has no older form at this opset. */
export function olderForm(op: string, opset: number): OlderForm | undefined {
  return OLDER_FORMS.find((form) => form.op === op && form.since <= opset && opset < form.until);
}

/** Brings a node of an older opset into the form that opset.ts has; null where that opset has it already. */
export const upgradeNode: Upgrade = (node, builder) =>
  olderForm(node.op, node.opset)?.upgrade(node, builder) ?? null;
