import { expect, test } from "vitest";
import { runNode } from "../../bench/child.js";
import { ONE_PROCESS } from "../../src/cli/supervise.js";

test("a child's peak memory is its own, not its parent's", async () => {
  const small = await runNode(["--eval", "0"]);
  const large = await runNode(["--eval", "Buffer.alloc(200e6, 1)"]);
  expect(large.peakBytes - small.peakBytes).toBeGreaterThan(150e6);
  expect(large.peakBytes).toBeLessThan(600e6);
});

test("a command of qdg works in the child itself: usage of a process that only waits would be told otherwise", async () => {
  const inOne = `process.env[${JSON.stringify(ONE_PROCESS)}] !== undefined`;
  await expect(runNode(["--eval", `process.exit(${inOne} ? 0 : 1)`])).resolves.toBeDefined();
});

test("a child that fails is an error with its words", async () => {
  await expect(runNode(["--eval", "console.error('so it was'); process.exit(3)"])).rejects.toThrow(
    /exited with 3: so it was/,
  );
});
