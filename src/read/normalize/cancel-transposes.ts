// Makes one order of axes of two: what stands between transposes and their inverses is computed in the order that the rest of
// the network has. Which nodes those are is told in turn-plan.ts, what each of them is then in turned-node.ts.

import {
  cloneGraph,
  type Dim,
  type Graph,
  inputOf,
  type Node,
  outputOf,
  removeDeadNodes,
  type Value,
  valuesOf,
} from "../../graph/graph.js";
import { TurnPlan, permOf } from "./turn-plan.js";
import { inverse, type Turned } from "./turned-node.js";

/** Steps of one run, looking at a node being one: what would take more stays as it is. A network of 1,000 nodes takes about 20,000. */
const MOST_STEPS = 2 ** 23;

/**
 * `Transpose(f(Transpose(x, p)), inverse of p) = f'(x)`, over regions of any shape: functions of elements with constants and with each
 * other, concatenations, parts, pads, reductions, resizing and what else works along named axes. Nodes are turned where fewer
 * transposes are left afterwards, counted over all of the graph, and fewest of them. What leaves a region otherwise is turned back.
 *
 * Values keep their names: a turned one has that of the value it stands for, unless both are there.
 */
export function cancelTransposes(graph: Graph): Graph {
  const result = cloneGraph(graph);
  let room = MOST_STEPS;
  for (let changes = true; changes;) {
    changes = false;
    for (const perm of ordersOf(result)) {
      room -= result.nodes.length;
      if (room < 0) return result;
      const plan = new TurnPlan(result, perm);
      const { saves, steps } = plan.choose(result, room);
      room -= steps;
      if (!saves) continue;
      new Turning(result, plan).run();
      changes = true;
    }
  }
  return result;
}

/** Every order that a Transpose of the graph makes, and its inverse. */
function ordersOf({ nodes }: Graph): readonly (readonly number[])[] {
  const orders = nodes.flatMap((node) => {
    const perm = permOf(node);
    return perm ? [perm, inverse(perm)] : [];
  });
  return [...new Map(orders.map((perm) => [perm.join(), perm])).values()];
}

/** Does to a graph what a plan says. */
class Turning {
  readonly #graph: Graph;
  readonly #plan: TurnPlan;
  readonly #back: readonly number[];
  readonly #names: Set<string>;
  readonly #nodes: Node[] = [];
  /** By the value in its own order, where both are the same for who reads it. */
  readonly #turned = new Map<Value, Value>();
  readonly #replaced = new Map<Value, Value>();
  /** Values that are what an output of the graph is called. */
  readonly #renamed = new Map<Value, Value>();
  readonly #placed = new Set<Node>();

  constructor(graph: Graph, plan: TurnPlan) {
    this.#graph = graph;
    this.#plan = plan;
    this.#back = inverse(plan.perm);
    this.#names = new Set(valuesOf(graph).map(({ name }) => name));
  }

