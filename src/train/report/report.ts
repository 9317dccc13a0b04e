// `qdg report` as functions: reads runs, makes the page. Writing it is the caller's choice of a place.

import type { Progress } from "../../base/progress.js";
import { noProgress } from "../../base/progress.js";
import { chartLibrary } from "./chart-library.js";
import { runNames, seedGroups } from "./compare-runs.js";
import { findRuns } from "./find-runs.js";
import { reportPage } from "./page.js";
import { readRun, type Run } from "./run-folder.js";
import { sweepTable } from "./sweep-table.js";

export interface TrainingReport {
  /** One self-contained page. */
  readonly html: string;
  /** What was left out of which file. */
  readonly notes: readonly string[];
  /** Runs that were found. */
  readonly runs: number;
}

export interface ReportOptions {
  /** The method that others are compared with, pair by pair. */
  readonly baseline?: string;
}

/**
 * @param paths folders of runs, finished or not, and of sweeps, which are the runs in them and get a table of their own
 * @throws QdgError `not-found` for a folder that is no run, `invalid-json` or `invalid-data` with file and line,
 * `unavailable` without the chart library; `usage` for a baseline that no run is of
 */
export async function trainingReport(
  paths: readonly string[],
  progress: Progress = noProgress,
  { baseline }: ReportOptions = {},
): Promise<TrainingReport> {
  const library = await chartLibrary();
  const { folders, isSweep } = await findRuns(paths);
  const runs: Run[] = [];
  for (const folder of folders) {
    runs.push(await readRun(folder));
    progress.report("runs", runs.length, folders.length);
  }
  const names = runNames(folders);
  const groups = seedGroups(runs, names);
  const sweep = isSweep || baseline !== undefined ? sweepTable(runs, names, baseline) : null;
  const html = reportPage({ runs, names, groups }, library, sweep);
  return { html, notes: runs.flatMap((run) => run.notes), runs: runs.length };
}
