// What happens around a command: exit codes, errors on one line, nothing left behind by Ctrl-C.
// 0 done, 1 an error in the input or the run, 2 wrong usage, 3 parity outside tolerance, 70 a bug of ours.

import { type Command, CommanderError } from "commander";
import { removePendingFiles } from "../base/atomic-file.js";
import { QdgError } from "../base/error.js";
import { stopProgress } from "./progress.js";
import type { Terminal } from "./terminal.js";

const USAGE = 2;
const BUG = 70;

/** Runs the command of `process.argv` and sets the exit code. */
export async function runProgram(program: Command): Promise<void> {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      stopProgress();
      removePendingFiles();
      process.stderr.write("interrupted; no file was left half-written\n");
      process.exit(signal === "SIGINT" ? 130 : 143);
    });
  }
  // A reader that closes early (`qdg inspect ... | head`) is no error.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
  process.exitCode = await runCommand(program, process.argv.slice(2), process);
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
    outputError: (text, write) => write(`${oneLine(text.trim())}\n`),
  });
  for (const each of command.commands) prepare(each, terminal);
}

function report(thrown: unknown, terminal: Terminal): number {
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : USAGE;
  if (thrown instanceof QdgError && thrown.code !== "internal") {
    terminal.stderr.write(`error: ${oneLine(thrown.message)}\n`);
    return thrown.code === "usage" ? USAGE : 1;
  }
  const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  terminal.stderr.write(`bug in qdg, please report it with the command and the model:\n${text}\n`);
  return BUG;
}

/** Names out of a model's file may hold line breaks, or codes that a terminal obeys. */
function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, " ").replaceAll(/\p{Cc}/gu, "\uFFFD");
}
