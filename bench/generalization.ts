// `npm run bench:generalization [-- --data PACS --seeds 0,1,2 --methods erm,lsq --bits W3A8,W4A4 ...]`: trains every method
// with every seed on a set of several domains with one held out, and prints mean and spread. Resumable: runs that are
// finished are in bench/results/generalization.jsonl, one that was stopped goes on from its checkpoint.

import { execFileSync } from "node:child_process";
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { CACHE_FOLDER, environment, PACKAGE_FOLDER, RESULTS_FOLDER } from "./environment.js";
import { SET_NAMES, SETS } from "./generalization-sets.js";
import { runConflict } from "./generalization-conflict.js";
import { generalizationTables, withTables } from "./generalization-docs.js";
import { mean, type Result, sameSetting, type Setting } from "./generalization-table.js";
import { wholeDomainParity } from "./trained-parity.js";

const METHODS = ["erm", "sagm", "lsq", "lsq-sagm", "gaqat", "fqat"];
const FLOAT_METHODS = ["erm", "sam", "sagm", "gradient-l1"];
const RESULTS = join(RESULTS_FOLDER, "generalization.jsonl");
const TABLE = join(RESULTS_FOLDER, "generalization.md");
/** Quote tables between two markers. */
const DOCS = ["training.md", "gaqat.md"].map((name) => join(PACKAGE_FOLDER, "docs", name));
/** The others would say the same again. */
const COMPARED_SEED = 0;

interface TrainJson {
  readonly backend: string;
  readonly kept: {
    readonly step: number;
    readonly domains: readonly {
      readonly role: "source" | "test";
      readonly validation: number | null;
      readonly all: number | null;
    }[];
  };
}

function results(): Result[] {
  if (!existsSync(RESULTS)) return [];
  const lines = readFileSync(RESULTS, "utf8").split("\n").filter(Boolean);
  return lines.map((line) => JSON.parse(line) as Result);
}

async function run(setting: Setting, seed: number, threads: string): Promise<void> {
  if (results().some((result) => result.seed === seed && sameSetting(result, setting))) return;
  const { data, method, bits, testDomain, steps, imageSize, extra } = setting;
  const { folder, options } = SETS[data];
  const name = [data, method, bits ?? "float", testDomain, imageSize, steps, seed, extra]
    .join("-")
    .replaceAll(/[^\w.-]+/g, "_");
  const out = join(CACHE_FOLDER, "generalization", name);
  const begun = existsSync(join(out, "checkpoint.bin"));
  const asked = begun
    ? ["--resume"]
    : [
        "--data",
        folder,
        "--test-domain",
        testDomain,
        "--method",
        method,
        "--steps",
        String(steps),
        "--seed",
        String(seed),
        "--image-size",
        String(imageSize),
        ...options,
        ...(bits === null ? [] : bitsOptions(bits)),
        ...extra.split(" ").filter(Boolean),
      ];
  process.stderr.write(`${begun ? "going on with" : "training"} ${name}\n`);
  const main = join(PACKAGE_FOLDER, "dist", "cli", "main.js");
  const text = execFileSync(process.execPath, [main, "train", "--out", out, ...asked, "--json"], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
    env: { ...process.env, ...(threads && { OMP_NUM_THREADS: threads, TF_NUM_INTRAOP_THREADS: threads }) },
  });
  const { kept, backend } = JSON.parse(text) as TrainJson;
  const sources = kept.domains.filter(({ role }) => role === "source");
  const test = kept.domains.filter(({ role }) => role === "test");
  const isCompared = bits !== null && seed === COMPARED_SEED;
  const result: Result = {
    ...setting,
    seed,
    validation: mean(sources.map(({ validation }) => validation ?? Number.NaN)),
    heldOut: mean(test.map(({ all }) => all ?? Number.NaN)),
    keptStep: kept.step,
    conflict: runConflict(out),
    parity: isCompared ? await wholeDomainParity(out, folder, testDomain, imageSize) : null,
    backend,
    code: (await environment()).code,
    time: new Date().toISOString(),
  };
  appendFileSync(RESULTS, `${JSON.stringify(result)}\n`);
  writeTables();
}

/** @param bits as "W3A8" */
function bitsOptions(bits: string): string[] {
  const [, weights, activations] = /^W([2-8])A([2-8])$/.exec(bits) ?? [];
  if (!weights || !activations) throw new Error(`--bits: got ${bits}, expected W3A8 or the like`);
  return weights === activations
    ? ["--bits", weights]
    : ["--weight-bits", weights, "--activation-bits", activations];
}

function writeTables(): void {
  const tables = generalizationTables(results());
  writeFileSync(TABLE, tables.map(({ name, table }) => `## ${name}\n\n${table}`).join("\n"));
  for (const page of DOCS) writeFileSync(page, withTables(readFileSync(page, "utf8"), tables));
}

const { values } = parseArgs({
  options: {
    data: { type: "string", default: "digits-dg" },
    seeds: { type: "string", default: "0,1,2" },
    methods: { type: "string", default: METHODS.join(",") },
    bits: { type: "string", default: "W3A3" },
    "test-domain": { type: "string" },
    steps: { type: "string" },
    "image-size": { type: "string" },
    extra: { type: "string", default: "" },
    /** Threads of the native library, for several of these at once. */
    threads: { type: "string", default: "" },
  },
});
const data = SET_NAMES.find((name) => name === values.data);
if (!data) throw new Error(`--data: got ${values.data}, expected ${SET_NAMES.join(" or ")}`);
if (!existsSync(SETS[data].folder)) {
  process.stderr.write(`skipped: ${data} is not at ${SETS[data].folder}\n`);
  process.exitCode = 77;
} else {
  const { testDomain, steps, imageSize } = SETS[data];
  for (const seed of values.seeds.split(",").map(Number)) {
    for (const method of values.methods.split(",")) {
      for (const bits of FLOAT_METHODS.includes(method) ? [null] : values.bits.split(",")) {
        const setting = {
          data,
          method,
          bits,
          testDomain: values["test-domain"] ?? testDomain,
          steps: values.steps === undefined ? steps : Number(values.steps),
          imageSize: values["image-size"] === undefined ? imageSize : Number(values["image-size"]),
          extra: values.extra,
        };
        await run(setting, seed, values.threads);
      }
    }
  }
  writeTables();
  process.stdout.write(readFileSync(TABLE, "utf8"));
}
