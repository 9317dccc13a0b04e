// A run folder out of Redis: looked at whole beside its place before it gets there, so that a result that is damaged, or
// of another run, changes nothing.

import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { QdgError } from "../../base/error.js";
import { temporaryName } from "../../base/leftovers.js";
import { markTemporary, unmarkTemporary } from "../../base/temporaries.js";
import { VERSION } from "../../base/version.js";
import { readRun } from "../../train/report/run-folder.js";
import { RUN_FILES, RunFolder } from "../../train/run/run-folder.js";
import { MACHINE_OPTIONS, type SweepJob } from "../job.js";
import { writeJobRecord } from "../job-record.js";
import type { StoredFiles } from "./job-message.js";
import { getFile, type StorePlace } from "./stored-files.js";

/**
 * @throws QdgError `invalid-data` for files that are damaged, a run that has not ended, of other options or of another
 * version; `unavailable` where a run is trained in the folder
 */
export async function placeResult(
  place: StorePlace,
  { upload, files }: StoredFiles,
  job: SweepJob,
  folder: string,
): Promise<void> {
  const staged = temporaryName(folder);
  markTemporary(staged);
  try {
    await mkdir(staged, { recursive: true });
    for (const file of files) await writeFile(join(staged, file.name), await getFile(place, upload, file));
    await checkRun(staged, job);
    const lock = await RunFolder.lock(folder, () => undefined);
    try {
      // Of a run that was begun here.
      for (const name of RUN_FILES) await rm(join(folder, name), { force: true });
      for (const name of await readdir(staged)) await rename(join(staged, name), join(folder, name));
      await writeJobRecord(folder, job, "finished");
    } finally {
      await lock.release();
    }
  } finally {
    await rm(staged, { recursive: true, force: true });
    unmarkTemporary(staged);
  }
}

/** Options whose paths and defaults follow from the machine are not compared. */
const NOT_COMPARED: ReadonlySet<string> = new Set([
  ...MACHINE_OPTIONS,
  "data",
  "model",
  "teacher",
  "backend",
]);

async function checkRun(folder: string, job: SweepJob): Promise<void> {
  const { description, results } = await readRun(folder);
  const where = job.name;
  if (description.qdg !== VERSION)
    throw new QdgError("invalid-data", where, `its run is of qdg ${description.qdg}, and this is ${VERSION}`);
  const other = Object.entries(job.options).find(
    ([name, value]) => !NOT_COMPARED.has(name) && !isDeepStrictEqual(description.options[name], value),
  );
  if (other) {
    const [name, value] = other;
    const got = JSON.stringify(description.options[name]) ?? "nothing";
    throw new QdgError(
      "invalid-data",
      where,
      `its run has ${name} ${got}, expected ${JSON.stringify(value)}`,
    );
  }
  const steps = description.options["steps"];
  const last = results.at(-1)?.step ?? 0;
  if (last !== steps)
    throw new QdgError("invalid-data", where, `its run has come to step ${last} of ${String(steps)}`);
}
