import { expect, test } from "vitest";
import { breathe } from "../../src/base/breathe.js";
import { float32 } from "../../src/base/tensor.js";
import { openGraph } from "../../src/runtime/reference.js";
import { Sketch } from "../runtime/sketch.js";

/** How often the event loop had a turn while `work` was done. */
async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  await work();
  clearInterval(timer);
  return turns;
}

/** Computes for 20 ms. */
function compute(): void {
  for (const end = performance.now() + 20; performance.now() < end;);
}

async function loop(pause: () => Promise<void>): Promise<void> {
  for (let i = 0; i < 30; i++) {
    compute();
    await pause();
  }
}

test("a long loop that breathes lets timers have their turn, one that does not keeps them waiting", async () => {
  expect(await turnsDuring(() => loop(() => Promise.resolve()))).toBe(0);
  // 600 ms, of which each 50 give one.
  expect(await turnsDuring(() => loop(breathe))).toBeGreaterThan(3);
});

test("the reference breathes between the nodes of a network", async () => {
  const sketch = new Sketch();
  const shape = [1, 16, 48, 48];
  const weights = float32([16, 16, 3, 3], new Float32Array(16 * 16 * 9).fill(0.01));
  let y = sketch.input("x", float32(shape, new Float32Array(16 * 48 * 48)));
  const w = sketch.constant("w", weights);
  for (let i = 0; i < 60; i++) y = sketch.node("Conv", [y, w], { pads: [1, 1, 1, 1] }, "float32", shape);
  const { graph, feeds } = sketch.model(y, shape, null);
  const session = await openGraph(graph, "test");
  expect(await turnsDuring(() => session.run(feeds))).toBeGreaterThan(1);
});
