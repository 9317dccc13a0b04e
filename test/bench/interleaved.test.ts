import * as fc from "fast-check";
import type { Session, Tensor } from "qdg";
import { expect, test } from "vitest";
import { interleavedTimesMs, turns } from "../../bench/interleaved.js";

test("in every round each session has one turn", () => {
  fc.assert(
    fc.property(fc.nat(100), fc.integer({ min: 1, max: 12 }), (round, count) => {
      expect(turns(round, count).toSorted((a, b) => a - b)).toEqual(
        Array.from({ length: count }, (_, i) => i),
      );
    }),
  );
});

test("two sessions take turns in being first, and five follow different ones", () => {
  expect([turns(0, 2), turns(1, 2)]).toEqual([
    [0, 1],
    [1, 0],
  ]);
  const beforeFirst = new Set(
    Array.from({ length: 20 }, (_, round) => {
      const order = turns(round, 5);
      return order[order.indexOf(0) - 1];
    }),
  );
  expect(beforeFirst.size).toBeGreaterThan(3);
});

function recorded(name: string, log: string[], fed: Tensor[]): Session {
  return {
    inputs: [{ name: "x", dtype: "float32", shape: ["N", 4, 4, 3] }],
    outputs: [],
    async run(feeds) {
      log.push(name);
      fed.push(feeds["x"] as Tensor);
      return {};
    },
    async dispose() {},
  };
}

test("sessions are warmed up one by one, fed the same, and timed once a round, in turns", async () => {
  const log: string[] = [];
  const fed: Tensor[] = [];
  const sessions = [recorded("a", log, fed), recorded("b", log, fed)];
  const times = await interleavedTimesMs(sessions, { warmUpRuns: 2, rounds: 3 });
  expect(log.join("")).toBe("aabbabbaab");
  expect(times.map(({ length }) => length)).toEqual([3, 3]);
  expect(fed[0]?.shape).toEqual([1, 4, 4, 3]);
  expect(new Set(fed.map(({ data }) => data.join())).size).toBe(1);
});
