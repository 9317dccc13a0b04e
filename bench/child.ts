// Runs Node in a process of its own, and says what it used: time by this process's clock, memory by the
// operating system's account of the child.

import { spawn } from "node:child_process";

export interface Usage {
  readonly wallMs: number;
  readonly userMs: number;
  /** Largest resident set, in bytes. */
  readonly peakBytes: number;
}

/** In the child, before its program: at exit, what it used goes to file descriptor 3. */
const REPORT_USAGE = `data:text/javascript,${encodeURIComponent(
  `import { writeSync } from "node:fs";
   process.on("exit", () => writeSync(3, JSON.stringify(process.resourceUsage())));`,
)}`;

/** @throws Error with the child's own words when it does not exit with 0 */
export function runNode(programAndArguments: readonly string[]): Promise<Usage> {
  const start = performance.now();
  const child = spawn(process.execPath, ["--import", REPORT_USAGE, ...programAndArguments], {
    stdio: ["ignore", "ignore", "pipe", "pipe"],
  });
  const errors = collect(child.stdio[2] as NodeJS.ReadableStream);
  const usage = collect(child.stdio[3] as NodeJS.ReadableStream);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      const wallMs = performance.now() - start;
      if (code !== 0) {
        reject(new Error(`${programAndArguments.join(" ")} exited with ${code}: ${errors.text.trim()}`));
        return;
      }
      const { maxRSS, userCPUTime } = JSON.parse(usage.text) as NodeJS.ResourceUsage;
      // maxRSS is in kilobytes of 1024, CPU time in microseconds.
      resolve({ wallMs, userMs: userCPUTime / 1000, peakBytes: maxRSS * 1024 });
    });
  });
}

/** Gathers what a stream gives until it ends. */
function collect(stream: NodeJS.ReadableStream): { text: string } {
  const collected = { text: "" };
  stream.setEncoding("utf8").on("data", (chunk: string) => (collected.text += chunk));
  return collected;
}
