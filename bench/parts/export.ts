// What an export of a large model takes, as the command line does it, in a process of its own.

import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { runNode, type Usage } from "../child.js";
import { CACHE_FOLDER, CLI } from "../environment.js";
import { type Network, openNetwork } from "../networks.js";
import type { Part } from "../part.js";
import { type Row, skippedRow } from "../row.js";
import { quartiles } from "../statistics.js";

const LARGEST_SECONDS = 15;
const LARGEST_BYTES = 1.2e9;
const RUNS = 3;

interface Case {
  readonly title: string;
  readonly flags: readonly string[];
  readonly hasBar: boolean;
}

const CASES: readonly Case[] = [
  { title: "3 bits, weights only", flags: ["--bits", "3"], hasBar: true },
  { title: "8 bits, weights only", flags: ["--bits", "8"], hasBar: true },
  { title: "float32", flags: ["--float"], hasBar: false },
];

export const exportPart: Part = {
  title: "Export of a ResNet-50-shaped model",
  method: () =>
    `\`qdg export\` in a process of its own, ${RUNS} runs, start of Node included; without calibration, so that only weights are quantized. Largest resident memory as the operating system counts it. Peers in the same run: the float32 export of the same model, and an export with calibration.`,
  async run({ reporter }) {
    const network = await openNetwork("resnet-50");
    if ("missing" in network) return [skippedRow("export", "", network.missing)];
    const rows: Row[] = [];
    for (const each of [...CASES, calibrated(network)]) {
      reporter.say(`export resnet-50, ${each.title}`);
      rows.push(...(await exportRows(each, network)));
    }
    return rows;
  },
};

/** Told beside the others: most of it is the float network running. */
function calibrated({ data }: Network): Case {
  const flags = [
    "--bits",
    "3",
    "--activation-bits",
    "3",
    "--calibration",
    data,
    "--calibration-count",
    "4",
    "--held-out",
    "0",
  ];
  return { title: "W3A3, calibrated on 4 samples", flags, hasBar: false };
}

async function exportRows({ title, flags, hasBar }: Case, network: Network): Promise<Row[]> {
  const output = join(CACHE_FOLDER, "export.onnx");
  const weights = await weightCount(network.model);
  const usages: Usage[] = [];
  for (let run = 0; run < RUNS; run++) {
    usages.push(await runNode([CLI, "export", network.model, "-o", output, "--force", ...flags]));
  }
  const seconds = quartiles(usages.map(({ wallMs }) => wallMs / 1000));
  const cpuSeconds = quartiles(usages.map(({ userMs }) => userMs / 1000));
  const peak = Math.max(...usages.map(({ peakBytes }) => peakBytes));
  const { size } = await stat(output);
  const model = `${(weights / 1e6).toFixed(1)} M numbers`;
  return [
    {
      name: `${title}: time`,
      value: `${seconds.median.toFixed(1)} s [${seconds.q1.toFixed(1)}, ${seconds.q3.toFixed(1)}]`,
      bar: hasBar ? `< ${LARGEST_SECONDS} s` : "",
      reached: !hasBar ? "-" : seconds.median < LARGEST_SECONDS ? "yes" : "no",
      detail: `${model}; ${cpuSeconds.median.toFixed(1)} s of user CPU time; file of ${(size / 1e6).toFixed(1)} MB`,
    },
    {
      name: `${title}: memory`,
      value: `${(peak / 1e9).toFixed(2)} GB`,
      bar: hasBar ? `< ${LARGEST_BYTES / 1e9} GB` : "",
      reached: !hasBar ? "-" : peak < LARGEST_BYTES ? "yes" : "no",
      detail: `largest of ${RUNS} runs; ${(peak / (4 * weights)).toFixed(1)} x the float32 weights`,
    },
  ];
}

async function weightCount(model: string): Promise<number> {
  const { weightsManifest } = JSON.parse(await readFile(model, "utf8")) as {
    weightsManifest: { weights: { shape: number[] }[] }[];
  };
  return weightsManifest
    .flatMap(({ weights }) => weights)
    .reduce((sum, { shape }) => sum + shape.reduce((size, dim) => size * dim, 1), 0);
}
