// Builds model-local functions of domain "qdg": a body of standard operators, written once and called by name.
// Which functions there are is lowering's to say.

import type { Attribute } from "../graph/graph.js";
import { attributeProto, listField } from "./from-graph.js";
import type { AttributeProto, FunctionProto, NodeProto } from "./model-proto.js";
import { isDefaultAttribute } from "./opset.js";

/** An attribute whose value is that of the calling node's attribute `ref`; `type` is one of ATTRIBUTE_TYPE. */
export interface AttributeReference {
  readonly ref: string;
  readonly type: number;
}

/** A node of a function's body. `inputs` and `outputs` are names inside the function, "" for one left out. */
export function bodyNode(
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, Attribute | AttributeReference>> = {},
  domain: "" | "qdg" = "",
): NodeProto {
  const list: AttributeProto[] = [];
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "object" && "ref" in value) {
      list.push({ name, type: value.type, refAttrName: value.ref });
    } else if (domain !== "" || !isDefaultAttribute(op, name, value)) list.push(attributeProto(name, value));
  }
  return {
    ...listField("input", inputs),
    ...listField("output", outputs),
    opType: op,
    ...listField("attribute", list),
    ...(domain === "" ? {} : { domain }),
  };
}

/** A function `qdg.name`; `attributes` are those that every call has to give. */
export function localFunction(declaration: {
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: readonly string[];
  readonly nodes: readonly NodeProto[];
  readonly opset: number;
}): FunctionProto {
  const callsOthers = declaration.nodes.some(({ domain }) => domain === "qdg");
  return {
    name: declaration.name,
    ...listField("input", declaration.inputs),
    ...listField("output", declaration.outputs),
    ...listField("attribute", declaration.attributes ?? []),
    ...listField("node", declaration.nodes),
    opsetImport: [{ version: declaration.opset }, ...(callsOthers ? [{ domain: "qdg", version: 1 }] : [])],
    domain: "qdg",
  };
}
