// The cheapest way to part a network of weighted arrows in two (Dinic's algorithm). Knows nothing of graphs of operators.

/** An arrow that is never cut. */
export const UNCUT: number = 2 ** 40;

export interface Cut {
  /** The sum of the arrows that lead from the first node's side to the other. */
  readonly cost: number;
  /** Nodes on the first node's side: of all cheapest cuts the one with fewest there. */
  readonly side: ReadonlySet<number>;
  /** What finding it took. */
  readonly steps: number;
}

/** Nodes are numbers from 0 up; 0 and 1 are those that are to be parted. */
export class CutNetwork {
  readonly #arrows: number[][] = [[], []];
  readonly #to: number[] = [];
  readonly #room: number[] = [];

  get size(): number {
    return this.#to.length + this.#arrows.length;
  }

  add(): number {
    return this.#arrows.push([]) - 1;
  }

  connect(from: number, to: number, cost: number): void {
    if (from === to) return;
    this.#arrows[from]?.push(this.#to.push(to) - 1);
    this.#room.push(cost);
    this.#arrows[to]?.push(this.#to.push(from) - 1);
    this.#room.push(0);
  }

  /** @returns null where it takes more than `most` steps */
  leastCut(most: number): Cut | null {
    let steps = 0;
    for (let cost = 0; ;) {
      const levels = this.#levels();
      steps += this.size;
      if (!levels.has(1)) return { cost, side: new Set(levels.keys()), steps };
      const next = this.#arrows.map(() => 0);
      const path: number[] = [];
      for (let at = 0; ;) {
        if (++steps > most) return null;
        if (at === 1) {
          const flow = path.reduce((least, arrow) => Math.min(least, this.#room[arrow] as number), UNCUT);
          for (const arrow of path) this.#push(arrow, flow);
          steps += path.length;
          cost += flow;
          path.length = 0;
          at = 0;
          continue;
        }
        const arrow = this.#arrows[at]?.[next[at] as number];
        if (arrow === undefined) {
          const last = path.pop();
          if (last === undefined) break;
          at = this.#to[last ^ 1] as number;
          next[at] = (next[at] as number) + 1;
        } else if (
          this.#isOpen(arrow) &&
          levels.get(this.#to[arrow] as number) === (levels.get(at) ?? 0) + 1
        ) {
          path.push(arrow);
          at = this.#to[arrow] as number;
        } else next[at] = (next[at] as number) + 1;
      }
    }
  }

  #isOpen(arrow: number): boolean {
    return (this.#room[arrow] as number) > 0;
  }

  #push(arrow: number, flow: number): void {
    this.#room[arrow] = (this.#room[arrow] as number) - flow;
    this.#room[arrow ^ 1] = (this.#room[arrow ^ 1] as number) + flow;
  }

  /** How many arrows with room lead to each node that can be reached. */
  #levels(): Map<number, number> {
    const levels = new Map([[0, 0]]);
    for (const [at, level] of levels) {
      for (const arrow of this.#arrows[at] ?? []) {
        const to = this.#to[arrow] as number;
        if (this.#isOpen(arrow) && !levels.has(to)) levels.set(to, level + 1);
      }
    }
    return levels;
  }
}
