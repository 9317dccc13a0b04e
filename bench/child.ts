// Runs Node in a process of its own, and says what it used: time by this process's clock, memory by the
// operating system's account of the child.

import { spawn } from "node:child_process";

export interface Usage {
  readonly wallMs: number;
  readonly userMs: number;
  /** Of the kernel on its behalf. */
  readonly systemMs: number;
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
    // A command of qdg works in a second process otherwise, and the first one's account is of waiting.
    env: { ...process.env, QDG_ONE_PROCESS: "1" },
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
      const { maxRSS, userCPUTime, systemCPUTime } = JSON.parse(usage.text) as NodeJS.ResourceUsage;
      // maxRSS is in kilobytes of 1024, CPU times in microseconds.
      const [userMs, systemMs] = [userCPUTime / 1000, systemCPUTime / 1000];
      resolve({ wallMs, userMs, systemMs, peakBytes: maxRSS * 1024 });
    });
  });
}

/** Gathers what a stream gives until it ends. */
function collect(stream: NodeJS.ReadableStream): { text: string } {
  const collected = { text: "" };
  stream.setEncoding("utf8").on("data", (chunk: string) => (collected.text += chunk));
  return collected;
}
