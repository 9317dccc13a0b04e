// `npm run bench:generalization [-- --seeds 3 --methods ... --bits 3,4 --test-domain ... --steps n]`: trains every method
// with every seed on digits-dg with one domain held out, and prints mean and spread. Resumable: runs that are
// finished are in bench/results/generalization.jsonl, one that was stopped goes on from its checkpoint.

import { execFileSync } from "node:child_process";
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type WholeDomain, wholeDomainParity } from "./trained-parity.js";
import { CACHE_FOLDER, environment, PACKAGE_FOLDER, RESULTS_FOLDER, SHARED_FOLDER } from "./environment.js";

const METHODS = ["erm", "sagm", "lsq", "lsq-sagm", "gaqat"];
const RESULTS = join(RESULTS_FOLDER, "generalization.jsonl");
const TABLE = join(RESULTS_FOLDER, "generalization.md");
/** Quotes the table between two markers. */
const DOCS = join(PACKAGE_FOLDER, "docs", "training.md");

/** What a run was asked, as the table groups runs: all but the seed. */
interface Setting {
  readonly method: string;
  /** null: full precision. */
  readonly bits: number | null;
  readonly testDomain: string;
  readonly steps: number;
  readonly imageSize: number;
  /** Options beyond the standard ones, as given. */
  readonly extra: string;
}

interface Result extends Setting {
  readonly seed: number;
  /** Shares of images: validation images of the sources, and all of the domain that is held out. */
  readonly validation: number;
  readonly heldOut: number;
  readonly keptStep: number;
  /** Of the exported file, over the domain that is held out; null in full precision. */
  readonly parity: WholeDomain | null;
  readonly backend: string;
  readonly code: string;
  readonly time: string;
}

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

/** The standard settings: digits must not be flipped, and are far from what a network is pretrained on. */
const OPTIONS = ["--model", "resnet8", "--augmentation", "no-flip", "--batch-size", "32"];

function results(): Result[] {
  if (!existsSync(RESULTS)) return [];
  const lines = readFileSync(RESULTS, "utf8").split("\n").filter(Boolean);
  return lines.map((line) => JSON.parse(line) as Result);
}

function sameSetting(a: Setting, b: Setting): boolean {
  const key = ({ method, bits, testDomain, steps, imageSize, extra }: Setting): string =>
    JSON.stringify([method, bits, testDomain, steps, imageSize, extra]);
  return key(a) === key(b);
}

async function run(setting: Setting, seed: number, threads: string): Promise<void> {
  if (results().some((result) => result.seed === seed && sameSetting(result, setting))) return;
  const { method, bits, testDomain, steps, imageSize, extra } = setting;
  const name = [method, bits ?? "float", testDomain, imageSize, steps, seed, extra]
    .join("-")
    .replaceAll(/[^\w.-]+/g, "_");
  const data = join(SHARED_FOLDER, "data", "digits-dg");
  const out = join(CACHE_FOLDER, "generalization", name);
  const begun = existsSync(join(out, "checkpoint.bin"));
  const asked = begun
    ? ["--resume"]
    : [
        "--data",
        data,
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
        ...OPTIONS,
        ...(bits === null ? [] : ["--bits", String(bits)]),
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
  const result: Result = {
    ...setting,
    seed,
    validation: mean(sources.map(({ validation }) => validation ?? Number.NaN)),
    heldOut: mean(test.map(({ all }) => all ?? Number.NaN)),
    keptStep: kept.step,
    parity: bits === null ? null : await wholeDomainParity(out, data, testDomain, imageSize),
    backend,
    code: (await environment()).code,
    time: new Date().toISOString(),
  };
  appendFileSync(RESULTS, `${JSON.stringify(result)}\n`);
  writeTable();
}

function writeTable(): void {
  const all = results();
  const settings = all.filter((result, i) => all.findIndex((other) => sameSetting(other, result)) === i);
  const rows = settings.map((setting) => {
    const runs = all.filter((result) => sameSetting(result, setting));
    const { testDomain, method, bits, steps, imageSize, extra } = setting;
    return `| ${[
      testDomain,
      method + (extra && ` \`${extra}\``),
      bits ?? "float",
      imageSize,
      steps,
      runs.length,
      spread(runs.map(({ validation }) => validation)),
      spread(runs.map(({ heldOut }) => heldOut)),
      differences(runs),
    ].join(" | ")} |`;
  });
  const head = [
    "held out",
    "method",
    "bits",
    "px",
    "steps",
    "seeds",
    "source validation, %",
    "held-out domain, %",
    "elements that differ in the file",
  ];
  const lines = [`| ${head.join(" | ")} |`, `|${head.map(() => "---|").join("")}`, ...rows];
  const table = `${lines.join("\n")}\n`;
  writeFileSync(TABLE, table);
  const docs = readFileSync(DOCS, "utf8");
  const quoted = docs.replace(
    /(<!-- generalization -->\n)[^]*(<!-- \/generalization -->)/,
    (_, begin: string, end: string) => `${begin}\n${table}\n${end}`,
  );
  writeFileSync(DOCS, quoted);
}

/** On cpu and wasm together, over all seeds. */
function differences(runs: readonly Result[]): string {
  const found = runs.flatMap(({ parity }) => (parity ? [parity] : []));
  if (found.length === 0) return "";
  const differ = found.flatMap((parity) => Object.values(parity.differ)).reduce((sum, n) => sum + n, 0);
  const elements = found.reduce(
    (sum, { elements: n, differ: targets }) => sum + n * Object.keys(targets).length,
    0,
  );
  return `${differ} of ${elements.toLocaleString("en")}`;
}

/** "81.2 ± 1.3": mean and standard deviation over seeds (n - 1), in percent. */
function spread(shares: readonly number[]): string {
  const m = mean(shares);
  const variance = shares.reduce((sum, x) => sum + (x - m) ** 2, 0) / (shares.length - 1);
  return shares.length < 2
    ? (100 * m).toFixed(1)
    : `${(100 * m).toFixed(1)} ± ${(100 * Math.sqrt(variance)).toFixed(1)}`;
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
}

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "0,1,2" },
    methods: { type: "string", default: METHODS.join(",") },
    bits: { type: "string", default: "3" },
    "test-domain": { type: "string", default: "mnist_m" },
    steps: { type: "string", default: "2000" },
    "image-size": { type: "string", default: "16" },
    extra: { type: "string", default: "" },
    /** Threads of the native library, for several of these at once. */
    threads: { type: "string", default: "" },
  },
});
if (!existsSync(join(SHARED_FOLDER, "data", "digits-dg"))) {
  process.stderr.write(`skipped: digits-dg is not in ${join(SHARED_FOLDER, "data")}\n`);
  process.exitCode = 77;
} else {
  for (const seed of values.seeds.split(",").map(Number)) {
    for (const method of values.methods.split(",")) {
      const isFloat = ["erm", "sam", "sagm"].includes(method);
      for (const bits of isFloat ? [null] : values.bits.split(",").map(Number)) {
        const setting = {
          method,
          bits,
          testDomain: values["test-domain"],
          steps: Number(values.steps),
          imageSize: Number(values["image-size"]),
          extra: values.extra,
        };
        await run(setting, seed, values.threads);
      }
    }
  }
  writeTable();
  process.stdout.write(readFileSync(TABLE, "utf8"));
}
