// The networks on which the engine is compared with ONNX Runtime on WebAssembly, what must be reached on them, and the rows
// that tell it, wherever both run.

import {
  type Bits,
  bitsName,
  exported,
  type FileOptions,
  type NetworkName,
  openNetwork,
} from "./networks.js";
import type { PartContext } from "./part.js";
import { type Row, skippedRow } from "./row.js";
import { quartiles, speedup, spread } from "./statistics.js";

export const WARM_UP_RUNS = 20;
export const ROUNDS = 31;
const PRECISIONS: readonly Bits[] = [
  [8, 8],
  [4, 8],
  [3, 8],
];

export interface EngineCase {
  readonly name: NetworkName;
  /** Least speed-up over float32: with sums of four products exact, and with none of relaxed SIMD. */
  readonly unsigned: number;
  readonly plain: number;
  /** Over the same integers on ONNX Runtime, with sums of four products exact. */
  readonly integers: number;
}

export const ENGINE_CASES: readonly EngineCase[] = [
  { name: "mobilenet-v2-0.35", unsigned: 6, plain: 3, integers: 12 },
  { name: "darknet-tiny", unsigned: 5, plain: 2, integers: 3.5 },
  { name: "resnet-18", unsigned: 5.5, plain: 2, integers: 3.5 },
  { name: "efficientnet-lite0", unsigned: 5, plain: 2.5, integers: 5 },
];
/** Over float32 at 4 bits and fewer, where sums of two products are exact. */
const SATURATING = 3.5;

/** Where the engine and ONNX Runtime run. */
export interface EnginePlace {
  /** The engine's, which ends in what relaxed SIMD is there. */
  readonly version: string;
  /** What rows are called and explained by, beside network and bits; "" for nothing. */
  readonly nameSuffix: string;
  readonly detailSuffix: string;
  /** Times by round: the engine on a quantized file, ONNX Runtime on the float32 file and on the quantized one. */
  times(quantized: string, float: string): Promise<readonly (readonly number[])[]>;
}

/** Which integers the weights are makes no difference to the time. */
export function engineFileOptions([weightBits, activationBits]: Bits): FileOptions {
  return {
    weightBits,
    activationBits,
    calibrationCount: 8,
    heldOutCount: 0,
    form: "integer",
    ptq: "nearest",
  };
}

export async function engineRows(
  each: EngineCase,
  place: EnginePlace,
  { code, reporter }: PartContext,
): Promise<Row[]> {
  const { version, nameSuffix, detailSuffix } = place;
  const network = await openNetwork(each.name);
  if ("missing" in network) return [skippedRow(`${each.name}${nameSuffix}`, "", network.missing)];
  const float = await exported(network, { float: true }, code, reporter);
  const rows: Row[] = [];
  for (const bits of PRECISIONS) {
    const { path } = await exported(network, engineFileOptions(bits), code, reporter);
    const title = `${each.name} ${bitsName(bits)}`;
    reporter.say(`engine ${title}${nameSuffix}`);
    const [own = [], real = [], integers = []] = await place.times(path, float.path);
    const [least, leastIntegers] = barsOf(each, bits[0], version);
    const row = (name: string, bar: number | null, peer: readonly number[]): Row => {
      const detail = `ONNX Runtime ${spread(quartiles(peer), 1)} ms, ${version} ${spread(quartiles(own), 1)} ms`;
      return speedupRow(`${title} against ${name}${nameSuffix}`, bar, peer, own, `${detail}${detailSuffix}`);
    };
    rows.push(row("float32", least, real), row("the same integers", leastIntegers, integers));
  }
  return rows;
}

function barsOf(
  { unsigned, plain, integers }: EngineCase,
  weightBits: number,
  version: string,
): readonly [number, number | null] {
  if (version.endsWith("unsigned")) return [unsigned, integers];
  return [version.endsWith("saturating") && weightBits <= 4 ? SATURATING : plain, null];
}

/** @param least null where the number is told and has no bar */
export function speedupRow(
  name: string,
  least: number | null,
  peer: readonly number[],
  own: readonly number[],
  detail: string,
): Row {
  const ratio = speedup(peer, own);
  return {
    name,
    value: `${spread(ratio, 2)} x`,
    bar: least === null ? "" : `>= ${least} x`,
    reached: least === null ? "-" : ratio.median >= least ? "yes" : "no",
    detail,
  };
}
