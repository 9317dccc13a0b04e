// What a node of an older opset becomes while a file is raised: the shape of such a rule. The rules are the reader's.

import type { Tensor } from "../base/tensor.js";
import type { Attribute, Value } from "../graph/graph.js";

/** A node as an older opset has it, its inputs and attributes raised. */
export interface OlderNode {
  readonly op: string;
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly inputs: readonly (Value | null)[];
  readonly outputs: number;
  readonly opset: number;
  /** As messages name it. */
  readonly where: string;
}

export type NewerNode = Pick<OlderNode, "op" | "attributes" | "inputs">;

/** Adds to the graph, before the node that is upgraded; `what` follows the name of its output. */
export interface UpgradeBuilder {
  constant(what: string, constant: Tensor): Value;
  node(
    op: string,
    inputs: readonly (Value | null)[],
    attributes: NewerNode["attributes"],
    what: string,
  ): Value;
}

/** The node in the form that opset.ts has; null where the opset has no other. @throws QdgError `unsupported-op` */
export type Upgrade = (node: OlderNode, builder: UpgradeBuilder) => NewerNode | null;
