// `npm run bench [-- parts] [--images n]`: measures the numbers that qdg must reach and prints them as tables.
// Parts: size, parity, agreement, latency, training, export; all of them when none is named. Exit code 1 when a bar is
// missed, 2 for wrong usage.

import { parseArgs } from "node:util";
import { environment, RESULTS_FOLDER } from "./environment.js";
import type { Part } from "./part.js";
import { agreementPart } from "./parts/agreement.js";
import { exportPart } from "./parts/export.js";
import { latencyPart } from "./parts/latency.js";
import { parityPart } from "./parts/parity.js";
import { trainingPart } from "./parts/training.js";
import { sizePart } from "./parts/size.js";
import { Reporter } from "./reporter.js";
import { type PartResult, saveRun, section } from "./results.js";
import { missedBars, type Row } from "./row.js";

/** In the order in which they run: those that take long last. */
const PARTS: Readonly<Record<string, Part>> = {
  size: sizePart,
  export: exportPart,
  latency: latencyPart,
  training: trainingPart,
  agreement: agreementPart,
  parity: parityPart,
};
const DEFAULT_IMAGES = 100;

interface Arguments {
  readonly parts: readonly string[];
  readonly images: number;
}

function argumentsOf(argv: readonly string[]): Arguments {
  const { values, positionals } = parseArgs({
    args: [...argv],
    options: { images: { type: "string" } },
    allowPositionals: true,
  });
  const unknown = positionals.find((name) => !Object.hasOwn(PARTS, name));
  if (unknown !== undefined) {
    throw new Error(`got part "${unknown}", expected ${Object.keys(PARTS).join(", ")}`);
  }
  const images = Number(values.images ?? process.env["BENCH_IMAGES"] ?? DEFAULT_IMAGES);
  if (!Number.isInteger(images) || images < 2) {
    throw new Error(
      `--images: got ${values.images ?? process.env["BENCH_IMAGES"]}, expected an integer >= 2`,
    );
  }
  const parts = Object.keys(PARTS).filter((name) => positionals.length === 0 || positionals.includes(name));
  return { parts, images };
}

async function main({ parts, images }: Arguments): Promise<readonly Row[]> {
  const reporter = new Reporter();
  const where = await environment();
  const context = { code: where.code, images, reporter };
  const missed: Row[] = [];
  for (const name of parts) {
    const part = PARTS[name] as Part;
    reporter.say(`${name}: ${part.title}`);
    const rows = await part.run(context);
    const result: PartResult = { part: name, title: part.title, method: part.method(context), rows };
    const run = { time: new Date().toISOString(), ...where, parts: [result] };
    // Part by part, so that an interrupted run has left what it measured.
    await saveRun(RESULTS_FOLDER, run, Object.keys(PARTS));
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
