// How much memory a model holds in a browser once it is loaded.

import type { CDPSession } from "playwright-core";
import { browserProgram } from "../browser-visit.js";
import { engineFileOptions } from "../engine-rows.js";
import { bitsName, exported, type NetworkName, openNetwork } from "../networks.js";
import { type BenchPage, type PageBench, startPageBench } from "../page-bench.js";
import type { Part, PartContext } from "../part.js";
import { type Row, skippedRow } from "../row.js";
import { median, quartiles, spread } from "../statistics.js";
import { bundleWeb } from "../web-bundle.js";

const STARTS = 5;
const BITS = [4, 8] as const;

interface Case {
  readonly name: NetworkName;
  readonly mostMB: number;
}

const CASES: readonly Case[] = [
  { name: "mobilenet-v2-0.35", mostMB: 6 },
  { name: "resnet-18", mostMB: 30 },
];
/** What a collection sets free may wait for the next one, or for a task in between. */
const COLLECTIONS = 5;
const PAUSE_MS = 100;

export const memoryPart: Part = {
  title: "Memory of a loaded model, in a browser",
  method: () =>
    `\`load\` of \`qdg/web\`, bundled as for a page, in a page of the system's browser without a window, isolated, one thread; ${STARTS} browsers. WebAssembly's memories, and JavaScript's heap and ArrayBuffers after ${COLLECTIONS} collections, less the heap and ArrayBuffers of the same page before anything is loaded: median, quartiles. 1 MB: 10^6 bytes.`,
  async run(context) {
    const program = await browserProgram();
    if (program === null) {
      return CASES.map((each) => skippedRow(titleOf(each), barOf(each), "no Chromium, Chrome or Edge"));
    }
    const bench = await startPageBench(program, "memory");
    try {
      await bundleWeb(bench.folder);
      const rows: Row[] = [];
      for (const each of CASES) rows.push(await memoryRow(each, bench, context));
      return rows;
    } finally {
      await bench.stop();
    }
  },
};

function titleOf({ name }: Case): string {
  return `${name} ${bitsName(BITS)} after load`;
}

function barOf({ mostMB }: Case): string {
  return `<= ${mostMB} MB`;
}

/** Bytes. */
interface Memory {
  readonly wasm: number;
  readonly heap: number;
  readonly arrayBuffers: number;
}

async function memoryRow(each: Case, bench: PageBench, context: PartContext): Promise<Row> {
  const { code, reporter, smoke } = context;
  const network = await openNetwork(each.name);
  if ("missing" in network) return skippedRow(titleOf(each), barOf(each), network.missing);
  const { path: file } = await exported(network, engineFileOptions(BITS), code, reporter);
  const path = await bench.put(file);
  reporter.say(`memory ${each.name}`);
  const loaded: Memory[] = [];
  const afterRun: number[] = [];
  const peer: number[] = [];
  for (let start = 0; start < (smoke ? 1 : STARTS); start++) {
    const own = await memoryOf(path, "qdg", bench);
    loaded.push(own.loaded);
    afterRun.push(totalOf(own.afterRun));
    peer.push(totalOf((await memoryOf(path, "onnxruntime", bench)).loaded));
  }
  const total = quartiles(loaded.map((memory) => totalOf(memory) / 1e6));
  const part = (of: keyof Memory): string => megabytes(loaded.map((memory) => memory[of]));
  return {
    name: titleOf(each),
    value: `${spread(total, 2)} MB`,
    bar: barOf(each),
    reached: total.median <= each.mostMB ? "yes" : "no",
    detail: `WebAssembly ${part("wasm")}, heap ${part("heap")}, ArrayBuffers ${part("arrayBuffers")}; after a run ${megabytes(afterRun)}; ONNX Runtime on the same file ${megabytes(peer)}`,
  };
}

function totalOf({ wasm, heap, arrayBuffers }: Memory): number {
  return wasm + heap + arrayBuffers;
}

function megabytes(bytes: readonly number[]): string {
  return `${(median(bytes) / 1e6).toFixed(2)} MB`;
}

async function memoryOf(
  path: string,
  engine: "qdg" | "onnxruntime",
  bench: PageBench,
): Promise<{ readonly loaded: Memory; readonly afterRun: Memory }> {
  const page = await bench.open();
  try {
    await page.call("watchMemories", {});
    const protocol = await page.page.context().newCDPSession(page.page);
    const empty = await memoryNow(page, protocol);
    const since = async (): Promise<Memory> => {
      const { wasm, heap, arrayBuffers } = await memoryNow(page, protocol);
      return { wasm, heap: heap - empty.heap, arrayBuffers: arrayBuffers - empty.arrayBuffers };
    };
    await page.call("load", { path, engine });
    const loaded = await since();
    await page.call("run", {});
    return { loaded, afterRun: await since() };
  } finally {
    await page.close();
  }
}

async function memoryNow(page: BenchPage, protocol: CDPSession): Promise<Memory> {
  for (let i = 0; i < COLLECTIONS; i++) {
    await protocol.send("HeapProfiler.collectGarbage");
    await new Promise((resolve) => void setTimeout(resolve, PAUSE_MS));
  }
  const { usedSize, backingStorageSize } = await protocol.send("Runtime.getHeapUsage");
  return {
    wasm: await page.call("memoryBytes", {}),
    heap: usedSize,
    arrayBuffers: backingStorageSize,
  };
}
