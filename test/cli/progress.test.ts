import { PassThrough } from "node:stream";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { noProgress } from "../../src/base/progress.js";
import { stopProgress, terminalProgress } from "../../src/cli/progress.js";

let drawn = "";
function stream(isTTY: boolean): NodeJS.WriteStream {
  const through = new PassThrough();
  through.on("data", (chunk: Buffer) => (drawn += chunk.toString()));
  return Object.assign(through, { isTTY, columns: 80 }) as unknown as NodeJS.WriteStream;
}

beforeEach(() => {
  drawn = "";
  vi.useFakeTimers();
});
afterEach(() => {
  stopProgress();
  vi.useRealTimers();
});

test("draws nothing where there is no terminal", () => {
  expect(terminalProgress(stream(false))).toBe(noProgress);
});

test("draws nothing for a stage that ends within a second", () => {
  const progress = terminalProgress(stream(true));
  for (let done = 1; done <= 9; done++) {
    vi.advanceTimersByTime(100);
    progress.report("calibrating", done, 9);
  }
  vi.advanceTimersByTime(1000);
  expect(drawn).toBe("");
});

test("draws a bar for a stage that takes longer, and takes it away at its end", () => {
  const progress = terminalProgress(stream(true));
  const report = (from: number, to: number): void => {
    for (let done = from; done <= to; done++) {
      vi.advanceTimersByTime(100);
      progress.report("calibrating", done, 30);
    }
  };
  report(1, 8);
  expect(drawn).toBe("");
  report(9, 30);
  expect(drawn).toMatch(/calibrating .*\d+\/30/);
  const ended = drawn;
  progress.report("measuring", 1, 30);
  vi.advanceTimersByTime(5000);
  expect(drawn).toBe(ended);
});
