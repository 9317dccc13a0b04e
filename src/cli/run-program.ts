// What happens around a command in the process where it works: exit codes, errors on one line, nothing left behind by Ctrl-C.
// 0 done, 1 an error in the input or the run, 2 wrong usage, 3 parity outside tolerance, 70 a bug of ours.

import { type Command, CommanderError } from "commander";
import { QdgError } from "../base/error.js";
import { removeTemporaries, watchTemporaries } from "../base/temporaries.js";
import { interrupt, INTERRUPTED, type Interruption, INTERRUPTIONS, onInterruption } from "./interruption.js";
import { printableLines, printableMessage } from "../base/printable.js";
import { stopProgress } from "./progress.js";
import { ONE_PROCESS, SUPERVISED, type SupervisorMessage } from "./supervise.js";
import { beginTelling, tellSupervisor } from "./tell-supervisor.js";
import type { Terminal } from "./terminal.js";

const USAGE = 2;
const BUG = 70;

/** Runs the command of `process.argv` in this process and sets the exit code. */
export async function runProgram(program: Command): Promise<void> {
  // Whoever started it is gone already.
  if (process.env[ONE_PROCESS] === SUPERVISED && !process.connected) process.exit(1);
  beginTelling();
  // Not for programs that the command starts.
  delete process.env[ONE_PROCESS];
  onInterruption((name) => {
    stopProgress();
    removeTemporaries();
    process.stderr.write(INTERRUPTED);
    process.exit(INTERRUPTIONS[name]);
  });
  listenForSignals();
  // A process that ends by an error that nobody catches leaves nothing either.
  process.once("exit", removeTemporaries);
  // A reader that closes early (`qdg inspect ... | head`) is no error.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
  // Nor is one of what is said to people: the work goes on. Without this the process would end with its locks in place.
  process.stderr.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
  process.exitCode = await runCommand(program, process.argv.slice(2), process);
}

/** Signals come by way of the process that started this one, which counts them (supervise.ts); without one, directly. */
function listenForSignals(): void {
  for (const name of Object.keys(INTERRUPTIONS) as Interruption[]) {
    process.on(name, () => {
      if (process.connected) tellSupervisor({ signal: name });
      else interrupt(name);
    });
  }
  if (!process.connected) return;
  watchTemporaries((temporary, exists) => tellSupervisor({ temporary, exists }));
  process.on("message", (message: SupervisorMessage) => interrupt(message.interrupt));
  // Whom nobody waits for any more ends too: SIGKILL cannot be passed on.
  process.on("disconnect", () => {
    removeTemporaries();
    process.exit(1);
  });
  // Listening is no reason to stay.
  process.channel?.unref();
}

/**
 * Runs a command within this process; `terminal` is the one that it was made with.
 *
 * @param args as on the command line, without the program's name
 * @returns the exit code; what went wrong is on stderr then, in one line unless it is a bug
 */
export async function runCommand(
  program: Command,
  args: readonly string[],
  terminal: Terminal,
): Promise<number> {
  try {
    prepare(program, terminal);
    await program.parseAsync(args, { from: "user" });
    return Number(terminal.exitCode ?? 0);
  } catch (thrown) {
    stopProgress();
    return report(thrown, terminal);
  }
}

/** commander throws instead of leaving the process and writes to the terminal, subcommands too. */
function prepare(command: Command, terminal: Terminal): void {
  command.exitOverride().configureOutput({
    writeOut: (text) => terminal.stdout.write(text),
    writeErr: (text) => terminal.stderr.write(text),
    // "(Did you mean ...?)" comes on a line of its own.
    outputError: (text, write) => write(`${printableMessage(text.trim().replaceAll(/\s*\n\s*/g, " "))}\n`),
  });
  for (const each of command.commands) prepare(each, terminal);
}

function report(thrown: unknown, terminal: Terminal): number {
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : USAGE;
  if (thrown instanceof QdgError && thrown.code !== "internal") {
    terminal.stderr.write(`error: ${thrown.message}\n`);
    return thrown.code === "usage" ? USAGE : 1;
  }
  const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  terminal.stderr.write(
    `bug in qdg, please report it with the command and the model:\n${printableLines(text)}\n`,
  );
  return BUG;
}
