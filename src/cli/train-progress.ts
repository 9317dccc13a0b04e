// What a training run says on stderr: on a terminal one line that is written over, a few times a second; elsewhere
// plain lines now and then. Evaluations and notes stay.

import { noProgress } from "../base/progress.js";
import type { Evaluation } from "../train/run/evaluate-domains.js";
import type { RunFacts, StepFacts, TrainObserver } from "../train/run/observer.js";
import { formatDuration, formatPercent } from "./format.js";
import { stopProgress, terminalProgress } from "./progress.js";
import { tell } from "./terminal.js";
import type { TextSink } from "./terminal.js";

/** A stream that may be a terminal. */
export interface LineSink extends TextSink {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** Between two writings of the line; people read no faster. */
const LIVE_MS = 250;
/** Between two plain lines. */
const PLAIN_MS = 30_000;

export class TrainProgress implements TrainObserver {
  readonly progress: TrainObserver["progress"];
  readonly #sink: LineSink;
  readonly #onSaved: (step: number) => void;
  readonly #now: () => number;
  #accuracy = "";
  #writtenAt = -Infinity;
  #isLineOpen = false;

  /**
   * @param now in milliseconds; for tests
   * @param onSaved told of checkpoints, of which nothing is written
   */
  constructor(
    sink: LineSink,
    now: () => number = () => performance.now(),
    onSaved: (step: number) => void = () => undefined,
  ) {
    this.#sink = sink;
    this.#onSaved = onSaved;
    this.#now = now;
    const bars = sink === process.stderr ? terminalProgress() : noProgress;
    this.progress = {
      report: (stage, done, total) => {
        this.clear();
        bars.report(stage, done, total);
      },
    };
  }

  note(text: string): void {
    this.#say(`note: ${text}`);
  }

  started(facts: RunFacts): void {
    const { backend, backendNote, model, parameters, quantizers, classes, domains, step, steps } = facts;
    const named = (role: "source" | "test"): string =>
      domains
        .filter((domain) => domain.role === role)
        .map(({ name, training, validation }) => `${name} (${training + validation})`)
        .join(", ");
    this.#say(`backend ${backend}${backendNote === undefined ? "" : `: ${backendNote}`}`);
    this.#say(
      `${model}: ${parameters} weights, ${quantizers} quantizers with learned scales, ${classes} classes`,
    );
    this.#say(`trains on ${named("source")}; held out: ${named("test") || "no domain"}`);
    if (step > 0) this.#say(`goes on after step ${step} of ${steps}`);
  }

  stepped(facts: StepFacts): void {
    const now = this.#now();
    const isLive = this.#sink.isTTY === true;
    if (now - this.#writtenAt < (isLive ? LIVE_MS : PLAIN_MS)) return;
    this.#writtenAt = now;
    const line = this.#lineOf(facts);
    if (!isLive) {
      this.#say(line);
      return;
    }
    stopProgress();
    this.#sink.write(`\r\u001b[K${line.slice(0, (this.#sink.columns ?? 80) - 1)}`);
    this.#isLineOpen = true;
  }

  evaluated(evaluation: Evaluation, isKept: boolean): void {
    this.#accuracy = accuracyOf(evaluation);
    const what = evaluation.quantized ? "integer network" : "full precision";
    const mean = evaluation.byBits ? ", mean of bits" : "";
    this.#say(`step ${evaluation.step}, ${what}${mean}: ${this.#accuracy}${isKept ? "  kept" : ""}`);
    for (const { bits, domains } of evaluation.byBits ?? [])
      this.#say(`  ${bits} bits: ${accuracyOf({ domains })}`);
  }

  saved(step: number): void {
    // Each checkpoint is like the last; what failed is said by the error.
    this.#onSaved(step);
  }

  /** Takes the line away, so that others can write. */
  clear(): void {
    if (this.#isLineOpen) this.#sink.write("\r\u001b[K");
    this.#isLineOpen = false;
  }

  #say(line: string): void {
    stopProgress();
    this.clear();
    tell(this.#sink, `${line}\n`);
  }

  #lineOf({ step, steps, loss, imagesPerSecond, frozen, secondsLeft }: StepFacts): string {
    return [
      `step ${step}/${steps}`,
      `loss ${loss.toFixed(3)}`,
      this.#accuracy,
      frozen === null ? "" : `frozen ${formatPercent(frozen)}`,
      `${imagesPerSecond.toFixed(0)} images/s`,
      `${formatDuration(secondsLeft)} left`,
    ]
      .filter((part) => part !== "")
      .join("  ");
  }
}

/**
 * "photo 71.2 % cartoon 68.0 % | sketch 41.3 %": sources by what validates; behind the bar, where a domain is held out,
 * all of it.
 */
function accuracyOf({ domains }: Pick<Evaluation, "domains">): string {
  const list = (role: "source" | "test"): string =>
    domains
      .filter((domain) => domain.role === role)
      .map(({ name, validation, all }) => `${name} ${formatPercent(role === "test" ? all : validation)}`)
      .join(" ");
  return [list("source"), list("test")].filter((part) => part !== "").join(" | ");
}
