// What a second thread gains in a browser whose page is cross-origin isolated.

import { runtimeOf, type Session } from "qdg";
import { interleavedTimesMs } from "../interleaved.js";
import { bitsName, exported, type FileOptions, type NetworkName, openNetwork } from "../networks.js";
import type { Part, PartContext } from "../part.js";
import { type Row, skippedRow } from "../row.js";
import { quartiles, speedup, spread } from "../statistics.js";

const NETWORKS: readonly NetworkName[] = ["resnet-18", "mobilenet-v2-0.35"];
const BITS = [
  [8, 8],
  [4, 8],
] as const;
const THREADS = 2;
/** WebAssembly is compiled in two steps, the second one while it runs. */
const WARM_UP_RUNS = 15;
const ROUNDS = 31;

export const threadsPart: Part = {
  title: "WebAssembly with two threads against one, in a browser",
  method: () =>
    `\`browser-wasm\`: a page that is cross-origin isolated, one for each number of threads; batch of 1, ${WARM_UP_RUNS} warm-up runs, then ${ROUNDS} rounds in which each runs once, in alternating order. Value: median over rounds of the time with one thread / that with ${THREADS}; brackets: quartiles. Times include passing tensors to the page and back, a few milliseconds.`,
  async run(context) {
    const rows: Row[] = [];
    for (const name of context.smoke ? NETWORKS.slice(1) : NETWORKS)
      rows.push(...(await threadsRows(name, context)));
    return rows;
  },
};

async function threadsRows(name: NetworkName, context: PartContext): Promise<Row[]> {
  const { code, reporter, smoke } = context;
  const network = await openNetwork(name);
  if ("missing" in network) return [skippedRow(name, "", network.missing)];
  const runtime = await runtimeOf("browser-wasm");
  const available = await runtime.probe();
  if (!available.available) return [skippedRow(name, "", available.reason)];
  const files: Readonly<Record<string, FileOptions>> = {
    float32: { float: true },
    ...Object.fromEntries(
      BITS.map((bits) => {
        const [weightBits, activationBits] = bits;
        const counts = { calibrationCount: 8, heldOutCount: 0 };
        return [bitsName(bits), { weightBits, activationBits, targets: ["wasm"] as const, ...counts }];
      }),
    ),
  };
  const rows: Row[] = [];
  for (const [precision, options] of Object.entries(files)) {
    const { path } = await exported(network, options, code, reporter);
    reporter.say(`threads ${name}, ${precision}`);
    const sessions: Session[] = [];
    try {
      for (const threads of [1, THREADS]) sessions.push(await runtime.open({ path }, { threads }));
      const rounds = { warmUpRuns: smoke ? 1 : WARM_UP_RUNS, rounds: smoke ? 3 : ROUNDS };
      const [one = [], two = []] = await interleavedTimesMs(sessions, rounds);
      rows.push({
        name: `${name}, ${precision}`,
        value: `${spread(speedup(one, two), 2)} x`,
        bar: "",
        reached: "-",
        detail: `one thread ${spread(quartiles(one), 1)} ms, ${THREADS} threads ${spread(quartiles(two), 1)} ms; ${available.version}`,
      });
    } finally {
      for (const session of sessions) await session.dispose();
    }
  }
  return rows;
}
