// Steps of training in PyTorch, taken by pytorch/training_steps.py in a Python environment of the bench's own, one at a
// time as they are asked for, so that they can take turns with those of qdg.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { PACKAGE_FOLDER } from "./environment.js";
import { openPython } from "./python.js";

const PACKAGES: readonly string[] = ["torch==2.15.0", "brevitas==0.13.4", "numpy==2.4.6"];

export interface StepOptions {
  readonly imageSize: number;
  readonly batch: number;
  readonly classes: number;
  readonly threads: number;
}

export interface PytorchSteps {
  /** "torch 2.15.0, brevitas 0.13.4" */
  readonly versions: string;
  /**
   * One step of the network in float, or of bits "W3A8"; the first one makes it.
   *
   * @returns milliseconds
   * @throws Error with the process's own words when it ends
   */
  step(network: string): Promise<number>;
  close(): void;
}

export async function openPytorch(
  options: StepOptions,
): Promise<PytorchSteps | { readonly missing: string }> {
  const python = await openPython(PACKAGES);
  if ("missing" in python) return python;
  const { imageSize, batch, classes, threads } = options;
  const script = join(PACKAGE_FOLDER, "bench", "pytorch", "training_steps.py");
  const child = spawn(python.path, [script, ...[imageSize, batch, classes, threads].map(String)], {
    stdio: ["pipe", "pipe", "pipe"],
    // Brevitas's own quantizers, compiled, as its documentation advises for training.
    env: { ...process.env, BREVITAS_JIT: "1" },
  });
  let words = "";
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => (words += chunk));
  // What it says last is why it ended; a pipe that nobody reads any more is told by that.
  child.stdin.on("error", () => undefined);
  const lines = createInterface({ input: child.stdout });
  const ended = once(child, "close").then(([code]) => {
    throw new Error(`training_steps.py ended with ${String(code)}: ${words.trim().split("\n").at(-1) ?? ""}`);
  });
  ended.catch(() => undefined);
  return {
    versions: python.versions,
    async step(network) {
      const answer = once(lines, "line");
      child.stdin.write(`${network}\n`);
      const [line] = (await Promise.race([answer, ended])) as [string];
      return Number(line);
    },
    close() {
      child.stdin.end();
    },
  };
}
