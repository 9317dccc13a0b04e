// The functions of a graph-model, which nodes of control flow call by name. Checked here; nothing is run.

import { QdgError } from "../../base/error.js";
import { describe, isList, isMap, type Json, type JsonMap } from "../model-json.js";
import { checkNode, type GraphNode, type Source, sourceOf } from "./graph-json.js";

export interface GraphFunction {
  readonly name: string;
  /** Names that its nodes read its inputs by, in order. */
  readonly inputs: readonly string[];
  readonly nodes: ReadonlyMap<string, GraphNode>;
  readonly outputs: readonly Source[];
}

export type GraphFunctions = ReadonlyMap<string, GraphFunction>;

/** @param most nodes of all functions together @throws QdgError `invalid-model` for a library that is none */
export function checkFunctions(library: Json | undefined, most: number, where: string): GraphFunctions {
  const fail = (what: string): never => {
    throw new QdgError(
      "invalid-model",
      where,
      `modelTopology.library: ${what}; convert the model again with tensorflowjs_converter`,
    );
  };
  const list = (isMap(library) && library.get("function")) || [];
  if (!isList(list)) return fail(`function: got ${describe(list)}, expected a list`);
  const functions = new Map<string, GraphFunction>();
  let count = 0;
  for (const json of list) {
    const each = checkFunction(json, fail);
    count += each.nodes.size;
    if (count > most) fail(`has more than ${most} nodes in functions`);
    if (functions.has(each.name)) fail(`two functions are named ${JSON.stringify(each.name)}`);
    functions.set(each.name, each);
  }
  return functions;
}

function checkFunction(json: Json, fail: (what: string) => never): GraphFunction {
  const signature = isMap(json) ? json.get("signature") : undefined;
  const name = isMap(signature) ? signature.get("name") : undefined;
  if (!isMap(json) || !isMap(signature) || typeof name !== "string")
    return fail(`function: got ${describe(json)}, expected {signature: {name}, nodeDef, ret}`);
  const inputs = namesOf(signature, "inputArg", name, fail);
  const body = json.get("nodeDef") ?? [];
  if (!isList(body)) return fail(`function ${name}: nodeDef: got ${describe(body)}, expected a list`);
  const nodes = new Map<string, GraphNode>(
    inputs.map((input) => [input, { name: input, op: "Placeholder", inputs: [], attributes: new Map() }]),
  );
  for (const item of body) {
    const node = checkNode(item, fail);
    if (nodes.has(node.name)) fail(`function ${name}: two nodes are named ${JSON.stringify(node.name)}`);
    nodes.set(node.name, node);
  }
  const returned = json.get("ret");
  const outputs = namesOf(signature, "outputArg", name, fail).map((output) => {
    const source = isMap(returned) ? returned.get(output) : undefined;
    return typeof source === "string" ? sourceOf(source) : fail(`function ${name}: ret lacks ${output}`);
  });
  for (const { node } of [...outputs, ...[...nodes.values()].flatMap((each) => each.inputs)]) {
    if (!nodes.has(node)) fail(`function ${name} reads ${JSON.stringify(node)}, which is no node of it`);
  }
  return { name, inputs, nodes, outputs };
}

function namesOf(signature: JsonMap, key: string, name: string, fail: (what: string) => never): string[] {
  const list = signature.get(key) ?? [];
  const names = isList(list) ? list.map((each) => (isMap(each) ? each.get("name") : undefined)) : [undefined];
  return names.every((each) => typeof each === "string")
    ? names
    : fail(`function ${name}: ${key}: got ${describe(list)}, expected a list of {name}`);
}
