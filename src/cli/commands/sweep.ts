// `qdg sweep`: many training runs from one file, on this machine, on others by way of Redis, or on a cluster, and the
// table of what they have come to. What trains is loaded in processes of its own, never here.

import { Command, Option } from "commander";
import { QdgError } from "../../base/error.js";
import { METHOD_NAMES } from "../../train/methods/methods.js";
import type { Engine, EngineContext, EngineSettings } from "../../sweep/engines/engine.js";
import { ENGINES } from "../../sweep/engines/engines.js";
import { runOne } from "../../sweep/engines/local.js";
import { runSweep, type SweepResult } from "../../sweep/run-sweep.js";
import { jobState } from "../../sweep/job-record.js";
import { resolvedOptions, type Sweep } from "../../sweep/job.js";
import { jobAt, readSweep } from "../../sweep/sweep-file.js";
import { trainCommandLine } from "../../sweep/train-arguments.js";
import type { SweepTable } from "../../train/report/sweep-table.js";
import { interruptible } from "../interruption.js";
import { integer, oneOf } from "../option-parsers.js";
import { GRACE_MS, REDIS_VARIABLE, redisUrl } from "../sweep-options.js";
import { SweepProgress } from "../sweep-progress.js";
import { tellSupervisor } from "../tell-supervisor.js";
import { formatTable } from "../table.js";
import { tell, type Terminal } from "../terminal.js";
import { QDG_COMMAND, trainProcess } from "../train-process.js";
import { join } from "node:path";

interface Flags extends EngineSettings {
  readonly out?: string;
  readonly engine: string;
  readonly jobs: number;
  readonly threads?: number;
  readonly dryRun?: boolean;
  readonly only?: number;
  readonly ifHash?: string;
  readonly baseline?: string;
  readonly json?: boolean;
}

const EXAMPLES = `
A sweep file:
  { "options": { "data": "../PACS", "steps": 1500, "model": "mobilenet/model.json", "imageSize": 64 },
    "grid": { "method": ["lsq", "gaqat"], "testDomain": ["sketch", "cartoon"], "bits": [3, 4], "seed": [0, 1, 2] } }

Examples:
  qdg sweep pacs.json --dry-run
  qdg sweep pacs.json --out runs/pacs --jobs 2
  qdg sweep pacs.json --out runs/pacs --engine bullmq --redis redis://host:6379
  qdg sweep pacs.json --out runs/pacs --engine slurm -o pacs.sbatch --time 4h --memory 8G --cpus 4
  qdg report runs/pacs -o pacs.html

Keys are options of qdg train as run.json has them. The same command again goes on with what is not finished.`;

/** What the first Ctrl-C means. */
const STOPS: Readonly<Record<string, string>> = {
  local: "stops: jobs finish their step and save a checkpoint; once more stops at once",
  bullmq: "stops waiting for results",
};

const ELSEWHERE = "Other machines:";

export function sweepCommand(terminal: Terminal = process): Command {
  const engines = ENGINES.map(({ name, help }) => `${name} (${help})`).join(", ");
  return new Command("sweep")
    .description("train methods x domains x seeds x options from one file, and compare them")
    .argument("<file>", "sweep file: JSON with options and a grid of options")
    .option("--out <folder>", "run folders are written below it")
    .option("--dry-run", "check the file and list its jobs, as JSON with --json")
    .addOption(
      new Option("--engine <name>", engines).default("local").argParser(
        oneOf(
          "--engine",
          ENGINES.map(({ name }) => name),
        ),
      ),
    )
    .addOption(new Option("--jobs <n>", "jobs at once").default(1).argParser(integer("--jobs", 1)))
    .addOption(
      new Option("--threads <n>", "threads that prepare images, of each job").argParser(
        integer("--threads", 0),
      ),
    )
    .addOption(
      new Option("--baseline <method>", "compare methods with this one (default: the first)").argParser(
        oneOf("--baseline", METHOD_NAMES),
      ),
    )
    .option("--json", "print the table as JSON on stdout")
    .addOption(new Option("--only <index>", "run one job by its index").argParser(integer("--only", 0)))
    .option("--if-hash <hash>", "refuse a sweep file whose jobs have another hash")
    .addOption(
      new Option("--redis <url>", `bullmq: where Redis is, or ${REDIS_VARIABLE}`).helpGroup(ELSEWHERE),
    )
    .addOption(
      new Option("--queue <name>", "bullmq: qdg work of this name (default: qdg)").helpGroup(ELSEWHERE),
    )
    .addOption(new Option("-o, --output <file>", "slurm, kubernetes: file to write").helpGroup(ELSEWHERE))
    .addOption(new Option("--force", "slurm, kubernetes: replace the file").helpGroup(ELSEWHERE))
    .addOption(
      new Option("--cpus <n>", "slurm, kubernetes: cores of a job")
        .argParser(integer("--cpus", 1))
        .helpGroup(ELSEWHERE),
    )
    .addOption(new Option("--memory <size>", "slurm, kubernetes: of a job, as 4G").helpGroup(ELSEWHERE))
    .addOption(new Option("--time <time>", "slurm, kubernetes: of a job, as 90m or 2h").helpGroup(ELSEWHERE))
    .addOption(new Option("--partition <name>", "slurm: where the jobs run").helpGroup(ELSEWHERE))
    .addOption(new Option("--image <name>", "kubernetes: an image that has qdg").helpGroup(ELSEWHERE))
    .addOption(
      new Option(
        "--volume <claim:path>",
        "kubernetes: the claim that holds this folder, and its path in a pod",
      ).helpGroup(ELSEWHERE),
    )
    .addOption(new Option("--namespace <name>", "kubernetes: namespace of the Job").helpGroup(ELSEWHERE))
    .addHelpText("after", EXAMPLES)
    .action((file: string, flags: Flags) => sweepFile(file, flags, terminal));
}

