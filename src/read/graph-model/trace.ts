// Runs the nodes of a graph-model as a trace: each node adds to the graph what it computes. Branches whose condition is constant are
// taken, loops whose condition is constant in each turn are unrolled; what the data decide is an error.

import { QdgError } from "../../base/error.js";
import type { GraphWriter } from "../graph-writer.js";
import { describe, isMap } from "../model-json.js";
import type { Weights } from "../weights.js";
import { Attributes } from "./attributes.js";
import { OpCall } from "./call.js";
import type { GraphFunction, GraphFunctions } from "./functions.js";
import { type GraphNode, inOrder, type Source } from "./graph-json.js";
import { type Loop, LOOP } from "./loops.js";
import { OPS } from "./ops.js";
import { constantOf, type GraphTensor, tensorOf } from "./tensors.js";

/** An output of a node; "dead" in a branch that is not taken. */
type Output = GraphTensor | "dead";

/** What a node gives: its outputs in order, or that all of them are dead. */
export type Given = readonly Output[] | "dead";

/** Turns of one loop, and nodes of all turns and calls together. */
const MOST_TURNS = 1_000;
const MOST_NODES = 200_000;
/** Functions and loops in each other. */
const MOST_DEPTH = 50;

/** Operators that this file runs itself; others are those of `ops.ts`. */
export const CONTROL_OPS: ReadonlySet<string> = new Set([
  "If",
  "LoopCond",
  "Merge",
  "StatelessIf",
  "StatelessWhile",
  "Switch",
  "While",
  LOOP,
]);

export interface Traced {
  readonly nodes: ReadonlyMap<string, GraphNode>;
  /** What is known before anything is run. */
  readonly given: ReadonlyMap<string, Given>;
}

export class Trace {
  readonly #writer: GraphWriter;
  readonly #weights: Weights;
  readonly #functions: GraphFunctions;
  readonly #loops: ReadonlyMap<string, Loop>;
  readonly #where: string;
  #depth = 0;
  #room = MOST_NODES;

  constructor(
    writer: GraphWriter,
    weights: Weights,
    functions: GraphFunctions,
    loops: ReadonlyMap<string, Loop>,
    where: string,
  ) {
    this.#writer = writer;
    this.#weights = weights;
    this.#functions = functions;
    this.#loops = loops;
    this.#where = where;
  }

  /** @throws QdgError as `readGraphModel` */
  run({ nodes, given }: Traced, outputs: readonly Source[]): (source: Source) => GraphTensor {
    if (++this.#depth > MOST_DEPTH) {
      const what = `functions and loops stand more than ${MOST_DEPTH} deep in each other`;
      throw new QdgError("invalid-model", this.#where, what);
    }
    const known = new Map(given);
    const at = ({ node, output }: Source): Output => {
      const all = known.get(node);
      const tensor = all === "dead" ? all : all?.[output];
      if (tensor) return tensor;
      throw new QdgError("invalid-model", node, `output ${output} is read, which the node does not have`);
    };
    const order = inOrder(
      { nodes, outputs: outputs.map((source) => ({ source })) },
      new Set(given.keys()),
      this.#where,
    );
    for (const node of order) {
      if (known.has(node.name)) continue;
      if (--this.#room < 0) {
        throw new QdgError(
          "unsupported-op",
          this.#where,
          `its loops and functions come to more than ${MOST_NODES} nodes; export it with fewer turns`,
        );
      }
      known.set(node.name, this.#given(node, node.inputs.map(at), nodes));
    }
    this.#depth--;
    return (source) => {
      const tensor = at(source);
      if (tensor !== "dead") return tensor;
      throw new QdgError("invalid-model", source.node, "is read, and stands in a branch that is never taken");
    };
  }

  #given(node: GraphNode, inputs: readonly Output[], nodes: Traced["nodes"]): Given {
    if (node.op === "Merge") {
      const index = inputs.findIndex((input) => input !== "dead");
      const merged = inputs[index];
      if (merged === undefined || merged === "dead") return "dead";
      const call = new OpCall(node, [], new Attributes(new Map(), node.name), this.#writer);
      return [merged, call.result(call.scalar("index", index, "int32"))];
    }
    const live = inputs.filter((input) => input !== "dead");
    if (live.length < inputs.length) return "dead";
    const attributes = new Attributes(node.attributes, `${node.name} (${node.op})`);
    const call = new OpCall(node, live, attributes, this.#writer);
    const given = CONTROL_OPS.has(node.op)
      ? this.#control(call, node, nodes)
      : emit(node, call, attributes, this.#weights, this.#writer);
    attributes.finish();
    return given;
  }

  #control(call: OpCall, node: GraphNode, nodes: Traced["nodes"]): Given {
    const { attributes } = call;
    const called = (name: string): GraphFunction => {
      attributes.ignore(name);
      return this.#functionOf(call, node, name);
    };
    switch (node.op) {
      case "LoopCond":
        return [call.input(0)];
      case "Switch": {
        const [data] = call.inputs;
        if (!data) return call.failModel("input 0 is missing");
        return decided(call, call.input(1)) ? ["dead", data] : [data, "dead"];
      }
      case "If":
      case "StatelessIf": {
        const [yes, no] = [called("then_branch"), called("else_branch")];
        return this.#call(decided(call, call.input(0)) ? yes : no, call.inputs.slice(1), call);
      }
      case "While":
      case "StatelessWhile": {
        const [asked, body] = [called("cond"), called("body")];
        return this.#turns(
          call,
          call.inputs,
          (state) => this.#call(asked, state, call)[0],
          (state) => this.#call(body, state, call),
        );
      }
      default:
        return this.#loop(call, this.#loops.get(node.name) as Loop, nodes);
    }
  }

  #functionOf(call: OpCall, { attributes }: GraphNode, attribute: string): GraphFunction {
    const entry = attributes.get(attribute);
    const func = isMap(entry) ? entry.get("func") : undefined;
    const name = isMap(func) ? func.get("name") : undefined;
    const found = typeof name === "string" ? this.#functions.get(name) : undefined;
    return (
      found ??
      call.failModel(`attribute ${attribute}: got ${describe(name)}, expected a function of the library`)
    );
  }

  #call(
    { name, inputs, nodes, outputs }: GraphFunction,
    given: readonly GraphTensor[],
    call: OpCall,
  ): GraphTensor[] {
    if (given.length !== inputs.length)
      call.failModel(`gives ${given.length} inputs to ${name}, expected ${inputs.length}`);
    const bound = new Map(inputs.map((input, i) => [input, [given[i] as GraphTensor]]));
    return outputs.map(this.run({ nodes, given: bound }, outputs));
  }

