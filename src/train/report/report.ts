// `qdg report` as functions: reads runs, makes the page. Writing it is the caller's choice of a place.

import type { Progress } from "../../base/progress.js";
import { noProgress } from "../../base/progress.js";
import { chartLibrary } from "./chart-library.js";
import { runNames, seedGroups } from "./compare-runs.js";
import { reportPage } from "./page.js";
import { readRun, type Run } from "./run-folder.js";

export interface TrainingReport {
  /** One self-contained page. */
  readonly html: string;
  /** What was left out of which file. */
  readonly notes: readonly string[];
}

/**
 * @param folders of runs, finished or not
 * @throws QdgError `not-found` for a folder that is no run, `invalid-json` or `invalid-data` with file and line,
 * `unavailable` without the chart library
 */
export async function trainingReport(
  folders: readonly string[],
  progress: Progress = noProgress,
): Promise<TrainingReport> {
  const library = await chartLibrary();
  const runs: Run[] = [];
  for (const folder of folders) {
    runs.push(await readRun(folder));
    progress.report("runs", runs.length, folders.length);
  }
  const names = runNames(folders);
  const groups = seedGroups(runs, names);
  return { html: reportPage({ runs, names, groups }, library), notes: runs.flatMap((run) => run.notes) };
}
