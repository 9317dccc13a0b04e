// What library code says while it works. Library code never prints: the CLI decides what to show.

export interface Progress {
  /** `done` of `total` steps of `stage` are finished; total is fixed within a stage. */
  report(stage: string, done: number, total: number): void;
}

export const noProgress: Progress = { report: () => undefined };
