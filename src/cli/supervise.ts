// The process that a user starts: it starts a second one, in which the command works, and waits. JavaScript that computes,
// and native code, hear no signal; this process does nothing else, so Ctrl-C and SIGTERM end every command in time.
// Nothing heavy may be imported here: every command pays for it.

import { fork } from "node:child_process";
import { constants } from "node:os";
import { removePaths } from "../base/temporaries.js";
import { INTERRUPTED, type Interruption, INTERRUPTIONS } from "./interruption.js";

/** Set: the command works in the process that was started. For debuggers and emulators; Ctrl-C has to wait there. */
export const ONE_PROCESS = "QDG_ONE_PROCESS";

/** What ONE_PROCESS is to a process that has another one waiting for it. */
export const SUPERVISED = "supervised";

/** From the working process. */
export type WorkerMessage =
  | { readonly signal: Interruption }
  /** A checkpoint of a run is whole: for whoever runs `qdg train` as a process of its own. */
  | { readonly saved: number }
  /** It has much to save when it is asked to end: GRACE_MS is too short. */
  | { readonly graceMs: number }
  | { readonly temporary: string; readonly exists: boolean };

/** To the working process. */
export interface SupervisorMessage {
  readonly interrupt: Interruption;
}

/** How long a command has to save what it saves and end by itself, unless it asks for more; then it is killed. */
const GRACE_MS = 1500;
/** `timeout` and terminals send one signal to a process and to its group: it arrives twice. */
const SAME_SIGNAL_MS = 250;

/**
 * Runs `program` with the arguments of this process in a process of its own, and ends as that does: with its exit code,
 * 130 or 143 after a signal. The first signal asks it to end and gives it GRACE_MS, the second one ends it at once; what
 * it had begun to write is taken away.
 *
 * @param program the URL of a script that calls runProgram
 */
export function supervise(program: string): void {
  const temporaries = new Set<string>();
  let interrupted: { readonly name: Interruption; readonly at: number } | null = null;
  let graceMs = GRACE_MS;
  const kill = (): void => void child.kill("SIGKILL");
  const interrupt = (name: Interruption): void => {
    const now = performance.now();
    if (interrupted) {
      if (now - interrupted.at > SAME_SIGNAL_MS) kill();
      return;
    }
    interrupted = { name, at: now };
    // A process that has ended or is about to takes no message.
    if (child.connected) child.send({ interrupt: name } satisfies SupervisorMessage, () => undefined);
    setTimeout(kill, graceMs);
  };
  // Before there is a child: one that nobody waits for must not come to be.
  for (const name of Object.keys(INTERRUPTIONS) as Interruption[]) process.on(name, () => interrupt(name));
  const child = fork(new URL(program), process.argv.slice(2), {
    env: { ...process.env, [ONE_PROCESS]: SUPERVISED },
  });
  child.on("message", (message: WorkerMessage) => {
    if ("signal" in message) interrupt(message.signal);
    else if ("graceMs" in message) graceMs = message.graceMs;
    else if ("saved" in message) return;
    else if (message.exists) temporaries.add(message.temporary);
    else temporaries.delete(message.temporary);
  });
  child.on("error", (thrown) => {
    process.stderr.write(`error: the command cannot be started: ${thrown.message}\n`);
    process.exit(1);
  });
  const killed = (signal: NodeJS.Signals): never => {
    removePaths(temporaries);
    // A progress bar hides the cursor.
    if (process.stderr.isTTY) process.stderr.write("\r\u001b[K\u001b[?25h");
    if (interrupted) {
      process.stderr.write(INTERRUPTED);
      process.exit(INTERRUPTIONS[interrupted.name]);
    }
    process.stderr.write(
      `error: ended by ${signal}, in a native library or for want of memory; no file was left half-written\n`,
    );
    process.exit(128 + constants.signals[signal]);
  };
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    // What it has said last may still be on its way.
    if (child.connected) child.once("disconnect", () => killed(signal));
    else killed(signal);
  });
}
