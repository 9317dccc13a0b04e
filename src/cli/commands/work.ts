// `qdg work`: trains jobs that a `qdg sweep --engine bullmq` has put into Redis, on as many machines as run it.

import { Command, Option } from "commander";
import { QdgError } from "../../base/error.js";
import type { WorkObserver, WorkOptions } from "../../sweep/queue/work.js";
import { interruptible } from "../interruption.js";
import { integer } from "../option-parsers.js";
import { GRACE_MS, REDIS_VARIABLE, redisUrl } from "../sweep-options.js";
import { tellSupervisor } from "../tell-supervisor.js";
import { tell, type Terminal } from "../terminal.js";
import { trainProcess } from "../train-process.js";

interface Flags {
  readonly redis?: string;
  readonly queue?: string;
  readonly jobs: number;
  readonly threads?: number;
  readonly folder: string;
  readonly base?: string;
  readonly cache?: string;
  readonly lock: number;
  readonly untilEmpty?: boolean;
}

const EXAMPLES = `
Examples:
  qdg work --redis redis://host:6379
  qdg work --redis redis://host:6379 --base /mnt/images --jobs 2

A worker may be stopped or killed at any time: another one goes on from the last checkpoint.`;

export function workCommand(terminal: Terminal = process): Command {
  return new Command("work")
    .description("train jobs of sweeps that wait in Redis")
    .option("--redis <url>", `where Redis is, or ${REDIS_VARIABLE} in the environment`)
    .option("--queue <name>", "of sweeps with this --queue (default: qdg)")
    .addOption(new Option("--jobs <n>", "jobs at once").default(1).argParser(integer("--jobs", 1)))
    .addOption(
      new Option("--threads <n>", "threads that prepare images, of each job").argParser(
        integer("--threads", 0),
      ),
    )
    .option("--folder <folder>", "where runs lie while they are trained", "qdg-work")
    .option(
      "--base <folder>",
      "what relative paths of a sweep are relative to here (default: the sweep file's folder)",
    )
    .option("--cache <folder>", "where decoded images are kept, or none")
    .addOption(
      new Option("--lock <seconds>", "a worker that is silent for as long loses its jobs to another one")
        .default(30)
        .argParser(lockSeconds),
    )
    .option("--until-empty", "end once no job waits or runs")
    .addHelpText("after", EXAMPLES)
    .action(async (flags: Flags) => {
      const { stderr } = terminal;
      const say = (line: string): void => tell(stderr, `${line}\n`);
      const observer: WorkObserver = {
        note: (text) => say(`note: ${text}`),
        listening: (shown) => say(`waits for jobs at ${shown}`),
        started: (name, goesOn) => say(`${name}: ${goesOn ? "goes on" : "begins"}`),
        ended: (name, end) =>
          say(`${name}: ${end.state === "failed" ? `FAILED: ${end.message}` : end.state}`),
      };
      const options: Omit<WorkOptions, "signal"> = {
        redis: redisUrl(flags.redis),
        ...(flags.queue !== undefined && { queue: flags.queue }),
        jobs: flags.jobs,
        ...(flags.threads !== undefined && { threads: flags.threads }),
        folder: flags.folder,
        ...(flags.base !== undefined && { base: flags.base }),
        ...(flags.cache !== undefined && { cache: flags.cache }),
        lockSeconds: flags.lock,
        untilEmpty: flags.untilEmpty === true,
        runTrain: trainProcess,
        observer,
      };
      tellSupervisor({ graceMs: GRACE_MS });
      const { work } = await import("../../sweep/queue/work.js");
      const { exitCode } = await interruptible(
        (signal) => work({ ...options, signal }),
        () =>
          observer.note("stops: jobs save a checkpoint and go back into the queue; once more stops at once"),
      );
      if (exitCode !== null) terminal.exitCode = exitCode;
    });
}

/** Renewed every half of it: a shorter one is lost to a busy machine. */
function lockSeconds(text: string): number {
  const seconds = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && seconds >= 1 && seconds <= 3600) return seconds;
  throw new QdgError("usage", "--lock", `got "${text}", expected seconds from 1 to 3600`);
}
