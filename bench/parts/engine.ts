// How much faster the engine is than ONNX Runtime on WebAssembly, on the float32 export and on the same integer file.

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { runtimeOf, type Session } from "qdg";
import {
  ENGINE_CASES,
  engineFileOptions,
  type EnginePlace,
  engineRows,
  ROUNDS,
  WARM_UP_RUNS,
} from "../engine-rows.js";
import { interleavedTimesMs } from "../interleaved.js";
import { bitsName, exported, openNetwork } from "../networks.js";
import type { Part, PartContext } from "../part.js";
import { type Row, skippedRow } from "../row.js";
import { quartiles, spread } from "../statistics.js";

/** Processes that load the smallest network, and the most milliseconds from its bytes to its first result. */
const STARTS = 15;
const MOST_FIRST_MS = 60;
const FIRST_RESULT = fileURLToPath(new URL("../first-result.js", import.meta.url));

export const enginePart: Part = {
  title: "The engine against ONNX Runtime on WebAssembly",
  method: () =>
    `In Node ${process.versions.node}, one thread, batch of 1, ${WARM_UP_RUNS} warm-up runs, then ${ROUNDS} rounds in which every file runs once on each runtime, each round in another order. Value: median over rounds of ONNX Runtime's time / the engine's, so more is better; brackets: quartiles; times likewise. What relaxed SIMD is on the machine is told after the engine's version: bars are those of its class. Node 20 has none of it. Last: milliseconds of a new process from the bytes of a file to the first result, median of ${STARTS}.`,
  async run(context) {
    const here = await inThisProcess(context);
    const rows: Row[] = [];
    for (const each of ENGINE_CASES) {
      rows.push(
        ...("missing" in here
          ? [skippedRow(each.name, "", here.missing)]
          : await engineRows(each, here, context)),
      );
    }
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
  const { path } = await exported(network, engineFileOptions([4, 8]), code, reporter);
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

async function inThisProcess({ smoke }: PartContext): Promise<EnginePlace | { readonly missing: string }> {
  const [engine, wasm] = await Promise.all([runtimeOf("engine"), runtimeOf("wasm")]);
  const probed = await engine.probe();
  if (!probed.available) return { missing: probed.reason };
  return {
    version: probed.version,
    nameSuffix: "",
    detailSuffix: "",
    async times(quantized, float) {
      const sessions: Session[] = [];
      try {
        for (const [runtime, file] of [
          [engine, quantized],
          [wasm, float],
          [wasm, quantized],
        ] as const) {
          sessions.push(await runtime.open({ path: file }, { threads: 1 }));
        }
        return await interleavedTimesMs(sessions, {
          warmUpRuns: smoke ? 1 : WARM_UP_RUNS,
          rounds: smoke ? 3 : ROUNDS,
        });
      } finally {
        for (const session of sessions) await session.dispose();
      }
    },
  };
}
