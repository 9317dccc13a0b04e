// How large a model becomes when its functions are put in the place of their calls. A few kilobytes of functions that
// call each other twice are billions of nodes: they are counted before anything, or anybody else, expands them.

import { QdgError } from "../base/error.js";
import type { FunctionProto, ModelProto, NodeProto } from "./model-proto.js";

/** Nodes after expansion, Constants and inner graphs included. */
export const MAX_NODES = 100_000;
/** Calls inside calls, and graphs inside nodes. Exporters come to about twenty; runtimes recurse, and end at some. */
export const MAX_NESTING = 100;

/** Under which name the file's functions are called: `domain.name`, or `domain.name:overload`. */
export function functionKey(
  domain: string | undefined,
  name: string | undefined,
  overload: string | undefined,
): string {
  const base = `${isStandardDomain(domain) ? "ai.onnx" : domain}.${name}`;
  return overload ? `${base}:${overload}` : base;
}

export function isStandardDomain(domain: string | undefined): boolean {
  return domain === undefined || domain === "" || domain === "ai.onnx";
}

interface Extent {
  readonly nodes: number;
  /** Levels of nodes: 1 where none calls a function or holds a graph. */
  readonly levels: number;
}

/**
 * Nodes and nesting of a model as it is run: each call counts as a node and with the nodes of its function, each graph
 * inside a node with its own. Every function is looked at once, also those that nothing calls.
 *
 * @throws QdgError `unsupported-model` beyond MAX_NODES or MAX_NESTING; `invalid-onnx` for a function that is there
 * twice, and one that calls itself
 */
export function checkExpansion(model: ModelProto, where: string): void {
  const functions = new Map<string, FunctionProto>();
  for (const each of model.functions ?? []) {
    // Nothing can call one that has no name.
    if (!each.name) continue;
    const key = functionKey(each.domain, each.name, each.overload);
    if (functions.has(key)) throw new QdgError("invalid-onnx", `function ${key}`, "is there twice");
    functions.set(key, each);
  }
  const known = new Map<string, Extent>();
  /** Functions that are being looked at, each called by the one before. */
  const path: string[] = [];

  const ofFunction = (key: string, called: FunctionProto, depth: number): Extent => {
    const found = known.get(key);
    if (found) return found;
    const at = path.indexOf(key);
    if (at >= 0) {
      const circle = [...path.slice(at), key].join(" -> ");
      throw new QdgError("invalid-onnx", where, `function ${key} calls itself (${circle})`);
    }
    path.push(key);
    const extent = ofNodes(called.node ?? [], depth);
    path.pop();
    known.set(key, extent);
    return extent;
  };

  const ofNodes = (nodes: readonly NodeProto[], depth: number): Extent => {
    if (depth > MAX_NESTING) throw tooDeep(where);
    let count = nodes.length;
    let levels = 0;
    const add = (inner: Extent): void => {
      count += inner.nodes;
      levels = Math.max(levels, inner.levels);
    };
    for (const { domain, opType, overload, attribute } of nodes) {
      if (functions.size > 0) {
        const key = functionKey(domain, opType, overload);
        const called = functions.get(key);
        if (called) add(ofFunction(key, called, depth + 1));
      }
      for (const { g, graphs } of attribute ?? []) {
        for (const graph of g ? [g, ...(graphs ?? [])] : (graphs ?? [])) {
          add(ofNodes(graph.node ?? [], depth + 1));
        }
      }
    }
    if (count > MAX_NODES) {
      throw new QdgError(
        "unsupported-model",
        where,
        `has more than ${MAX_NODES} nodes, those of functions counted at each call and those of inner graphs too; simplify the model`,
      );
    }
    if (levels >= MAX_NESTING) throw tooDeep(where);
    return { nodes: count, levels: levels + 1 };
  };

  for (const [key, each] of functions) ofFunction(key, each, 1);
  for (const graph of [model.graph, ...trainingGraphs(model)]) if (graph) ofNodes(graph.node ?? [], 1);
}

function trainingGraphs(model: ModelProto): (ModelProto["graph"] | undefined)[] {
  return (model.trainingInfo ?? []).flatMap(({ initialization, algorithm }) => [initialization, algorithm]);
}

function tooDeep(where: string): QdgError {
  return new QdgError(
    "unsupported-model",
    where,
    `functions call functions, or graphs hold graphs, more than ${MAX_NESTING} deep; inline the functions`,
  );
}
