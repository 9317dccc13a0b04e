// The cheapest cut of small networks, against all cuts there are.

import { expect, test } from "vitest";
import { CutNetwork } from "../../../src/read/normalize/least-cut.js";
import { seeded } from "../../support/layers-models.js";

type Arrow = readonly [from: number, to: number, cost: number];

function costOf(arrows: readonly Arrow[], side: (node: number) => boolean): number {
  return arrows.reduce((sum, [from, to, cost]) => sum + (side(from) && !side(to) ? cost : 0), 0);
}

test("is the cheapest of all cuts, and of these the one with fewest nodes on the first side", () => {
  for (let seed = 0; seed < 60; seed++) {
    const random = seeded(seed);
    const count = 2 + Math.floor(random() * 6);
    const network = new CutNetwork();
    for (let i = 2; i < count; i++) network.add();
    const arrows = Array.from({ length: count * 2 }, (): Arrow => {
      const node = (): number => Math.floor(random() * count);
      return [node(), node(), Math.floor(random() * 5)];
    });
    for (const arrow of arrows) network.connect(...arrow);
    const sides = Array.from({ length: 2 ** (count - 2) }, (_, bits) => [
      0,
      ...Array.from({ length: count - 2 }, (__, i) => i + 2).filter((node) => (bits >> (node - 2)) & 1),
    ]);
    const costs = sides.map((side) => costOf(arrows, (node) => side.includes(node)));
    const least = Math.min(...costs);
    const smallest = Math.min(...sides.filter((_, i) => costs[i] === least).map(({ length }) => length));
    const cut = network.leastCut(1e6);
    expect(cut?.cost, `seed ${seed}`).toBe(least);
    expect(costOf(arrows, (node) => cut?.side.has(node) ?? false)).toBe(least);
    expect(cut?.side.size, `seed ${seed}`).toBe(smallest);
  }
});

test("gives up after as many steps as it is given", () => {
  const network = new CutNetwork();
  network.connect(0, 1, 3);
  expect(network.leastCut(1)).toBeNull();
  expect(network.leastCut(100)?.cost).toBe(3);
});
