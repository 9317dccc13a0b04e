// How much faster the engine is than ONNX Runtime on WebAssembly, on the float32 export and on the same integer file.

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { runtimeOf, type Session } from "qdg";
import { interleavedTimesMs } from "../interleaved.js";
import {
  type Bits,
  bitsName,
  exported,
  type FileOptions,
  type NetworkName,
  openNetwork,
} from "../networks.js";
import type { Part, PartContext } from "../part.js";
import { type Row, skippedRow } from "../row.js";
import { quartiles, speedup, spread } from "../statistics.js";

const WARM_UP_RUNS = 20;
const ROUNDS = 31;
const PRECISIONS: readonly Bits[] = [
  [8, 8],
  [4, 8],
  [3, 8],
];

interface Case {
  readonly name: NetworkName;
  /** Least speed-up over float32: with sums of four products exact, and with none of relaxed SIMD. */
  readonly unsigned: number;
  readonly plain: number;
  /** Over the same integers on ONNX Runtime, with sums of four products exact. */
  readonly integers: number;
}

const CASES: readonly Case[] = [
  { name: "mobilenet-v2-0.35", unsigned: 6, plain: 3, integers: 12 },
  { name: "darknet-tiny", unsigned: 5, plain: 2, integers: 3.5 },
  { name: "resnet-18", unsigned: 5.5, plain: 2, integers: 3.5 },
  { name: "efficientnet-lite0", unsigned: 5, plain: 2.5, integers: 5 },
];
/** Over float32 at 4 bits and fewer, where sums of two products are exact. */
const SATURATING = 3.5;
/** Processes that load the smallest network, and the most milliseconds from its bytes to its first result. */
const STARTS = 15;
const MOST_FIRST_MS = 60;
const FIRST_RESULT = fileURLToPath(new URL("../first-result.js", import.meta.url));

export const enginePart: Part = {
  title: "The engine against ONNX Runtime on WebAssembly",
  method: () =>
    `In Node ${process.versions.node}, one thread, batch of 1, ${WARM_UP_RUNS} warm-up runs, then ${ROUNDS} rounds in which every file runs once on each runtime, each round in another order. Value: median over rounds of ONNX Runtime's time / the engine's, so more is better; brackets: quartiles; times likewise. What relaxed SIMD is on the machine is told after the engine's version: bars are those of its class. Node 20 has none of it. Last: milliseconds of a new process from the bytes of a file to the first result, median of ${STARTS}.`,
  async run(context) {
    const rows: Row[] = [];
    for (const each of CASES) rows.push(...(await engineRows(each, context)));
    rows.push(await firstResultRow(context));
    return rows;
  },
};

/** From the bytes of the smallest network's file to its first result, each time in a new process. */
async function firstResultRow({ code, reporter, smoke }: PartContext): Promise<Row> {
  const name = "mobilenet-v2-0.35";
  const title = `${name} ${bitsName([4, 8])} from bytes to its first result`;
  const network = await openNetwork(name);
  if ("missing" in network) return skippedRow(title, "", network.missing);
  const { path } = await exported(network, fileOptions([4, 8]), code, reporter);
  reporter.say(title);
  const times: number[] = [];
  for (let start = 0; start < (smoke ? 1 : STARTS); start++) {
    const { stdout } = await promisify(execFile)(process.execPath, [FIRST_RESULT, path]);
    times.push(Number(stdout));
  }
  const found = quartiles(times);
  return {
    name: title,
    value: `${spread(found, 0)} ms`,
    bar: `<= ${MOST_FIRST_MS} ms`,
    reached: found.median <= MOST_FIRST_MS ? "yes" : "no",
    detail: `${times.length} processes, the quickest ${Math.min(...times).toFixed(0)} ms; code is loaded and the file read before`,
  };
}

/** Which integers the weights are makes no difference to the time. */
function fileOptions([weightBits, activationBits]: Bits): FileOptions {
  return {
    weightBits,
    activationBits,
    calibrationCount: 8,
    heldOutCount: 0,
    form: "integer",
    ptq: "nearest",
  };
}

async function engineRows(each: Case, { code, reporter, smoke }: PartContext): Promise<Row[]> {
  const network = await openNetwork(each.name);
  if ("missing" in network) return [skippedRow(each.name, "", network.missing)];
  const [engine, wasm] = await Promise.all([runtimeOf("engine"), runtimeOf("wasm")]);
  const probed = await engine.probe();
  if (!probed.available) return [skippedRow(each.name, "", probed.reason)];
  const float = await exported(network, { float: true }, code, reporter);
  const rows: Row[] = [];
  for (const bits of PRECISIONS) {
    const { path } = await exported(network, fileOptions(bits), code, reporter);
    reporter.say(`engine ${each.name} ${bitsName(bits)}`);
    const sessions: Session[] = [];
    try {
      for (const [runtime, file] of [
        [engine, path],
        [wasm, float.path],
        [wasm, path],
      ] as const) {
        sessions.push(await runtime.open({ path: file }, { threads: 1 }));
      }
      const [own = [], real = [], integers = []] = await interleavedTimesMs(sessions, {
        warmUpRuns: smoke ? 1 : WARM_UP_RUNS,
        rounds: smoke ? 3 : ROUNDS,
      });
      const title = `${each.name} ${bitsName(bits)}`;
      const [least, leastIntegers] = barsOf(each, bits[0], probed.version);
      rows.push(
        row(`${title} against float32`, least, real, own, probed.version),
        row(`${title} against the same integers`, leastIntegers, integers, own, probed.version),
      );
    } finally {
      for (const session of sessions) await session.dispose();
    }
  }
  return rows;
}

function barsOf(
  { unsigned, plain, integers }: Case,
  weightBits: number,
  version: string,
): readonly [number, number | null] {
  if (version.endsWith("unsigned")) return [unsigned, integers];
  return [version.endsWith("saturating") && weightBits <= 4 ? SATURATING : plain, null];
}

function row(
  name: string,
  least: number | null,
  peer: readonly number[],
  own: readonly number[],
  version: string,
): Row {
  const ratio = speedup(peer, own);
  return {
    name,
    value: `${spread(ratio, 2)} x`,
    bar: least === null ? "" : `>= ${least} x`,
    reached: least === null ? "-" : ratio.median >= least ? "yes" : "no",
    detail: `ONNX Runtime ${spread(quartiles(peer), 1)} ms, ${version} ${spread(quartiles(own), 1)} ms`,
  };
}
