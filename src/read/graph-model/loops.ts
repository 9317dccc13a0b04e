// The loops of TensorFlow 1, which nodes in a circle spell out (Enter, Merge, LoopCond, Switch, NextIteration, Exit), as one node
// each that holds them. Computes nothing.

import { QdgError } from "../../base/error.js";
import { Attributes } from "./attributes.js";
import type { GraphJson, GraphNode, Source } from "./graph-json.js";

/** One variable of a loop: what it is at first, in each turn, and from turn to turn. */
export interface LoopVariable {
  readonly merge: string;
  /** The Switch that lets it into the body; null where the body does not read it. */
  readonly switch: string | null;
  readonly next: Source;
}

export interface Loop {
  readonly name: string;
  /** In the order of the first inputs of the loop's node. */
  readonly variables: readonly LoopVariable[];
  /** Enter nodes of what stays the same in all turns: the inputs after those. */
  readonly constants: readonly string[];
  readonly condition: Source;
}

/** The operator of a node that stands for a loop; its inputs are what its variables are at first, then what stays. */
export const LOOP = "loop of Enter, Merge and Exit";

/**
 * The graph with one node of {@link LOOP} for each frame, which its Exits read.
 *
 * @throws QdgError `invalid-model` for a frame that is no loop of this kind
 */
export function loopsOf(
  json: GraphJson,
  where: string,
): { readonly json: GraphJson; readonly loops: ReadonlyMap<string, Loop> } {
  const frames = new Map<string, GraphNode[]>();
  for (const node of json.nodes.values()) {
    if (node.op !== "Enter" && node.op !== "RefEnter") continue;
    const frame = new Attributes(node.attributes, `${node.name} (${node.op})`).text("frame_name", "");
    const list = frames.get(frame);
    if (list) list.push(node);
    else frames.set(frame, [node]);
  }
  if (frames.size === 0) return { json, loops: new Map() };
  const nodes = new Map(json.nodes);
  const loops = new Map<string, Loop>();
  const readers = readersOf(json);
  for (const [frame, enters] of frames) {
    const found = loopOf(frame, enters, json, readers, where);
    loops.set(found.loop.name, found.loop);
    nodes.set(found.loop.name, {
      name: found.loop.name,
      op: LOOP,
      inputs: found.inputs,
      attributes: new Map(),
    });
    for (const [exit, output] of found.exits) {
      const inputs = [{ node: found.loop.name, output }];
      nodes.set(exit, { name: exit, op: "Identity", inputs, attributes: new Map() });
    }
  }
  return { json: { ...json, nodes }, loops };
}

function readersOf({ nodes }: GraphJson): ReadonlyMap<string, readonly GraphNode[]> {
  const readers = new Map<string, GraphNode[]>();
  for (const node of nodes.values()) {
    for (const input of new Set(node.inputs.map((source) => source.node))) {
      const list = readers.get(input);
      if (list) list.push(node);
      else readers.set(input, [node]);
    }
  }
  return readers;
}

function loopOf(
  frame: string,
  enters: readonly GraphNode[],
  { nodes }: GraphJson,
  readers: ReadonlyMap<string, readonly GraphNode[]>,
  where: string,
): {
  readonly loop: Loop;
  readonly inputs: readonly Source[];
  readonly exits: readonly (readonly [string, number])[];
} {
  const fail = (what: string): never => {
    throw new QdgError("invalid-model", where, `loop ${frame}: ${what}; convert the model again`);
  };
  const readBy = (name: string, op: string): readonly GraphNode[] =>
    (readers.get(name) ?? []).filter((node) => node.op === op);
  const variables: LoopVariable[] = [];
  const [first, constants]: [Source[], GraphNode[]] = [[], []];
  const exits: (readonly [string, number])[] = [];
  let condition: Source | null = null;
  for (const enter of enters) {
    const [source] = enter.inputs;
    const [merge] = readBy(enter.name, "Merge");
    if (!source) return fail(`${enter.name} (Enter) reads nothing`);
    if (!merge) {
      constants.push(enter);
      continue;
    }
    const next = merge.inputs.map(({ node }) => nodes.get(node)).find((node) => node?.op === "NextIteration")
      ?.inputs[0];
    const [choice] = readBy(merge.name, "Switch");
    const asked = choice && nodes.get(choice.inputs[1]?.node ?? "");
    if (!next) return fail(`${merge.name} (Merge) reads no NextIteration`);
    if (choice && asked?.op !== "LoopCond") return fail(`${choice.name} (Switch) is not asked by a LoopCond`);
    condition ??= asked?.inputs[0] ?? null;
    for (const exit of choice ? readBy(choice.name, "Exit") : []) exits.push([exit.name, variables.length]);
    variables.push({ merge: merge.name, switch: choice?.name ?? null, next });
    first.push(source);
  }
  if (!condition) return fail("has no LoopCond");
  const name = `loop ${frame}`;
  if (nodes.has(name)) return fail("has the name of a node");
  const loop = { name, variables, constants: constants.map((each) => each.name), condition };
  return { loop, inputs: [...first, ...constants.map(({ inputs }) => inputs[0] as Source)], exits };
}
