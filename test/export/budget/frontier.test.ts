import { expect, test } from "vitest";
import type { LayerOptions } from "../../../src/export/budget/allocate.js";
import { frontierOf } from "../../../src/export/budget/frontier.js";

const layer = (elements: number, error: number): LayerOptions =>
  [2, 4, 8].map((bits) => ({ bits, bytes: (bits * elements) / 8, error: error / 4 ** bits })) as never;

const layers = [layer(80, 1), layer(8000, 3), layer(400, 500)];

test("is never under the same bits everywhere, falls nowhere with size, and ends at the most bits", () => {
  const written = layers.map((options) => options[1] ?? options[0]);
  const found = frontierOf(layers, [false, true, true], 1000, written);
  const points = found?.points ?? [];
  expect(points.length).toBeGreaterThan(3);
  points.slice(1).forEach(({ sizeBytes, sqnrDb }, i) => {
    expect(sizeBytes).toBeGreaterThan(points[i]?.sizeBytes ?? 0);
    expect(sqnrDb).toBeGreaterThan(points[i]?.sqnrDb ?? 0);
  });
  expect(points.at(-1)?.sizeBytes).toBe(1000 + 80 + 8000 + 400);
  expect(found?.uniform.map(({ bits, sizeBytes }) => [bits, sizeBytes])).toEqual([
    // The first layer keeps 8 bits.
    [2, 1000 + 80 + 2000 + 100],
    [4, 1000 + 80 + 4000 + 200],
    [8, 1000 + 80 + 8000 + 400],
  ]);
  for (const uniform of found?.uniform ?? []) {
    const better = points.filter(({ sizeBytes }) => sizeBytes >= uniform.sizeBytes);
    expect(better[0]?.sqnrDb).toBeGreaterThanOrEqual(uniform.sqnrDb);
  }
  // 504 / 4^4.
  expect(found?.chosen).toEqual({ sizeBytes: 1000 + 40 + 4000 + 200, sqnrDb: -2.942 });
});

test("is nothing where a network has no error at all", () => {
  const exact = layer(8, 0);
  expect(frontierOf([exact], [true], 10, [exact[0]])).toBeNull();
});
