// What happens around a command: exit codes, errors on one line, nothing left behind by Ctrl-C.
// 0 done, 1 an error in the input or the run, 2 wrong usage, 3 parity outside tolerance, 70 a bug of ours.

import { type Command, CommanderError } from "commander";
import { removePendingFiles } from "../base/atomic-file.js";
import { QdgError } from "../base/error.js";
import { stopProgress } from "./progress.js";

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
  try {
    overrideExit(program);
    await program.parseAsync();
  } catch (thrown) {
    stopProgress();
    process.exitCode = report(thrown);
  }
}

/** commander throws instead of leaving the process, subcommands too. */
function overrideExit(command: Command): void {
  command.exitOverride();
  command.commands.forEach(overrideExit);
}

function report(thrown: unknown): number {
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : USAGE;
  if (thrown instanceof QdgError && thrown.code !== "internal") {
    process.stderr.write(`error: ${thrown.message}\n`);
    return thrown.code === "usage" ? USAGE : 1;
  }
  const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  process.stderr.write(`bug in qdg, please report it with the command and the model:\n${text}\n`);
  return BUG;
}