  run(): void {
    const { nodes, inputs } = this.#graph;
    for (const input of inputs) this.#offer(input);
    for (const node of nodes) if (!this.#placed.has(node)) this.#place(node);
    for (const node of this.#nodes) {
      node.inputs = node.inputs.map((input) => (input && this.#renamed.get(input)) ?? input);
      node.outputs = node.outputs.map((output) => this.#renamed.get(output) ?? output);
      for (const output of node.outputs) output.producer = node;
    }
    this.#graph.nodes = this.#nodes;
    removeDeadNodes(this.#graph);
  }

  #place(node: Node): void {
    const plan = this.#plan;
    const output = outputOf(node);
    if (plan.isExit(node)) this.#leave(inputOf(node, 0), output, node.origin);
    else if (plan.isEntry(node)) {
      this.#turned.set(output, this.#now(inputOf(node, 0)));
      this.#add(node);
    } else {
      const turned = plan.turned(node);
      if (turned) this.#turn(node, turned);
      else this.#keep(node);
    }
  }

  /** In its own order, whatever it reads. */
  #keep(node: Node): void {
    const turned = this.#plan.indifferent(node);
    if (turned?.data.every((index) => this.#isOnlyTurned(inputOf(node, index)))) this.#rewrite(node, turned);
    this.#add(node);
    for (const output of node.outputs) this.#offer(output);
  }

  #isOnlyTurned(value: Value): boolean {
    const { producer } = value;
    const isTurned = producer && (this.#plan.isEntry(producer) || this.#plan.turned(producer));
    return Boolean(isTurned) && !this.#plan.isReadPlain(value);
  }

  #turn(node: Node, turned: Turned): void {
    const plain = [...node.outputs];
    this.#rewrite(node, turned);
    this.#add(node);
    for (const [index, value] of plain.entries()) {
      const shape = this.#back.map((axis) => value.shape[axis] as Dim);
      if (this.#plan.isReadPlain(value)) {
        const other: Value = { ...value, name: this.#unique(`${value.name}/turned`), shape, producer: node };
        node.outputs[index] = other;
        this.#turned.set(value, other);
        this.#transpose(other, this.#plan.perm, value, node.origin);
      } else {
        value.shape = shape;
        this.#turned.set(value, value);
      }
    }
  }

  #rewrite(node: Node, turned: Turned): void {
    for (const index of turned.data) node.inputs[index] = this.#turned.get(inputOf(node, index)) as Value;
    for (const [index, make] of turned.constants ?? []) {
      const constant = make();
      const name = this.#unique(node.inputs[index]?.name ?? `${outputOf(node).name}/axes`);
      while (node.inputs.length < index) node.inputs.push(null);
      node.inputs[index] = { name, dtype: constant.dtype, shape: constant.shape, constant };
    }
    node.attributes = turned.attributes ?? node.attributes;
  }

  /** An exit: its result is there already, or what its value makes it. */
  #leave(value: Value, output: Value, origin: string): void {
    const turned = this.#turned.get(value) as Value;
    if (!this.#plan.isOutput(output)) this.#replaced.set(output, turned);
    else if (turned.producer && !this.#plan.isOutput(turned) && !this.#renamed.has(turned))
      this.#renamed.set(turned, output);
    else this.#append("Identity", turned, output, origin);
    this.#offer(output);
  }

  /** Makes the turned one of a value that is given in its own order, where somebody reads it, and of what an exit gives so. */
  #offer(given: Value): void {
    for (let value: Value | null = given; value && this.#plan.isReadTurned(value);) {
      const exits: readonly Node[] = this.#plan.exitsOf(value);
      const exit = exits.find((each) => this.#plan.isOutput(outputOf(each))) ?? exits[0];
      const turned: Value = exit ? outputOf(exit) : this.#turnedOf(value);
      const origin = exit?.origin ?? value.producer?.origin ?? value.name;
      this.#turned.set(value, turned);
      this.#transpose(this.#now(value), this.#back, turned, origin);
      if (exit) this.#placed.add(exit);
      value = exit ? turned : null;
    }
  }

  #turnedOf({ name, dtype, shape }: Value): Value {
    const turned = this.#back.map((axis) => shape[axis] as Dim);
    return { name: this.#unique(`${name}/turned`), dtype, shape: turned };
  }

  #transpose(from: Value, perm: readonly number[], to: Value, origin: string): void {
    this.#append("Transpose", from, to, origin, { perm });
  }

  #append(op: string, from: Value, to: Value, origin: string, attributes: Node["attributes"] = {}): void {
    const node: Node = { op, domain: "", attributes, inputs: [from], outputs: [to], origin };
    to.producer = node;
    this.#nodes.push(node);
  }

  #add(node: Node): void {
    node.inputs = node.inputs.map((input) => input && this.#now(input));
    this.#nodes.push(node);
  }

  #now(value: Value): Value {
    return this.#replaced.get(value) ?? value;
  }

  #unique(name: string): string {
    let free = name;
    for (let i = 1; this.#names.has(free); i++) free = `${name}:${i}`;
    this.#names.add(free);
    return free;
  }
}
