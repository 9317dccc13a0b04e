// How often the quantized file and the float network name the same class, on images that calibration did not
// see.

import {
  ALL_DOMAINS,
  type Bits,
  bitsName,
  exported,
  type FileOptions,
  type NetworkName,
  openNetwork,
} from "../networks.js";
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

/** Of each of the four domains and seven classes, as evenly as it comes out. */
const HELD_OUT_OF_DOMAINS = 400;
/** 8-bit weights that are fast and exact everywhere, against the nearest 8 bits: points of agreement they may cost. */
const MOST_POINTS = 1;
const FAST_WEIGHTS: readonly NetworkName[] = ["mobilenet-v2-0.35", "darknet-tiny", "efficientnet-lite0"];

export const agreementPart: Part = {
  title: "Agreement with the float network",
  method: () =>
    `Largest class of the file on CPU against that of the float32 network, ${HELD_OUT} images; scales found after training on 64 others, all options at their defaults. Last rows: ${HELD_OUT_OF_DOMAINS} images of four domains, 64 others of them to calibrate on; against the same export with freeWeights, which leaves out the rule that makes 8-bit weights fast.`,
  async run(context) {
    const rows: Row[] = [];
    for (const each of CASES) rows.push(await agreementRow(each, context));
    for (const name of FAST_WEIGHTS) rows.push(await fastWeightsRow(name, context));
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

async function fastWeightsRow(name: NetworkName, { code, reporter }: PartContext): Promise<Row> {
  const title = `${name}, W8A8, all domains`;
  const bar = `>= free weights - ${MOST_POINTS} point`;
  const network = await openNetwork(name);
  if ("missing" in network) return skippedRow(title, bar, network.missing);
  const measure = async (freeWeights: boolean): Promise<{ agreeing: number; sqnrDb: number }> => {
    const options: FileOptions = { weightBits: 8, heldOutCount: HELD_OUT_OF_DOMAINS, freeWeights };
    const { result } = await exported({ ...network, data: ALL_DOMAINS }, options, code, reporter);
    const { agreement = null, samples = 0, sqnrDb = Number.NaN } = result.cost ?? {};
    if (agreement === null || samples !== HELD_OUT_OF_DOMAINS) {
      throw new Error(`${title}: got ${samples} images with a class, expected ${HELD_OUT_OF_DOMAINS}`);
    }
    return { agreeing: Math.round(agreement * samples), sqnrDb };
  };
  const [fast, free] = [await measure(false), await measure(true)];
  const points = (100 * (free.agreeing - fast.agreeing)) / HELD_OUT_OF_DOMAINS;
  return {
    name: title,
    value: `${((100 * fast.agreeing) / HELD_OUT_OF_DOMAINS).toFixed(1)} %`,
    bar,
    reached: points <= MOST_POINTS ? "yes" : "no",
    detail: `free weights ${((100 * free.agreeing) / HELD_OUT_OF_DOMAINS).toFixed(1)} %; ${HELD_OUT_OF_DOMAINS} images; SQNR ${fast.sqnrDb.toFixed(1)} dB, free ${free.sqnrDb.toFixed(1)} dB`,
  };
}
