// What a form of an operator in older opsets is, and how such a node is asked for its attributes.

import type { Node } from "../../../graph/graph.js";
import type { NewerNode, OlderNode, UpgradeBuilder } from "../../../onnx/upgrade.js";

/** @throws QdgError `unsupported-op` for an attribute that newer opsets have no counterpart of */
export type OlderRule = (node: OlderNode, builder: UpgradeBuilder) => NewerNode;

export interface OlderForm {
  readonly op: string;
  /** The first opset that has this form. */
  readonly since: number;
  /** The first opset that has another one. */
  readonly until: number;
  readonly upgrade: OlderRule;
}

/** For the functions that read attributes. */
export function asNode({ op, attributes, inputs, where }: OlderNode): Node {
  return { op, domain: "", attributes, inputs: [...inputs], outputs: [], origin: where };
}