async function sweepFile(file: string, flags: Flags, terminal: Terminal): Promise<void> {
  const engine = ENGINES.find(({ name }) => name === flags.engine) as Engine;
  checkSettings(engine, flags);
  const sweep = await readSweep(file);
  if (flags.dryRun) {
    list(sweep, flags, terminal);
    return;
  }
  const { out } = flags;
  if (out === undefined)
    throw new QdgError(
      "usage",
      "--out",
      "got nothing, expected the folder of the runs; --dry-run needs none",
    );
  if (flags.ifHash !== undefined) jobAt(sweep, 0, file, flags.ifHash);
  const observer = new SweepProgress(terminal.stderr);
  const context = (signal: AbortSignal): EngineContext => ({
    sweep,
    path: file,
    out,
    jobs: flags.jobs,
    ...(flags.threads !== undefined && { threads: flags.threads }),
    settings: engine.name === "bullmq" ? { ...flags, redis: redisUrl(flags.redis) } : flags,
    program: QDG_COMMAND,
    runTrain: trainProcess,
    observer,
    signal,
  });
  tellSupervisor({ graceMs: GRACE_MS });
  const { result, exitCode } = await interruptible(
    (signal) =>
      flags.only === undefined
        ? runSweep({
            ...context(signal),
            engine: engine.name,
            ...(flags.baseline !== undefined && { baseline: flags.baseline }),
          })
        : runIndex(context(signal), flags),
    () => observer.note(STOPS[engine.name] ?? "stops"),
  );
  for (const path of result.files) tell(terminal.stderr, `${path}: written\n`);
  if (result.next !== undefined) tell(terminal.stderr, `${result.next}\n`);
  if (result.files.length === 0 && flags.only === undefined) await showTable(result, out, flags, terminal);
  if (result.stopped) {
    tell(terminal.stderr, "stopped; the same command goes on\n");
    terminal.exitCode = exitCode ?? 1;
  } else if (result.failed > 0) {
    tell(
      terminal.stderr,
      `${result.failed} of ${sweep.jobs.length} jobs failed; the same command tries them again\n`,
    );
    terminal.exitCode = 1;
  }
}

/** What says nothing to an engine was meant for another one. */
function checkSettings({ name, settings }: Engine, flags: Flags): void {
  const all = new Set(ENGINES.flatMap((engine) => engine.settings));
  for (const setting of all) {
    if (flags[setting] === undefined || settings.includes(setting)) continue;
    const of = ENGINES.filter((engine) => engine.settings.includes(setting)).map((engine) => engine.name);
    throw new QdgError(
      "usage",
      `--${setting}`,
      `is for --engine ${of.join(" and ")}, got --engine ${name}; leave it out`,
    );
  }
  if (flags.only !== undefined && name !== "local")
    throw new QdgError("usage", "--only", `runs a job here, got --engine ${name}; leave one out`);
}

function list(sweep: Sweep, { out, json = false }: Flags, { stdout, stderr }: Terminal): void {
  const jobs = sweep.jobs.map(({ index, name, options }) => ({
    index,
    name,
    command: trainCommandLine(resolvedOptions(options, sweep.base), join(out ?? sweep.name, name)),
    options,
  }));
  if (json) {
    stdout.write(`${JSON.stringify({ name: sweep.name, jobs })}\n`);
    return;
  }
  for (const { index, name, command } of jobs) stdout.write(`${index}  ${name}\n   ${command}\n`);
  tell(stderr, `${jobs.length} jobs\n`);
}

/** Of an array of jobs each has the index of its own. */
async function runIndex(context: EngineContext, { only = 0, ifHash }: Flags): Promise<SweepResult> {
  const { sweep, path, out, observer } = context;
  const job = jobAt(sweep, only, path, ifHash);
  const state = await jobState(join(out, job.name), job);
  observer.planned(1, state === "finished" ? 1 : 0);
  const ended = state === "finished" ? state : await runOne(context, job, state);
  return {
    finished: ended === "finished" ? 1 : 0,
    failed: ended === "failed" ? 1 : 0,
    stopped: ended === "stopped",
    files: [],
    table: null,
  };
}

async function showTable(
  { table }: SweepResult,
  out: string,
  { json = false }: Flags,
  terminal: Terminal,
): Promise<void> {
  if (json) terminal.stdout.write(`${JSON.stringify(table)}\n`);
  else if (table) tell(terminal.stdout, await tableText(table));
  for (const note of table?.notes ?? []) tell(terminal.stderr, `note: ${note}\n`);
  if (table) tell(terminal.stderr, `with curves: qdg report ${out} -o report.html\n`);
}

async function tableText(table: SweepTable): Promise<string> {
  const { accuracyTexts, differenceTexts } = await import("../../train/report/sweep-texts.js");
  return [accuracyTexts(table), differenceTexts(table)]
    .filter((texts) => texts !== null)
    .map(({ caption, header, rows }) => `\n${caption}\n\n${formatTable(header, rows)}\n`)
    .join("");
}
