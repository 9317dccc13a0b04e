// What a run tells while it works. Library code prints nothing: the command line decides what to show.

import type { Progress } from "../../base/progress.js";
import { noProgress } from "../../base/progress.js";
import type { Evaluation } from "./evaluate-domains.js";

export interface StepFacts {
  /** Steps finished, of `steps`. */
  readonly step: number;
  readonly steps: number;
  /** Of this step. */
  readonly loss: number;
  readonly learningRate: number;
  /** Of the last steps, evaluation left out. */
  readonly imagesPerSecond: number;
  /** Share of the scales that are frozen; null where the method freezes none, or no window has ended. */
  readonly frozen: number | null;
  /** Of the whole run, from the time that this process has taken a step, evaluation included. */
  readonly secondsLeft: number;
}

/** Facts known before the first step. */
export interface RunFacts {
  readonly backend: string;
  /** Why auto did not take the faster backend. */
  readonly backendNote?: string;
  readonly model: string;
  readonly parameters: number;
  readonly quantizers: number;
  readonly classes: number;
  readonly domains: readonly {
    readonly name: string;
    readonly role: "source" | "test";
    readonly training: number;
    readonly validation: number;
  }[];
  /** Steps finished before: of a run that goes on. */
  readonly step: number;
  readonly steps: number;
}

export interface TrainObserver {
  /** Stages before and between steps: decoding, evaluation. */
  readonly progress: Progress;
  /** One thing that the user may want to know. */
  note(text: string): void;
  started(facts: RunFacts): void;
  stepped(facts: StepFacts): void;
  /** @param isKept whether its model is the one that is kept, so far */
  evaluated(evaluation: Evaluation, isKept: boolean): void;
  /** A checkpoint of `step` is whole. */
  saved(step: number): void;
}

export const silentObserver: TrainObserver = {
  progress: noProgress,
  note: () => undefined,
  started: () => undefined,
  stepped: () => undefined,
  evaluated: () => undefined,
  saved: () => undefined,
};
