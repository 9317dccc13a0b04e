import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Budget } from "../../src/image/budget.js";

const pause = (turns: number): Promise<void> =>
  turns === 0 ? Promise.resolve() : new Promise((resolve) => setImmediate(() => resolve(pause(turns - 1))));

describe("a budget", () => {
  test("is never spent beyond its total, lets everybody have a turn, in the order of asking", async () => {
    const asked = fc.array(
      fc.record({ share: fc.integer({ min: 0, max: 15 }), turns: fc.integer({ min: 0, max: 3 }) }),
    );
    await fc.assert(
      fc.asyncProperty(asked, async (list) => {
        const budget = new Budget(10);
        let [spent, most] = [0, 0];
        const started: number[] = [];
        await Promise.all(
          list.map(({ share, turns }, i) =>
            budget.spend(share, async () => {
              started.push(i);
              spent += Math.min(share, 10);
              most = Math.max(most, spent);
              await pause(turns);
              spent -= Math.min(share, 10);
            }),
          ),
        );
        expect(most).toBeLessThanOrEqual(10);
        expect(started).toEqual(list.map((_, i) => i));
      }),
      { numRuns: 100 },
    );
  });

  test("is given back by work that fails", async () => {
    const budget = new Budget(10);
    await expect(budget.spend(10, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(await budget.spend(10, async () => "done")).toBe("done");
  });
});
