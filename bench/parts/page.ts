// How long a visitor waits for the first result on the page that `qdg deploy` makes, and what of it is our JavaScript.

import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { runtimeOf } from "qdg";
import sharp from "sharp";
import { writeBarePage } from "../bare-page.js";
import { browserProgram, firstResultMs, newVisitor } from "../browser-visit.js";
import { CACHE_FOLDER, CLI } from "../environment.js";
import { exported, type ExportedFile, type Network, openNetwork } from "../networks.js";
import type { Part, PartContext } from "../part.js";
import { type Row, skippedRow } from "../row.js";
import { serveSite } from "../served-site.js";
import { quartiles, speedup, spread } from "../statistics.js";

const STARTS = 5;
const MOST_MS = { engine: 700, wasm: 3000 } as const;
const MOST_ENGINE_BYTES = 45_000;
const FIRST = {
  engine: "first result in a cold browser, the engine",
  wasm: "first result in a cold browser, ONNX Runtime on wasm",
} as const;
const SECOND = "first result on the second visit, the server stopped";
const SCRIPT = "engine, loader, codec and preprocessing, brotli";
const BARS = {
  [FIRST.engine]: `<= ${MOST_MS.engine / 1000} s`,
  [FIRST.wasm]: `< ${MOST_MS.wasm / 1000} s`,
  [SECOND]: "works",
  [SCRIPT]: `<= ${MOST_ENGINE_BYTES / 1000} kB`,
};

export const pagePart: Part = {
  title: "The page of a 1-MB model",
  method: () =>
    `\`qdg deploy\` of a file for cpu and wasm, \`qdg serve\` on loopback, both as a user runs them; the system's browser without a window, ${STARTS} starts, each with a new process and a new profile. From the start of the navigation to the frame in which a share of a class stands there, by the page's clock; a picture is dropped as soon as the page's script has run. The self-test of the page is in it. Peer in turn with it: a page written by hand that runs the float32 export once with onnxruntime-web, without picture, checks and self-test, on the same server.`,
  async run(context) {
    const program = await browserProgram();
    if (program === null) {
      return Object.entries(BARS).map(([name, bar]) => skippedRow(name, bar, "no Chromium, Chrome or Edge"));
    }
    const found = await openNetwork("darknet-tiny");
    const network = "missing" in found ? await openNetwork("resnet-small") : found;
    if ("missing" in network) throw new Error(network.missing);
    const sites = await makeSites(network, context);
    return visitRows(program, sites, context);
  },
};

interface Sites {
  readonly network: Network;
  readonly model: ExportedFile;
  /** The folder that `qdg deploy` wrote. */
  readonly deployed: string;
  readonly bare: string;
  /** Scripts and kernels of a visit with the engine, the page's own not among them, nor what few networks need. */
  readonly scripts: readonly DeployedFile[];
}

interface DeployedFile {
  readonly path: string;
  readonly roles: readonly string[];
  readonly brotliBytes: number;
}

async function makeSites(network: Network, { code, reporter }: PartContext): Promise<Sites> {
  const counts = { calibrationCount: 8, heldOutCount: 0 };
  const options = { weightBits: 8, activationBits: 8, targets: ["cpu", "wasm"], ...counts } as const;
  const model = await exported(network, options, code, reporter);
  const float = await exported(network, { float: true }, code, reporter);
  const session = await (await runtimeOf("cpu")).open({ path: float.path });
  const inputs = Object.fromEntries(
    session.inputs.map(({ name, shape }) => [name, shape.map((dim) => (typeof dim === "number" ? dim : 1))]),
  );
  const classes = session.outputs[0]?.shape.at(-1);
  await session.dispose();
  const folder = join(CACHE_FOLDER, "page");
  const bare = join(folder, "bare");
  await writeBarePage(bare, float.path, inputs);
  const labels = join(folder, "labels.txt");
  await writeFile(labels, Array.from({ length: Number(classes) }, (_, i) => `class ${i}\n`).join(""));
  const deployed = join(folder, "site");
  reporter.say(`deploy ${network.name}`);
  const flags = ["deploy", dirname(model.path), "--to", deployed, "--labels", labels, "--json"];
  const { stdout } = await promisify(execFile)(process.execPath, [CLI, ...flags], { maxBuffer: 1e8 });
  const { files } = JSON.parse(stdout) as { files: DeployedFile[] };
  const scripts = files.filter(
    ({ path, roles }) =>
      /\.(js|wasm)$/.test(path) &&
      (roles.includes("page") || roles.includes("engine")) &&
      !/^(sw\.js|assets\/(index|open-model|operators|team|engine-thread)-)/.test(path),
  );
  return { network, model, deployed, bare, scripts };
}

