// The table of a sweep from its run folders: those of its jobs that are finished, and of no other run that may lie there.

import { join } from "node:path";
import { readRun } from "../train/report/run-folder.js";
import { type SweepTable, sweepTable } from "../train/report/sweep-table.js";
import { jobState } from "./job-record.js";
import type { Sweep } from "./job.js";

/**
 * @param baseline a method; the first one where it is not said
 * @returns null where no run is finished, or none holds out a domain
 */
export async function sweepResults(sweep: Sweep, out: string, baseline?: string): Promise<SweepTable | null> {
  const finished: { readonly name: string; readonly folder: string }[] = [];
  for (const job of sweep.jobs) {
    const folder = join(out, job.name);
    if ((await jobState(folder, job)) === "finished") finished.push({ name: job.name, folder });
  }
  const runs = await Promise.all(finished.map(({ folder }) => readRun(folder)));
  const table = sweepTable(
    runs,
    finished.map(({ name }) => name),
    // Of a method that has not finished a run there is nothing to compare with yet.
    runs.some((run) => run.description.options["method"] === baseline) ? baseline : undefined,
  );
  const open = sweep.jobs.length - finished.length;
  return table && open > 0
    ? {
        ...table,
        notes: [
          `${open} of ${sweep.jobs.length} jobs are not finished, and not in the table`,
          ...table.notes,
        ],
      }
    : table;
}
