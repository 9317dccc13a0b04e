// The engine of a Slurm cluster: a script for sbatch, a job array of which each element runs one job of the sweep by its
// index. Nothing is run here. A file system that all nodes see is taken for granted.

import { mkdir } from "node:fs/promises";
import { resolve } from "node:path";
import { checkWritable, writeFileAtomic } from "../../base/atomic-file.js";
import { QdgError } from "../../base/error.js";
import { VERSION } from "../../base/version.js";
import { hashOf } from "../job.js";
import { shellWord } from "../shell-word.js";
import type { Engine, EngineContext, EngineResult } from "./engine.js";
import { statesOf } from "./local.js";
import { memoryOf, minutesOf, outputOf } from "./resources.js";

export const slurmEngine: Engine = {
  name: "slurm",
  help: "a script for sbatch, a job array",
  settings: ["output", "force", "cpus", "memory", "time", "partition"],
  run: writeScript,
};

/** Before its time is up a job is asked to end: it saves its checkpoint. */
const SECONDS_TO_SAVE = 120;

async function writeScript(context: EngineContext): Promise<EngineResult> {
  const { sweep, out, settings } = context;
  const output = outputOf(settings.output, "sweep.sbatch");
  await checkWritable(output, settings.force === true);
  // What does not belong into the folder is said now, not by every element.
  const finished = [...(await statesOf(context)).values()].filter((state) => state === "finished").length;
  const script = slurmScript(context);
  // Slurm writes what jobs say there, and makes no folder for it.
  await mkdir(out, { recursive: true });
  await writeFileAtomic(output, script, { force: settings.force === true });
  const next = `${sweep.jobs.length} jobs; start them with: sbatch ${shellWord(output)}`;
  return { finished, failed: 0, stopped: false, files: [output], next };
}

/** @throws QdgError `usage` for settings that Slurm cannot be told */
export function slurmScript(context: Omit<EngineContext, "observer" | "signal" | "runTrain">): string {
  const { sweep, path, out, jobs, threads, settings, program } = context;
  const { cpus, memory, time, partition } = settings;
  const { count, unit } = memory === undefined ? {} : memoryOf(memory);
  const directives: readonly (readonly [option: string, value: string | null])[] = [
    ["job-name", sweep.name],
    ["array", `0-${sweep.jobs.length - 1}${jobs > 1 ? `%${jobs}` : ""}`],
    ["ntasks", "1"],
    ...(cpus === undefined ? [] : [["cpus-per-task", String(cpus)] as const]),
    ...(count === undefined ? [] : [["mem", `${count}${unit}`] as const]),
    ...(time === undefined ? [] : [["time", String(minutesOf(time))] as const]),
    ...(partition === undefined ? [] : [["partition", directiveWord(partition, "--partition")] as const]),
    ["output", `${directiveWord(resolve(out), "--out").replaceAll("%", "%%")}/slurm-%A_%a.txt`],
    ["open-mode", "append"],
    ["signal", `B:TERM@${SECONDS_TO_SAVE}`],
    ["requeue", null],
  ];
  const command = [
    ...program,
    "sweep",
    resolve(path),
    "--out",
    resolve(out),
    "--if-hash",
    hashOf(sweep).slice(0, 12),
    ...(threads === undefined ? [] : ["--threads", String(threads)]),
  ];
  const lines = [
    "#!/bin/bash",
    `# Written by qdg ${VERSION}: ${sweep.jobs.length} jobs of a sweep. What is done is not run again, so this may be`,
    "# given to sbatch once more; jobs go on from their checkpoints.",
    ...directives.map(([option, value]) => `#SBATCH --${option}${value === null ? "" : `=${value}`}`),
    "set -eu",
    // Signals of Slurm come to the shell, and so to the command that takes its place.
    `exec ${command.map(shellWord).join(" ")} --only "$SLURM_ARRAY_TASK_ID"`,
  ];
  return `${lines.join("\n")}\n`;
}

/** Slurm takes directives apart in a way of its own, so they hold nothing that it could take for its own. */
function directiveWord(text: string, option: string): string {
  if (/^[\w./+@:=,%-]+$/.test(text)) return text;
  throw new QdgError(
    "usage",
    option,
    `got "${text}", which #SBATCH cannot be told safely; expected letters, digits and ./+@:=,%_-`,
  );
}
