// The engine against LiteRT.js (XNNPACK on WebAssembly) in float32, on the networks
// of images of MLPerf Tiny: the same layers and weights in both.

import { browserProgram } from "../browser-visit.js";
import { engineFileOptions, speedupRow } from "../engine-rows.js";
import type { PageFile } from "../in-page/harness.js";
import { type Bits, bitsName, exported, type NetworkName, openNetwork } from "../networks.js";
import { openNpmPackage } from "../npm-package.js";
import { outputDifference } from "../output-difference.js";
import { type BenchPage, type PageBench, startPageBench } from "../page-bench.js";
import type { Part, PartContext } from "../part.js";
import { type Row, skippedRow } from "../row.js";
import { quartiles, spread } from "../statistics.js";
import { tfliteOf } from "../tflite.js";

const PEER = { name: "@litertjs/core", version: "2.5.3" } as const;
const NETWORKS: readonly NetworkName[] = ["resnet-8", "mobilenet-v1-0.25"];
const PRECISIONS: readonly Bits[] = [
  [8, 8],
  [4, 8],
];
/** The engine's speed-up over LiteRT.js in float32. */
const LEAST = 3;
/** Runs of these networks take a millisecond at most: WebAssembly is compiled anew until some hundred are done. */
const WARM_UP_RUNS = 500;
const ROUNDS = 301;
/** Of outputs in float32, relative to the largest: sums of some thousand products in another order. */
const MOST_DIFFERENCE = 1e-4;

export const litertPart: Part = {
  title: "The engine against LiteRT.js, in a browser",
  method: () =>
    `MLPerf Tiny's ResNet8 (32x32 images) and MobileNetV1 0.25 (96x96), random weights, without their softmax. The peer: ${PEER.name} ${PEER.version}, XNNPACK on WebAssembly (its build with relaxed SIMD), on a float32 .tflite of the same weights, batch norm folded, made by TensorFlow's converter. Before anything is timed its outputs are compared with ONNX Runtime's on the float32 export: they may differ by ${MOST_DIFFERENCE} of the largest. All in one page of the system's browser without a window, one thread, batch of 1, ${WARM_UP_RUNS} warm-up runs, then ${ROUNDS} rounds in which every file runs once, each round in another order, timed inside the page, which is cross-origin isolated; a run is handed a tensor and gives one. Value: median over rounds of the peer's time / the engine's, so more is better; brackets: quartiles; times likewise.`,
  async run(context) {
    const program = await browserProgram();
    if (program === null) return skippedRows(NETWORKS, "no Chromium, Chrome or Edge");
    const peer = await openNpmPackage(PEER.name, PEER.version);
    if ("missing" in peer) return skippedRows(NETWORKS, peer.missing);
    const bench = await startPageBench(program, "litert", peer.folder);
    try {
      const rows: Row[] = [];
      for (const name of NETWORKS) rows.push(...(await networkRows(name, bench, context)));
      return rows;
    } finally {
      await bench.stop();
    }
  },
};

function skippedRows(names: readonly NetworkName[], reason: string): Row[] {
  return names.flatMap((name) =>
    PRECISIONS.map((bits) => skippedRow(titleOf(name, bits), `>= ${LEAST} x`, reason)),
  );
}

function titleOf(name: NetworkName, bits: Bits): string {
  return `${name} ${bitsName(bits)} against LiteRT.js in float32`;
}

async function networkRows(name: NetworkName, bench: PageBench, context: PartContext): Promise<Row[]> {
  const { code, reporter, smoke } = context;
  const network = await openNetwork(name);
  if ("missing" in network) return skippedRows([name], network.missing);
  reporter.say(`litert ${name}`);
  const tflite = await tfliteOf(network);
  if ("missing" in tflite) return skippedRows([name], tflite.missing);
  const float = await exported(network, { float: true }, code, reporter);
  const floats: readonly PageFile[] = [
    { runtime: "litert", path: await bench.put(tflite.path) },
    { runtime: "onnxruntime", path: await bench.put(float.path) },
  ];
  const quantized: PageFile[] = [];
  for (const bits of PRECISIONS) {
    const { path } = await exported(network, engineFileOptions(bits), code, reporter);
    quantized.push({ runtime: "engine", path: await bench.put(path) });
  }
  const page = await bench.open();
  try {
    const version = await page.call("engineVersion", {});
    const difference = await differenceOf(name, floats, page);
    const [litert = [], onnxRuntime = [], ...own] = await page.call("times", {
      files: [...floats, ...quantized],
      warmUpRuns: smoke ? 10 : WARM_UP_RUNS,
      rounds: smoke ? 5 : ROUNDS,
    });
    const same = `the two float32 files differ by ${difference.toExponential(1)} of the largest output`;
    return PRECISIONS.flatMap((bits, i) => {
      const times = own[i] ?? [];
      const engine = `${version} ${spread(quartiles(times), 2)} ms`;
      const detailOf = (peer: string, peerTimes: readonly number[]): string =>
        `${peer} ${spread(quartiles(peerTimes), 2)} ms, ${engine}`;
      const by = `browser ${page.browserVersion}, file by ${tflite.versions}`;
      return [
        speedupRow(
          titleOf(name, bits),
          LEAST,
          litert,
          times,
          `${detailOf("LiteRT.js", litert)}; ${same}; ${by}`,
        ),
        speedupRow(
          `${name} ${bitsName(bits)} against ONNX Runtime in float32, for comparison`,
          null,
          onnxRuntime,
          times,
          detailOf("ONNX Runtime", onnxRuntime),
        ),
      ];
    });
  } finally {
    await page.close();
  }
}

/** @throws Error when the two files are not the same network */
async function differenceOf(name: NetworkName, files: readonly PageFile[], page: BenchPage): Promise<number> {
  const [outputs = [], expected = []] = await page.call("outputs", { files });
  const difference = outputDifference(outputs, expected);
  if (difference <= MOST_DIFFERENCE) return difference;
  throw new Error(
    `${name}: the .tflite and the float32 export compute different things: got [${outputs.join(", ")}], expected [${expected.join(", ")}], at most ${MOST_DIFFERENCE} of the largest apart`,
  );
}
