// Says on stderr what a run is doing: one line now and then, so that a log stays readable.

import type { Progress } from "qdg";

const EVERY_MS = 10_000;

export class Reporter {
  readonly #start: number = performance.now();

  say(text: string): void {
    const seconds = Math.round((performance.now() - this.#start) / 1000);
    process.stderr.write(`[${seconds} s] ${text}\n`);
  }

  /** Progress of library code: a line for stages that last, at most one in ten seconds. */
  progress(what: string): Progress {
    let last = performance.now();
    return {
      report: (stage, done, total) => {
        if (performance.now() - last < EVERY_MS) return;
        last = performance.now();
        this.say(`${what}: ${stage} ${done}/${total}`);
      },
    };
  }
}
