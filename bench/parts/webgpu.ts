// The form for WebGPU against the float32 export of the same model on the same adapter, and that none of its nodes
// is left to the CPU.

import { runtimeOf, type Session } from "qdg";
import { interleavedTimesMs } from "../interleaved.js";
import { type Bits, bitsName, exported, type Network, type NetworkName, openNetwork } from "../networks.js";
import type { Part, PartContext } from "../part.js";
import { type Row, skippedRow } from "../row.js";
import { quartiles, speedup, spread } from "../statistics.js";

interface Case {
  readonly name: NetworkName;
  /** null: the scales that the model carries. */
  readonly bits: Bits | null;
  readonly rounds: number;
}

const CASES: readonly Case[] = [
  { name: "shapes", bits: null, rounds: 41 },
  { name: "mobilenet-v2-0.35", bits: [4, 4], rounds: 11 },
  { name: "resnet-18", bits: [4, 4], rounds: 5 },
];
const RUNTIMES = ["webgpu", "browser-webgpu"] as const;
/** The first run compiles shaders; those after it settle at once. */
const WARM_UP_RUNS = 2;
const MOST = 1.15;
const BAR = `<= ${MOST} x`;

export const webgpuPart: Part = {
  title: "WebGPU: the form for it against the float32 export",
  method: () =>
    `Both files on the same adapter in turns, batch of 1, ${WARM_UP_RUNS} warm-up runs, then the rounds that a row states, every other one in the other order. Value: median over rounds of this time / float32 time, so less is better; brackets: quartiles. Times in a browser include passing tensors to the page and back, a few milliseconds with either file. A software adapter computes on the CPU: its ratio is told under its name and says little of a GPU. Nodes on the CPU: both files are opened under disable_cpu_ep_fallback, which makes one an error; that it does is seen by the file for cpu and wasm, which is refused.`,
  async run(context) {
    const rows: Row[] = [];
    for (const each of context.smoke ? CASES.slice(0, 1) : CASES) {
      for (const runtime of RUNTIMES) rows.push(...(await webgpuRows(each, runtime, context)));
    }
    return rows;
  },
};

async function webgpuRows(
  { name, bits, rounds }: Case,
  runtimeName: (typeof RUNTIMES)[number],
  context: PartContext,
): Promise<Row[]> {
  const title = `${name}, ${bits ? bitsName(bits) : "3 bits learned"} on ${runtimeName}`;
  const network = await openNetwork(name);
  if ("missing" in network) return [skippedRow(title, BAR, network.missing)];
  const runtime = await runtimeOf(runtimeName);
  const available = await runtime.probe();
  if (!available.available) return [skippedRow(title, BAR, available.reason)];
  const { version } = available;
  const paths = await pathsOf(network, bits, context);
  context.reporter.say(`webgpu ${title}`);
  const sessions: Session[] = [];
  /** null once it is open, else why it is not. */
  const open = async (path: string): Promise<string | null> => {
    try {
      sessions.push(await runtime.open({ path }));
      return null;
    } catch (thrown) {
      const reason = thrown instanceof Error ? thrown.message : String(thrown);
      // Results are kept: they say nothing of the folders of this machine.
      return reason.replaceAll(path, "the file");
    }
  };
  try {
    const form = await open(paths.webgpu);
    const float = await open(paths.float);
    const times = form === null && float === null ? await timesOf(sessions, rounds, context) : null;
    const host = await open(paths.host);
    return [
      times
        ? timeRow(`${title}: time`, times, version)
        : skippedRow(`${title}: time`, BAR, form ?? `float32 export: ${float}`),
      nodesRow(`${title}: nodes on the CPU`, form, host, version),
    ];
  } finally {
    for (const session of sessions) await session.dispose();
  }
}

interface Times {
  readonly form: readonly number[];
  readonly float: readonly number[];
}

async function timesOf(sessions: readonly Session[], rounds: number, { smoke }: PartContext): Promise<Times> {
  const given = smoke ? { warmUpRuns: 1, rounds: 3 } : { warmUpRuns: WARM_UP_RUNS, rounds };
  const [form = [], float = []] = await interleavedTimesMs(sessions, given);
  return { form, float };
}

function timeRow(name: string, { form, float }: Times, version: string): Row {
  // How many times faster float32 is: how many times longer this takes.
  const ratio = speedup(form, float);
  return {
    name,
    value: `${spread(ratio, 2)} x`,
    bar: BAR,
    reached: ratio.median <= MOST ? "yes" : "no",
    detail: `float32 ${spread(quartiles(float), 1)} ms, this ${spread(quartiles(form), 1)} ms, ${form.length} rounds; ${version}`,
  };
}

/** @param form why the form for WebGPU did not open, and `host` why the file for cpu and wasm did not; null: it did */
function nodesRow(name: string, form: string | null, host: string | null, version: string): Row {
  const shown = form === null && host !== null;
  return {
    name,
    value: shown ? "0" : (form ?? "not known: a file with nodes for the CPU opens as well"),
    bar: "0",
    reached: shown ? "yes" : "no",
    detail: host === null ? version : `file for cpu and wasm: ${host.slice(0, 160)}`,
  };
}

async function pathsOf(
  network: Network,
  bits: Bits | null,
  { code, reporter }: PartContext,
): Promise<{ readonly float: string; readonly host: string; readonly webgpu: string }> {
  const float = await exported(network, { float: true }, code, reporter);
  const precision = bits && { weightBits: bits[0], activationBits: bits[1] };
  const { result } = await exported(
    network,
    { ...precision, targets: ["cpu", "wasm", "webgpu"] },
    code,
    reporter,
  );
  const [host, webgpu] = result.files;
  if (!host || !webgpu) throw new Error(`got ${result.files.length} files of ${network.name}, expected 2`);
  return { float: float.path, host: host.path, webgpu: webgpu.path };
}
