// The topology of a tfjs graph-model: nodes, what each reads, what the signature names. Checked here, whatever the file
// says; no operator is known here.

import { QdgError } from "../../base/error.js";
import type { DType } from "../../base/tensor.js";
import type { TfjsShape } from "../dims.js";
import { describe, isList, isMap, type Json, type JsonMap, toJson } from "../model-json.js";

/** One output of a node. */
export interface Source {
  readonly node: string;
  readonly output: number;
}

export interface GraphNode {
  readonly name: string;
  readonly op: string;
  /** Of data; those that only order nodes are left out. */
  readonly inputs: readonly Source[];
  readonly attributes: JsonMap;
}

/** A tensor that callers of the model name. */
export interface Port {
  /** By the signature's key, else by the node's name. */
  readonly name: string;
  readonly source: Source;
  /** As the signature says it; null where it says nothing. */
  readonly shape: TfjsShape | null;
}

export interface GraphJson {
  readonly nodes: ReadonlyMap<string, GraphNode>;
  /** The functions that its nodes call, unread; undefined where there are none. */
  readonly library: Json | undefined;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** The groups of `weightsManifest`, unread. */
  readonly weightsManifest: readonly Json[];
  /** As it stands in the file; null when absent. */
  readonly userDefinedMetadata: unknown;
}

/** More nodes than any network that fits a machine. */
export const MAX_NODES = 100_000;

/** @throws QdgError `invalid-model` for a topology that is none */
export function checkGraphJson(parsed: unknown, where: string): GraphJson {
  const fail = (what: string): never => {
    throw new QdgError(
      "invalid-model",
      where,
      `${what}; convert the model again with tensorflowjs_converter`,
    );
  };
  const root = toJson(parsed, where);
  const topology = isMap(root) ? root.get("modelTopology") : undefined;
  if (!isMap(root) || !isMap(topology))
    return fail(`modelTopology: got ${describe(topology)}, expected {node}`);
  const list = topology.get("node");
  if (!isList(list)) return fail(`modelTopology.node: got ${describe(list)}, expected a list of nodes`);
  if (list.length > MAX_NODES) return fail(`has ${list.length} nodes, expected at most ${MAX_NODES}`);
  const nodes = new Map<string, GraphNode>();
  for (const json of list) {
    const node = checkNode(json, fail);
    if (nodes.has(node.name)) fail(`two nodes are named ${JSON.stringify(node.name)}`);
    nodes.set(node.name, node);
  }
  for (const { name, inputs } of nodes.values()) {
    for (const { node } of inputs) {
      if (!nodes.has(node)) fail(`node ${name} reads ${JSON.stringify(node)}, which is no node`);
    }
  }
  const manifest = root.get("weightsManifest") ?? [];
  if (!isList(manifest)) {
    return fail(`weightsManifest: got ${describe(manifest)}, expected a list of groups`);
  }
  const metadata = (parsed as { readonly userDefinedMetadata?: unknown }).userDefinedMetadata ?? null;
  const carried = root.get("userDefinedMetadata");
  const signature = root.get("signature") ?? (isMap(carried) ? carried.get("signature") : undefined);
  const ports = (key: "inputs" | "outputs"): Port[] => {
    const entries = isMap(signature) ? signature.get(key) : undefined;
    return isMap(entries) ? [...entries].map(([name, entry]) => checkPort(name, entry, nodes, fail)) : [];
  };
  const [inputs, outputs] = [ports("inputs"), ports("outputs")];
  return {
    nodes,
    library: topology.get("library"),
    inputs: inputs.length > 0 ? inputs : placeholders(nodes),
    outputs: outputs.length > 0 ? outputs : unread(nodes),
    weightsManifest: manifest,
    userDefinedMetadata: metadata,
  };
}

export function checkNode(json: Json, fail: (what: string) => never): GraphNode {
  const [name, op] = isMap(json) ? [json.get("name"), json.get("op")] : [];
  if (!isMap(json) || typeof name !== "string" || name === "" || typeof op !== "string") {
    return fail(`node: got ${describe(json)}, expected {name, op}`);
  }
  const inputs = json.get("input") ?? [];
  if (!isList(inputs) || !inputs.every((input) => typeof input === "string")) {
    return fail(`node ${name}: input: got ${describe(inputs)}, expected names`);
  }
  const attributes = json.get("attr") ?? new Map<string, Json>();
  if (!isMap(attributes)) return fail(`node ${name}: attr: got ${describe(attributes)}, expected an object`);
  const data = inputs.filter((input) => !input.startsWith("^"));
  return { name, op, inputs: data.map((input) => sourceOf(input)), attributes };
}

/** `node`, `node:1`, or `node:what:1` as functions write it. */
export function sourceOf(text: string): Source {
  const parts = text.split(":");
  const last = Number(parts.at(-1));
  if (parts.length === 1 || !Number.isSafeInteger(last) || last < 0) return { node: text, output: 0 };
  return { node: parts[0] as string, output: last };
}

