// Which nodes of a graph are to be computed with their axes in another order, so that the fewest transposes are left. Changes nothing.

import { type Graph, intsAttribute, type Node, outputOf, type Value } from "../../graph/graph.js";
import { CutNetwork, UNCUT } from "./least-cut.js";
import { hasRank, inverse, type Turned, turnedNode } from "./turned-node.js";

/** What a transpose costs that moves elements, one of an input or for an output of the graph, and one that only moves axes of size 1. */
const MOVING = 16;
const OUTERMOST = 15;
const RELABELLING = 1;

/** The source and the sink of a {@link CutNetwork}. */
const TURNED = 0;
const PLAIN = 1;

/**
 * Roles of nodes for one order. A turned value u' has axis a of the plain u at `perm[a]`:
 * - an entry is `u = Transpose(u', perm)`: of what it gives, the turned one is there already;
 * - an exit is `u' = Transpose(u, inverse of perm)`: it asks for the turned one.
 */
export class TurnPlan {
  readonly perm: readonly number[];
  /** Nodes that may be turned with what they give. */
  readonly #movable = new Map<Node, Turned>();
  /** Nodes that take either order and give the same. */
  readonly #indifferent = new Map<Node, Turned>();
  readonly #entries = new Set<Node>();
  readonly #exits = new Map<Value, Node[]>();
  /** What entries give, and what is computed of it by nodes that may be turned. */
  readonly #entered = new Set<Value>();
  /** Who reads a value in which order; nodes for which that is open. */
  readonly #readers = new Map<Value, Set<Node | number>>();
  readonly #outputs: ReadonlySet<Value>;
  readonly #chosen = new Set<Node>();

  constructor(graph: Graph, perm: readonly number[]) {
    this.perm = perm;
    this.#outputs = new Set(graph.outputs);
    for (const node of graph.nodes) {
      const turned = turnedNode(node, perm);
      if (turned) (turned.turnsOutputs ? this.#movable : this.#indifferent).set(node, turned);
      else this.#noteRole(node);
      this.#noteEntered(node, turned);
    }
    for (const output of graph.outputs) this.#noteReader(output, PLAIN);
    for (const node of graph.nodes) this.#noteReads(node);
  }

  /** Notes the roles of nodes, which come in their order. Of an order that is its own inverse, exits follow entries in turn. */
  #noteRole(node: Node): void {
    const [entry, exit] = [this.perm.join(), inverse(this.perm).join()];
    const own = permOf(node)?.join();
    const [value] = node.inputs;
    if (!value || (own !== entry && own !== exit)) return;
    const isEntry = entry === exit ? !this.#entered.has(value) : own === entry;
    if (isEntry) this.#entries.add(node);
    else this.#exits.set(value, [...(this.#exits.get(value) ?? []), node]);
  }

  #noteEntered(node: Node, turned: Turned | null): void {
    const isWithin =
      turned?.turnsOutputs && turned.data.some((index) => this.#entered.has(node.inputs[index] as Value));
    if (isWithin || this.isEntry(node)) for (const output of node.outputs) this.#entered.add(output);
  }