async function visitRows(
  program: string,
  { network, model, deployed, bare, scripts }: Sites,
  { smoke, reporter }: PartContext,
): Promise<Row[]> {
  const picture = await gradient();
  const cold: number[] = [];
  const wasm: number[] = [];
  const offline: number[] = [];
  const peer: number[] = [];
  let version = "";
  for (let start = 0; start < (smoke ? 1 : STARTS); start++) {
    reporter.say(`page: start ${start + 1}`);
    const visit = async (): Promise<void> => {
      const times = await visitTwice(program, deployed, picture);
      cold.push(times.coldMs);
      offline.push(times.offlineMs);
      version = times.version;
    };
    const visitWasm = async (): Promise<void> =>
      void wasm.push(await visitOnce(program, deployed, picture, "?device=wasm"));
    const visitPeer = async (): Promise<void> => void peer.push(await visitOnce(program, bare, picture));
    const visits = [visit, visitWasm, visitPeer];
    for (const each of start % 2 === 0 ? visits : visits.toReversed()) await each();
  }
  const [first, second] = [quartiles(cold), quartiles(offline)];
  const what = `${network.name} W8A8, ${(model.result.sizeBytes / 1000).toFixed(0)} kB; browser ${version}`;
  const bytes = scripts.reduce((sum, { brotliBytes }) => sum + brotliBytes, 0);
  const largest = Math.max(...cold);
  const byWasm = quartiles(wasm);
  return [
    {
      name: FIRST.engine,
      value: `${spread(first, 0)} ms`,
      bar: BARS[FIRST.engine],
      reached: first.median <= MOST_MS.engine ? "yes" : "no",
      detail: `slowest of ${cold.length} starts ${largest.toFixed(0)} ms; ${spread(speedup(peer, cold), 2)} x as fast as the page written by hand (${spread(quartiles(peer), 0)} ms); ${what}`,
    },
    {
      name: FIRST.wasm,
      value: `${spread(byWasm, 0)} ms`,
      bar: BARS[FIRST.wasm],
      reached: byWasm.median < MOST_MS.wasm ? "yes" : "no",
      detail: `asked for by the address; ${spread(speedup(peer, wasm), 2)} x as fast as the page written by hand`,
    },
    {
      name: SECOND,
      value: `${spread(second, 0)} ms`,
      bar: BARS[SECOND],
      // Anything that does not work is thrown before.
      reached: "yes",
      detail: `${spread(speedup(cold, offline), 2)} x as fast as the first visit`,
    },
    {
      name: SCRIPT,
      value: `${(bytes / 1000).toFixed(1)} kB`,
      bar: BARS[SCRIPT],
      reached: bytes <= MOST_ENGINE_BYTES ? "yes" : "no",
      detail: scripts
        .map(({ path, brotliBytes }) => `${path} ${(brotliBytes / 1000).toFixed(1)} kB`)
        .join(", "),
    },
  ];
}

interface TwoVisits {
  readonly coldMs: number;
  readonly offlineMs: number;
  readonly version: string;
}

/** By one visitor: first with the server, then, once the page says that it can, without. */
async function visitTwice(program: string, folder: string, picture: Uint8Array): Promise<TwoVisits> {
  const site = await serveSite(folder);
  const visitor = await newVisitor(program);
  try {
    const first = await firstResultMs(visitor.context, site.url, picture);
    await first.page.locator("#offline", { hasText: /^ready/ }).waitFor();
    await first.page.close();
    await site.stop();
    const second = await firstResultMs(visitor.context, site.url, picture);
    return { coldMs: first.elapsedMs, offlineMs: second.elapsedMs, version: visitor.version };
  } finally {
    await visitor.close();
    await site.stop();
  }
}

async function visitOnce(program: string, folder: string, picture: Uint8Array, query = ""): Promise<number> {
  const site = await serveSite(folder);
  const visitor = await newVisitor(program);
  try {
    return (await firstResultMs(visitor.context, site.url + query, picture)).elapsedMs;
  } finally {
    await visitor.close();
    await site.stop();
  }
}

/** Larger than what the model takes, as pictures are. */
function gradient(): Promise<Uint8Array> {
  const [width, height] = [640, 480];
  const pixels = Uint8Array.from({ length: width * height * 3 }, (_, i) => i % 256);
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}
