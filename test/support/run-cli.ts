// Runs qdg's commands inside the test's own process, with streams that are kept.

import { runCommand } from "../../src/cli/run-program.js";
import { qdgProgram } from "../../src/cli/program.js";
import type { Terminal } from "../../src/cli/terminal.js";

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** `qdg` with these arguments. */
export async function runCli(...args: readonly string[]): Promise<CliResult> {
  const result = { stdout: "", stderr: "" };
  const terminal: Terminal = {
    stdout: { write: (text) => (result.stdout += text) },
    stderr: { write: (text) => (result.stderr += text) },
  };
  const code = await runCommand(qdgProgram(terminal), args, terminal);
  return { code, ...result };
}
