// `npm run bench [-- parts] [--images n] [--smoke]`: measures the numbers that qdg must reach and prints them as tables.
// Parts are those of PARTS below, "lowbits" standing for all that begin so; all of them when none is named. --smoke only
// sees that they work: few runs, nothing added to the results. Exit code 1 when a bar is missed, 2 for wrong usage.

import { parseArgs } from "node:util";
import { environment, RESULTS_FOLDER } from "./environment.js";
import type { Part } from "./part.js";
import { agreementPart } from "./parts/agreement.js";
import { browserEnginePart } from "./parts/browser-engine.js";
import { certificatePart } from "./parts/certificate.js";
import { enginePart } from "./parts/engine.js";
import { exportPart } from "./parts/export.js";
import { latencyPart } from "./parts/latency.js";
import { litertPart } from "./parts/litert.js";
import { lowbitsParts } from "./parts/lowbits.js";
import { memoryPart } from "./parts/memory.js";
import { packedPart } from "./parts/packed.js";
import { pagePart } from "./parts/page.js";
import { parityPart } from "./parts/parity.js";
import { sizePart } from "./parts/size.js";
import { threadsPart } from "./parts/threads.js";
import { trainingPart } from "./parts/training.js";
import { webgpuPart } from "./parts/webgpu.js";
import { Reporter } from "./reporter.js";
import { type PartResult, saveRun, section } from "./results.js";
import { missedBars, type Row } from "./row.js";

/** In the order in which they run: those that take long last. */
const PARTS: Readonly<Record<string, Part>> = {
  size: sizePart,
  export: exportPart,
  latency: latencyPart,
  engine: enginePart,
  "browser-engine": browserEnginePart,
  litert: litertPart,
  memory: memoryPart,
  page: pagePart,
  threads: threadsPart,
  webgpu: webgpuPart,
  packed: packedPart,
  training: trainingPart,
  agreement: agreementPart,
  ...lowbitsParts,
  certificate: certificatePart,
  parity: parityPart,
};
const DEFAULT_IMAGES = 100;
const SMOKE_IMAGES = 2;

interface Arguments {
  readonly parts: readonly string[];
  readonly images: number;
  readonly smoke: boolean;
}

function isAsked(name: string, asked: string): boolean {
  return name === asked || name.startsWith(`${asked}-`);
}

function argumentsOf(argv: readonly string[]): Arguments {
  const { values, positionals } = parseArgs({
    args: [...argv],
    options: { images: { type: "string" }, smoke: { type: "boolean", default: false } },
    allowPositionals: true,
  });
  const unknown = positionals.find((asked) => !Object.keys(PARTS).some((name) => isAsked(name, asked)));
  if (unknown !== undefined) {
    throw new Error(`got part "${unknown}", expected ${Object.keys(PARTS).join(", ")}`);
  }
  const { smoke } = values;
  const imageCount = values.images ?? process.env["BENCH_IMAGES"];
  const images = Number(imageCount ?? (smoke ? SMOKE_IMAGES : DEFAULT_IMAGES));
  if (!Number.isInteger(images) || images < 2) {
    throw new Error(`--images: got ${imageCount}, expected an integer >= 2`);
  }
  const parts = Object.keys(PARTS).filter(
    (name) => positionals.length === 0 || positionals.some((each) => isAsked(name, each)),
  );
  return { parts, images, smoke };
}

async function main({ parts, images, smoke }: Arguments): Promise<readonly Row[]> {
  const reporter = new Reporter();
  const where = await environment();
  const context = { code: where.code, images, smoke, reporter };
  const missed: Row[] = [];
  for (const name of parts) {
    const part = PARTS[name] as Part;
    reporter.say(`${name}: ${part.title}`);
    const rows = await part.run(context);
    const result: PartResult = { part: name, title: part.title, method: part.method(context, rows), rows };
    const run = { time: new Date().toISOString(), ...where, parts: [result] };
    // Part by part, so that an interrupted run has left what it measured.
    if (!smoke) await saveRun(RESULTS_FOLDER, run, Object.keys(PARTS));
    process.stdout.write(`${section(run, result)}\n`);
    missed.push(...missedBars(rows));
  }
  return missed;
}

let asked: Arguments | null = null;
try {
  asked = argumentsOf(process.argv.slice(2));
} catch (thrown) {
  process.stderr.write(`${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
  process.exitCode = 2;
}
if (asked) {
  const missed = await main(asked);
  for (const { name, value, bar } of missed) process.stderr.write(`missed: ${name}: ${value}, bar ${bar}\n`);
  if (missed.length > 0) process.exitCode = 1;
}
