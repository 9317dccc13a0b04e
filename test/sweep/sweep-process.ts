// Commands of qdg as processes of their own that a test kills: with all that they have started, as a machine that loses
// its power, or alone, as a worker that crashes.

import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout } from "node:timers/promises";
import { QDG } from "../support/built-cli.js";

export class QdgProcess {
  readonly #child: ChildProcess;
  readonly ended: Promise<number | null>;
  stdout = "";
  stderr = "";

  constructor(...args: readonly string[]) {
    // A group of its own, so that all of it can be killed at once.
    this.#child = spawn(process.execPath, [QDG, ...args], {
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child.stdout?.on("data", (chunk: Buffer) => (this.stdout += chunk.toString()));
    this.#child.stderr?.on("data", (chunk: Buffer) => (this.stderr += chunk.toString()));
    this.ended = new Promise((resolve) => this.#child.on("close", resolve));
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Until its words match, or it has ended. */
  async says(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.stderr) && !this.hasEnded) await setTimeout(20);
  }

  interrupt(): void {
    this.#child.kill("SIGINT");
  }

  /** @param group with every process that it has started */
  async kill(group: boolean): Promise<void> {
    const { pid } = this.#child;
    if (pid !== undefined && !this.hasEnded) process.kill(group ? -pid : pid, "SIGKILL");
    await this.ended;
  }
}