  /** What its variables are after the last turn. */
  #turns(
    call: OpCall,
    first: readonly GraphTensor[],
    asked: (state: readonly GraphTensor[]) => GraphTensor | undefined,
    body: (state: readonly GraphTensor[]) => readonly GraphTensor[],
  ): readonly GraphTensor[] {
    let state = first;
    for (let turn = 0; turn <= MOST_TURNS; turn++) {
      const condition = asked(state) ?? call.failModel("its condition gives nothing");
      if (!decided(call, condition)) return state;
      const next = body(state);
      if (next.length !== state.length)
        call.failModel(`a turn makes ${next.length} variables of ${state.length}, expected as many`);
      state = next;
    }
    return call.fail(
      `takes more than ${MOST_TURNS} turns, which qdg would spell out one by one; build the model with fewer`,
    );
  }

  #loop(call: OpCall, { variables, constants, condition }: Loop, nodes: Traced["nodes"]): Given {
    const stays = call.inputs.slice(variables.length);
    const given = (state: readonly GraphTensor[]): Map<string, Given> => {
      const known = new Map<string, Given>(constants.map((name, i) => [name, [stays[i] as GraphTensor]]));
      for (const [i, { merge, switch: choice }] of variables.entries()) {
        const value = state[i] as GraphTensor;
        known.set(merge, [value]);
        if (choice !== null) known.set(choice, ["dead", value]);
      }
      return known;
    };
    return this.#turns(
      call,
      call.inputs.slice(0, variables.length),
      (state) => this.run({ nodes, given: given(state) }, [condition])(condition),
      (state) => {
        const ends = variables.map(({ next }) => next);
        return ends.map(this.run({ nodes, given: given(state) }, ends));
      },
    );
  }
}

/** @throws QdgError `unsupported-op` for a condition that is no constant */
function decided(call: OpCall, condition: GraphTensor): boolean {
  const constant = condition.list ? undefined : constantOf(condition);
  if (constant?.data.length === 1) return Number(constant.data[0]) !== 0;
  return call.fail(
    "its condition is computed from the data, expected a constant: qdg takes branches and unrolls loops when it reads a model; " +
      "build the model without it, or with a fixed number of turns",
  );
}

function emit(
  node: GraphNode,
  call: OpCall,
  attributes: Attributes,
  weights: Weights,
  writer: GraphWriter,
): readonly GraphTensor[] {
  if (node.op === "Const") {
    const weight = weights.get(node.name);
    if (!weight) {
      throw new QdgError(
        "invalid-weights",
        node.name,
        "is a constant of the graph that the weights manifest lacks; convert the model again",
      );
    }
    attributes.ignore("value");
    return [tensorOf({ value: writer.builder.constant(node.name, weight), layout: "as-is" })];
  }
  const emitOp = OPS.get(node.op);
  if (!emitOp) return call.fail("is an operator that qdg does not read; build the model without it");
  const result = emitOp(call);
  return "held" in result ? [result] : result;
}
