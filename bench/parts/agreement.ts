// How often the quantized file and the float network name the same class, on images that calibration did not
// see.

import { type Bits, bitsName, exported, type NetworkName, openNetwork } from "../networks.js";
import type { Part, PartContext } from "../part.js";
import { type Row, skippedRow } from "../row.js";

const HELD_OUT = 200;

interface Case {
  readonly name: NetworkName;
  readonly bits: Bits;
  /** Least share that agrees; null: told without a bar. */
  readonly least: number | null;
}

const CASES: readonly Case[] = [
  { name: "mobilenet-v2-0.35", bits: [8, 8], least: 0.93 },
  { name: "mobilenet-v2-0.35", bits: [4, 8], least: null },
  { name: "mobilenet-v2-0.35", bits: [3, 3], least: null },
  { name: "darknet-tiny", bits: [8, 8], least: 0.8 },
  { name: "darknet-tiny", bits: [4, 8], least: null },
  { name: "darknet-tiny", bits: [3, 3], least: null },
];

export const agreementPart: Part = {
  title: "Agreement with the float network",
  method: () =>
    `Largest class of the file on CPU against that of the float32 network, ${HELD_OUT} images; scales found after training on 64 others, all options at their defaults.`,
  async run(context) {
    const rows: Row[] = [];
    for (const each of CASES) rows.push(await agreementRow(each, context));
    return rows;
  },
};

async function agreementRow({ name, bits, least }: Case, { code, reporter }: PartContext): Promise<Row> {
  const title = `${name}, ${bitsName(bits)}`;
  const bar = least === null ? "" : `>= ${100 * least} %`;
  const network = await openNetwork(name);
  if ("missing" in network) return skippedRow(title, bar, network.missing);
  const options = { weightBits: bits[0], activationBits: bits[1], heldOutCount: HELD_OUT };
  const { cost } = (await exported(network, options, code, reporter)).result;
  const agreement = cost?.agreement ?? null;
  if (!cost || agreement === null) return skippedRow(title, bar, "the export measured no agreement");
  // Fewer images than asked for would be another bar.
  const enough = cost.samples === HELD_OUT;
  const worst = cost.worst
    .slice(0, 3)
    .map(({ layer, what, sqnrDb }) => `${layer} (${what}, ${sqnrDb.toFixed(1)} dB)`);
  return {
    name: title,
    value: `${(100 * agreement).toFixed(1)} %`,
    bar,
    reached: least === null ? "-" : enough && agreement >= least ? "yes" : "no",
    detail: `${cost.samples} images; SQNR ${cost.sqnrDb.toFixed(1)} dB; ${cost.classesPredicted} classes predicted, float ${cost.classesPredictedByFloat}; most lost in ${worst.join(", ")}`,
  };
}