function checkPort(
  name: string,
  entry: Json,
  nodes: ReadonlyMap<string, GraphNode>,
  fail: (what: string) => never,
): Port {
  const tensor = isMap(entry) ? entry.get("name") : undefined;
  if (!isMap(entry) || typeof tensor !== "string") {
    return fail(`signature ${name}: got ${describe(entry)}, expected {name, dtype, tensorShape}`);
  }
  const source = nodes.has(tensor) ? { node: tensor, output: 0 } : sourceOf(tensor);
  if (!nodes.has(source.node)) fail(`signature ${name}: ${JSON.stringify(tensor)} is no node`);
  return { name, source, shape: shapeOf(entry.get("tensorShape")) };
}

/** Sizes of `{dim: [{size}]}`, null for unknown ones; null where the rank is not known. */
export function shapeOf(json: Json | undefined): TfjsShape | null {
  if (!isMap(json) || json.get("unknownRank") === true || json.get("unknown_rank") === true) return null;
  const dims = json.get("dim") ?? [];
  if (!isList(dims)) return null;
  return dims.map((dim) => {
    const size = Number(isMap(dim) ? dim.get("size") : Number.NaN);
    return Number.isSafeInteger(size) && size >= 0 ? size : null;
  });
}

const TYPES: Readonly<Record<string, DType>> = {
  DT_FLOAT: "float32",
  DT_HALF: "float32",
  DT_DOUBLE: "float32",
  DT_INT8: "int32",
  DT_UINT8: "int32",
  DT_INT16: "int32",
  DT_UINT16: "int32",
  DT_INT32: "int32",
  DT_INT64: "int32",
  DT_BOOL: "bool",
};
/** The names of TensorFlow's types by the numbers that some converters write. */
const TYPE_NUMBERS: Readonly<Record<number, string>> = {
  1: "DT_FLOAT",
  2: "DT_DOUBLE",
  3: "DT_INT32",
  4: "DT_UINT8",
  5: "DT_INT16",
  6: "DT_INT8",
  7: "DT_STRING",
  9: "DT_INT64",
  10: "DT_BOOL",
  17: "DT_UINT16",
  19: "DT_HALF",
};

/** The type that tfjs holds a TensorFlow type in; undefined where it holds none. */
export function typeOf(json: Json | undefined): DType | undefined {
  const name = typeof json === "number" ? TYPE_NUMBERS[json] : json;
  return typeof name === "string" && Object.hasOwn(TYPES, name) ? TYPES[name] : undefined;
}

function placeholders(nodes: ReadonlyMap<string, GraphNode>): Port[] {
  const ports: Port[] = [];
  for (const { name, op } of nodes.values()) {
    if (op === "Placeholder") ports.push({ name, source: { node: name, output: 0 }, shape: null });
  }
  return ports;
}

/** As in tfjs: without a signature the outputs are what no node reads. */
function unread(nodes: ReadonlyMap<string, GraphNode>): Port[] {
  const read = new Set([...nodes.values()].flatMap(({ inputs }) => inputs.map(({ node }) => node)));
  const ports: Port[] = [];
  for (const { name, op } of nodes.values()) {
    if (read.has(name) || op === "NoOp" || op === "Const") continue;
    ports.push({ name, source: { node: name, output: 0 }, shape: null });
  }
  return ports;
}

/**
 * The nodes that the outputs need, each after what it reads.
 *
 * @param given nodes whose own inputs are of no interest, since they are fed
 * @throws QdgError `invalid-model` for nodes that read each other in a circle
 */
export function inOrder(
  { nodes, outputs }: Pick<GraphJson, "nodes"> & { readonly outputs: readonly Pick<Port, "source">[] },
  given: ReadonlySet<string>,
  where: string,
): GraphNode[] {
  const order: GraphNode[] = [];
  const state = new Map<string, "open" | "done">();
  const stack = outputs.map(({ source }) => source.node).reverse();
  while (stack.length > 0) {
    const name = stack.at(-1) as string;
    const node = nodes.get(name) as GraphNode;
    if (state.get(name) !== undefined) {
      stack.pop();
      if (state.get(name) === "open") order.push(node);
      state.set(name, "done");
      continue;
    }
    state.set(name, "open");
    if (given.has(name)) continue;
    for (const { node: input } of [...node.inputs].reverse()) {
      if (state.get(input) === "open") {
        throw new QdgError("invalid-model", where, `node ${input} reads itself through ${name}`);
      }
      if (state.get(input) === undefined) stack.push(input);
    }
  }
  return order;
}

/** Text of base64, or of bytes as a list, as tfjs reads both. @throws QdgError `invalid-model` */
export function textOf(json: Json | undefined, where: string): string {
  if (typeof json === "string") return Buffer.from(json, "base64").toString("latin1");
  if (isList(json) && json.every((byte) => typeof byte === "number")) return String.fromCharCode(...json);
  throw new QdgError("invalid-model", where, `got ${describe(json)}, expected text in base64`);
}
