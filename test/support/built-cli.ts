// The command line as it is installed: built when src is newer than dist, and run as a process of its own.

import { execFileSync, spawn } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const top = fileURLToPath(new URL("../../", import.meta.url));

/** Paths of the two programs. */
export const QDG: string = join(top, "dist/cli/main.js");
export const QDG_EXPORT: string = join(top, "dist/cli/qdg-export.js");

/** `npm ci` builds; a checkout that was edited since is built again. */
export function buildCli(): void {
  const built = statSync(QDG, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const newest = readdirSync(join(top, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => statSync(join(entry.parentPath, entry.name)).mtimeMs);
  if (Math.max(...newest) > built) execFileSync("npm", ["run", "build"], { cwd: top, stdio: "pipe" });
}

export interface ProcessResult {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program to its end, its streams no terminals.
 *
 * @param onError called with all of stderr so far, whenever there is more
 */
export function runProcess(
  command: string,
  args: readonly string[],
  onError: (stderr: string, interrupt: () => void) => void = () => undefined,
): Promise<ProcessResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => {
      stderr += chunk.toString();
      onError(stderr, () => child.kill("SIGINT"));
    });
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}
