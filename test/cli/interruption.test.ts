import { beforeEach, describe, expect, test } from "vitest";
import {
  interrupt,
  interruptible,
  type Interruption,
  type InterruptionListener,
  onInterruption,
} from "../../src/cli/interruption.js";

// As run-program.ts listens: what stops the program.
let stopped: Interruption[] = [];
let stop: InterruptionListener;
beforeEach(() => {
  stopped = [];
  stop = (name) => stopped.push(name);
  onInterruption(stop);
});

describe("work that can be interrupted", () => {
  test("is asked to stop by the first Ctrl-C, and stopped by the second", async () => {
    let told = 0;
    const states: [boolean, number, string[]][] = [];
    const work = async (signal: AbortSignal): Promise<string> => {
      const note = (): void => void states.push([signal.aborted, told, [...stopped]]);
      note();
      interrupt("SIGINT");
      note();
      interrupt("SIGINT");
      note();
      return "done";
    };
    expect(await interruptible(work, () => told++)).toEqual({ result: "done", exitCode: 130 });
    expect(states).toEqual([
      [false, 0, []],
      [true, 1, []],
      [true, 1, ["SIGINT"]],
    ]);
  });

  test("is stopped by a SIGTERM after a Ctrl-C, and the other way round", async () => {
    expect(await interruptible(twice, () => undefined)).toMatchObject({ exitCode: 143 });
    expect(stopped).toEqual(["SIGINT"]);
  });

  test("that was not interrupted has no exit code, and leaves the listener as it was", async () => {
    expect(
      await interruptible(
        async () => 1,
        () => undefined,
      ),
    ).toEqual({ result: 1, exitCode: null });
    expect(onInterruption(stop)).toBe(stop);
  });

  test("that fails leaves the listener as it was", async () => {
    await expect(
      interruptible(
        () => Promise.reject(new Error("no")),
        () => undefined,
      ),
    ).rejects.toThrow("no");
    expect(onInterruption(stop)).toBe(stop);
  });
});

async function twice(): Promise<void> {
  interrupt("SIGTERM");
  interrupt("SIGINT");
}
