// Operators in the forms that opsets 7 to 17 gave them: one line a form. An operator that is here neither nor in
// opset.ts at the file's opset is an error that names the node.

import { QdgError } from "../../../base/error.js";
import type { Upgrade } from "../../../onnx/upgrade.js";
import { INPUT_FORMS } from "./inputs.js";
import type { OlderForm, OlderRule } from "./older-form.js";
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

export const OLDER_FORMS: readonly OlderForm[] = [
  ...INPUT_FORMS,
  ...RESIZE_FORMS,
  ...SOFTMAX_FORMS,
  { op: "ArgMax", since: 1, until: 13, upgrade: same },
  { op: "ArgMin", since: 1, until: 13, upgrade: same },
  { op: "BatchNormalization", since: 7, until: 9, upgrade: batchNormalization },
  { op: "DepthToSpace", since: 1, until: 11, upgrade: same },
  { op: "Dropout", since: 7, until: 12, upgrade: dropout },
  { op: "GatherND", since: 11, until: 12, upgrade: same },
  { op: "Greater", since: 7, until: 9, upgrade: same },
  { op: "Less", since: 7, until: 9, upgrade: same },
  { op: "Max", since: 6, until: 8, upgrade: same },
  { op: "Mean", since: 6, until: 8, upgrade: same },
  { op: "Min", since: 6, until: 8, upgrade: same },
  { op: "OneHot", since: 9, until: 11, upgrade: same },
  { op: "PRelu", since: 7, until: 9, upgrade: same },
  { op: "Pow", since: 7, until: 12, upgrade: same },
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
