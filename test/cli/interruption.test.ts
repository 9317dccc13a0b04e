import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { interruptible } from "../../src/cli/interruption.js";

// As run-program.ts listens: what stops the program. Listeners of the test runner are kept out of it.
let stopped: string[] = [];
const listeners = new Map<"SIGINT" | "SIGTERM", NodeJS.SignalsListener[]>();
beforeEach(() => {
  stopped = [];
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    listeners.set(name, process.listeners(name));
    process.removeAllListeners(name);
    process.once(name, (signal) => stopped.push(signal));
  }
});
afterEach(() => {
  for (const [name, before] of listeners) {
    process.removeAllListeners(name);
    for (const listener of before) process.on(name, listener);
  }
});

const send = (name: "SIGINT" | "SIGTERM"): boolean => process.emit(name, name);

describe("work that can be interrupted", () => {
  test("is asked to stop by the first Ctrl-C, and stopped by the second", async () => {
    let told = 0;
    const states: [boolean, number, string[]][] = [];
    const work = async (signal: AbortSignal): Promise<string> => {
      const note = (): void => void states.push([signal.aborted, told, [...stopped]]);
      note();
      send("SIGINT");
      note();
      send("SIGINT");
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

  test("that was not interrupted has no exit code, and leaves the listeners as they were", async () => {
    const before = process.listeners("SIGINT");
    expect(
      await interruptible(
        async () => 1,
        () => undefined,
      ),
    ).toEqual({ result: 1, exitCode: null });
    expect(process.listeners("SIGINT")).toEqual(before);
    send("SIGINT");
    expect(stopped).toEqual(["SIGINT"]);
  });

  test("that fails leaves the listeners as they were", async () => {
    const before = process.listeners("SIGTERM");
    await expect(
      interruptible(
        () => Promise.reject(new Error("no")),
        () => undefined,
      ),
    ).rejects.toThrow("no");
    expect(process.listeners("SIGTERM")).toEqual(before);
  });
});

async function twice(): Promise<void> {
  send("SIGTERM");
  send("SIGINT");
}