  #noteReads(node: Node): void {
    const known = this.#movable.get(node) ?? this.#indifferent.get(node);
    const data = new Set(known?.data);
    for (const [index, input] of node.inputs.entries()) {
      if (!input) continue;
      if (this.isExit(node)) this.#noteReader(input, TURNED);
      else if (!known || !data.has(index)) this.#noteReader(input, PLAIN);
      else if (known.turnsOutputs) this.#noteReader(input, node);
    }
  }

  #noteReader(value: Value, reader: Node | number): void {
    const readers = this.#readers.get(value);
    if (readers) readers.add(reader);
    else this.#readers.set(value, new Set([reader]));
  }

  isEntry(node: Node): boolean {
    return this.#entries.has(node);
  }

  isExit(node: Node): boolean {
    const [value] = node.inputs;
    return (value && this.#exits.get(value)?.includes(node)) ?? false;
  }

  isOutput(value: Value): boolean {
    return this.#outputs.has(value);
  }

  /** How a node looks that the plan turns; null for others. */
  turned(node: Node): Turned | null {
    return (this.#chosen.has(node) && this.#movable.get(node)) || null;
  }

  /** How a node looks that takes either order. */
  indifferent(node: Node): Turned | null {
    return this.#indifferent.get(node) ?? null;
  }

  exitsOf(value: Value): readonly Node[] {
    return this.#exits.get(value) ?? [];
  }

  /** Whether anything reads the value in its own order. */
  isReadPlain(value: Value): boolean {
    return this.#isRead(value, PLAIN);
  }

  /** Whether anything has to have the value turned. */
  isReadTurned(value: Value): boolean {
    return this.#isRead(value, TURNED);
  }

  #isRead(value: Value, order: number): boolean {
    const chosen = (node: Node): number => (this.#chosen.has(node) ? TURNED : PLAIN);
    return [...(this.#readers.get(value) ?? [])].some(
      (reader) => (typeof reader === "number" ? reader : chosen(reader)) === order,
    );
  }

  /**
   * Chooses the nodes that are turned.
   *
   * @returns whether fewer transposes are left then, and steps taken
   */
  choose(graph: Graph, most: number): { readonly saves: boolean; readonly steps: number } {
    const network = new CutNetwork();
    const numbers = new Map([...this.#movable.keys()].map((node) => [node, network.add()]));
    let before = 0;
    const rank = this.perm.length;
    const values = [...graph.inputs, ...graph.nodes.flatMap(({ outputs }) => outputs)];
    for (const value of values.filter((each) => hasRank(each, rank))) {
      const costs = this.#costsOf(value);
      const { producer } = value;
      const isGivenTurned = producer !== undefined && this.isEntry(producer);
      const own = isGivenTurned ? TURNED : ((producer && numbers.get(producer)) ?? PLAIN);
      const readers = [...(this.#readers.get(value) ?? [])];
      const demands = readers.map((reader) =>
        typeof reader === "number" ? reader : (numbers.get(reader) as number),
      );
      connect(network, own, demands, costs);
      const exits = this.exitsOf(value);
      const named = exits.filter((exit) => this.isOutput(outputOf(exit))).length;
      if (!isGivenTurned) before += costs.there * (exits.length - Math.max(0, named - 1));
      else if (demands.some((demand) => demand !== TURNED)) before += costs.back;
    }
    const cut = network.leastCut(most);
    for (const [node, number] of numbers) if (cut?.side.has(number)) this.#chosen.add(node);
    return { saves: cut !== null && cut.cost < before, steps: cut?.steps ?? most };
  }

  /** Of the transpose that gives a value its own order, and of that which turns it. */
  #costsOf(value: Value): Costs {
    const places = this.perm.filter((_, axis) => value.shape[axis] !== 1);
    const stays = places.every((place, i) => i === 0 || place > (places[i - 1] as number));
    if (stays) return { back: RELABELLING, there: RELABELLING };
    const { producer } = value;
    const isFirst = producer !== undefined && this.isEntry(producer) && !producer.inputs[0]?.producer;
    const isLast = this.exitsOf(value).some((exit) => this.isOutput(outputOf(exit)));
    return {
      back: isFirst || this.isOutput(value) ? OUTERMOST : MOVING,
      there: !producer || isLast ? OUTERMOST : MOVING,
    };
  }
}

interface Costs {
  readonly back: number;
  readonly there: number;
}

/** One transpose where the value is turned and read plain, and one where it is plain and read turned, for all readers together. */
function connect(network: CutNetwork, own: number, demands: readonly number[], { back, there }: Costs): void {
  const others = demands.filter((demand) => demand !== own);
  if (others.length === 0) return;
  const [plain, turned] = [network.add(), network.add()];
  network.connect(own, plain, back);
  network.connect(turned, own, there);
  for (const other of others) {
    network.connect(plain, other, UNCUT);
    network.connect(other, turned, UNCUT);
  }
}

/** Of a Transpose: all axes in reverse where none is given. */
export function permOf(node: Node): readonly number[] | null {
  if (node.op !== "Transpose" || node.domain !== "") return null;
  const rank = outputOf(node).shape.length;
  if (!hasRank(outputOf(node), rank)) return null;
  return intsAttribute(node, "perm") ?? Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
}
