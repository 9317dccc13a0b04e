// `qdg train` as a process of another command: this one is what waits for it, as supervise.ts is for a user. It hears
// signals by message, tells of checkpoints, and ends when this process does, however that ends.

import { fork } from "node:child_process";
import { createWriteStream } from "node:fs";
import { finished } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { errorText, QdgError } from "../base/error.js";
import { removePaths } from "../base/temporaries.js";
import type { TrainCall, TrainEnd } from "../sweep/run-job.js";
import { ONE_PROCESS, SUPERVISED, type SupervisorMessage, type WorkerMessage } from "./supervise.js";

/** The program of all commands, which is there once the package is built. */
const QDG_PROGRAM: URL = new URL("main.js", import.meta.url);

/** This very qdg as the first words of a command line. */
export const QDG_COMMAND: readonly string[] = [process.execPath, fileURLToPath(QDG_PROGRAM)];

/** Of what a process says, looked through for notes and errors: its lines are short. */
const MOST_LINE = 4096;

/**
 * Runs `qdg train` as a process of its own.
 *
 * @throws QdgError `io` where its output cannot be written, `runtime` where no process can be started
 */
export async function trainProcess({ args, output, signal, onSaved }: TrainCall): Promise<TrainEnd> {
  const log = createWriteStream(output, { flags: "a" });
  const written = finished(log).catch((thrown: unknown) => {
    throw new QdgError("io", output, `cannot be written: ${errorText(thrown)}`, { cause: thrown });
  });
  // Waited for below; until then it is no unhandled rejection.
  written.catch(() => undefined);
  const child = fork(QDG_PROGRAM, ["train", ...args], {
    env: { ...process.env, [ONE_PROCESS]: SUPERVISED },
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  const temporaries = new Set<string>();
  let [error, notes, line]: [string | null, number, string] = [null, 0, ""];
  const look = (text: string): void => {
    if (text.startsWith("note: ")) notes++;
    else if (text.startsWith("error: ")) error = text.slice("error: ".length);
    else if (text.startsWith("bug in qdg")) error = `${text} It is in ${output}`;
  };
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    if (!log.errored) log.write(text);
    const lines = (line + text).split("\n");
    line = (lines.pop() ?? "").slice(0, MOST_LINE);
    for (const each of lines) look(each);
  });
  child.on("message", (message: WorkerMessage) => {
    if ("saved" in message) onSaved?.(message.saved);
    else if ("temporary" in message) temporaries[message.exists ? "add" : "delete"](message.temporary);
  });
  const interrupt = (): void => {
    if (child.connected) child.send({ interrupt: "SIGTERM" } satisfies SupervisorMessage, () => undefined);
  };
  signal.addEventListener("abort", interrupt);
  if (signal.aborted) interrupt();
  try {
    const [code, killedBy] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (...end) => resolve(end));
    });
    look(line);
    if (killedBy !== null) removePaths(temporaries);
    log.end();
    await written;
    return { code, signal: killedBy, error, notes };
  } catch (thrown) {
    log.destroy();
    if (thrown instanceof QdgError) throw thrown;
    throw new QdgError("runtime", "qdg train", `cannot be started: ${errorText(thrown)}`, { cause: thrown });
  } finally {
    signal.removeEventListener("abort", interrupt);
  }
}
