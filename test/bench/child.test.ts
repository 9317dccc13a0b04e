import { expect, test } from "vitest";
import { runNode } from "../../bench/child.js";

test("a child's peak memory is its own, not its parent's", async () => {
  const small = await runNode(["--eval", "0"]);
  const large = await runNode(["--eval", "Buffer.alloc(200e6, 1)"]);
  expect(large.peakBytes - small.peakBytes).toBeGreaterThan(150e6);
  expect(large.peakBytes).toBeLessThan(600e6);
});

test("a child that fails is an error with its words", async () => {
  await expect(runNode(["--eval", "console.error('so it was'); process.exit(3)"])).rejects.toThrow(
    /exited with 3: so it was/,
  );
});
