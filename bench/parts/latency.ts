// How much faster quantized files run than the float32 export of the same model, on one thread.

import { type ExportOptions, runtimeOf, type Session, type Target } from "qdg";
import { interleavedTimesMs } from "../interleaved.js";
import { exported, type Network, type NetworkName, openNetwork } from "../networks.js";
import type { Part, PartContext } from "../part.js";
import { type Row, skippedRow } from "../row.js";
import { quartiles, speedup, spread } from "../statistics.js";

/** What runs without a GPU. */
type HostTarget = Exclude<Target, "webgpu">;

/** WebAssembly is compiled in two steps, the second one while it runs. */
const WARM_UP_RUNS: Readonly<Record<HostTarget, number>> = { cpu: 10, wasm: 30 };
const ROUNDS = 41;

interface Case {
  readonly name: NetworkName;
  /** Least speed-up of a file that an export for the target writes; null: told without a bar. */
  readonly least: Readonly<Record<HostTarget, number | null>>;
}

const CASES: readonly Case[] = [
  { name: "resnet-18", least: { cpu: 2.5, wasm: 2.2 } },
  { name: "darknet-tiny", least: { cpu: 1.35, wasm: null } },
  { name: "mobilenet-v2-0.35", least: { cpu: 1.1, wasm: 0.85 } },
];
const TARGETS: readonly HostTarget[] = ["cpu", "wasm"];
const FORMS: readonly NonNullable<ExportOptions["form"]>[] = ["integer", "float"];

export const latencyPart: Part = {
  title: "Latency against the float32 export",
  method: () =>
    `One thread, batch of 1, ${WARM_UP_RUNS.cpu} warm-up runs on CPU and ${WARM_UP_RUNS.wasm} on WebAssembly, then ${ROUNDS} rounds in which the float32 file and every candidate run once, each round in another order. Value: median over rounds of float32 time / candidate time, so more is better; brackets: quartiles; times likewise. Files are exported for the one target, in the form that the export chooses for it; the other form of the same integers is there to justify that choice.`,
  async run(context) {
    const rows: Row[] = [];
    for (const each of CASES) {
      for (const target of TARGETS) rows.push(...(await latencyRows(each, target, context)));
    }
    return rows;
  },
};

interface Candidate {
  readonly title: string;
  readonly path: string;
  readonly least: number | null;
}

async function latencyRows(each: Case, target: HostTarget, context: PartContext): Promise<Row[]> {
  const { name, least } = each;
  const network = await openNetwork(name);
  const title = `${name} on ${target}`;
  if ("missing" in network) return [skippedRow(title, barOf(least[target]), network.missing)];
  const runtime = await runtimeOf(target);
  const available = await runtime.probe();
  if (!available.available) return [skippedRow(title, barOf(least[target]), available.reason)];
  const float = await exported(network, { float: true }, context.code, context.reporter);
  const candidates = await candidatesOf(network, target, least[target], context);
  context.reporter.say(`latency ${title}`);
  const paths = [float.path, ...candidates.map(({ path }) => path)];
  const sessions: Session[] = [];
  try {
    for (const path of paths) sessions.push(await runtime.open({ path }, { threads: 1 }));
    const [peer = [], ...times] = await interleavedTimesMs(sessions, {
      warmUpRuns: context.smoke ? 1 : WARM_UP_RUNS[target],
      rounds: context.smoke ? 3 : ROUNDS,
    });
    return candidates.map((candidate, i) =>
      latencyRow(`${title}, ${candidate.title}`, candidate, peer, times[i] ?? []),
    );
  } finally {
    for (const session of sessions) await session.dispose();
  }
}

type Precision = Pick<ExportOptions, "weightBits" | "activationBits" | "firstLastBits" | "powerOfTwo">;

/** What is timed. */
const PRECISIONS: Readonly<Record<string, Precision>> = {
  W8A8: { weightBits: 8, activationBits: 8 },
  "W8A8 on powers of two": { weightBits: 8, activationBits: 8, powerOfTwo: true },
  "W7A8, 7 bits in the first and last layer too": { weightBits: 7, activationBits: 8, firstLastBits: 7 },
  W4A8: { weightBits: 4, activationBits: 8 },
  W3A3: { weightBits: 3, activationBits: 3 },
};
/** The one that is timed in the other form as well, and on CPU with the unsigned weights that it avoids. */
const COMPARED = "W8A8";

async function candidatesOf(
  network: Network,
  target: HostTarget,
  least: number | null,
  { code, reporter }: PartContext,
): Promise<Candidate[]> {
  const candidates: Candidate[] = [];
  for (const [name, precision] of Object.entries(PRECISIONS)) {
    const options = { ...precision, calibrationCount: 8, heldOutCount: 0 };
    const chosen = await exported(network, { ...options, targets: [target] }, code, reporter);
    const { form } = chosen.result;
    candidates.push({ title: `${name} (${form} form)`, path: chosen.path, least });
    for (const other of FORMS.filter((each) => name === COMPARED && each !== form)) {
      const file = await exported(network, { ...options, form: other }, code, reporter);
      candidates.push({ title: `${name} in ${other} form, for comparison`, path: file.path, least: null });
    }
    if (name !== COMPARED || target !== "cpu") continue;
    const free = await exported(network, { ...options, form: "integer", freeWeights: true }, code, reporter);
    candidates.push({ title: `${name}, free weights, for comparison`, path: free.path, least: null });
  }
  return candidates;
}

function latencyRow(
  title: string,
  { least }: Candidate,
  peer: readonly number[],
  candidate: readonly number[],
): Row {
  const ratio = speedup(peer, candidate);
  return {
    name: title,
    value: `${spread(ratio, 2)} x`,
    bar: barOf(least),
    reached: least === null ? "-" : ratio.median >= least ? "yes" : "no",
    detail: `float32 ${spread(quartiles(peer), 1)} ms, this ${spread(quartiles(candidate), 1)} ms`,
  };
}

function barOf(least: number | null): string {
  return least === null ? "" : `>= ${least} x`;
}
