// Whether the reference, CPU and WebAssembly compute the same integers, on networks that are alive.

import { join } from "node:path";
import { parity, type ParityReport } from "qdg";
import { kept } from "../cache.js";
import { CACHE_FOLDER, hashOfModel } from "../environment.js";
import { type Bits, bitsName, exported, type NetworkName, openNetwork } from "../networks.js";
import type { Part, PartContext } from "../part.js";
import { type Row, skippedRow } from "../row.js";

const NETWORKS: readonly NetworkName[] = ["darknet-tiny", "mobilenet-v2-0.35"];
const BITS: readonly Bits[] = [
  [3, 3],
  [4, 4],
  [4, 8],
  [8, 8],
];
const LARGEST_RELATIVE = 1e-5;
const BAR = "0 differ; logits <= 1e-5";

export const parityPart: Part = {
  title: "Parity of all quantized tensors: reference, CPU, WebAssembly",
  method: ({ images }) =>
    `Every quantized tensor of the file as an output, ${images} images; live networks only (at least three levels in each tensor, two classes). Logits: max |a - b| / max |a|. The peer is the reference interpreter.`,
  async run(context) {
    const rows: Row[] = [await parityRow("shapes", null, context)];
    // The faster network first: a run that is cut short has said more.
    for (const name of NETWORKS.toReversed()) {
      for (const bits of BITS) rows.push(await parityRow(name, bits, context));
    }
    return rows;
  },
};

/** @param bits null: the scales that the model carries */
async function parityRow(name: NetworkName, bits: Bits | null, context: PartContext): Promise<Row> {
  const { code, images, reporter } = context;
  const title = `${name}, ${bits ? bitsName(bits) : "3 bits learned"}`;
  const network = await openNetwork(name);
  if ("missing" in network) return skippedRow(title, BAR, network.missing);
  const file = await exported(
    network,
    bits ? { weightBits: bits[0], activationBits: bits[1] } : {},
    code,
    reporter,
  );
  const key = `${code}-${await hashOfModel(network.model)}`;
  const path = join(
    CACHE_FOLDER,
    "parity",
    key,
    `${name}-${bits ? bitsName(bits) : "learned"}-${images}.json`,
  );
  const { report, seconds } = await kept(path, async () => {
    reporter.say(`parity ${title}: ${images} images`);
    const start = performance.now();
    const made = await parity({
      model: file.path,
      data: [network.data],
      intermediates: true,
      count: images,
      progress: reporter.progress(`parity ${title}`),
    });
    return { report: made, seconds: (performance.now() - start) / 1000 };
  });
  return { name: title, bar: BAR, ...judged(report, seconds) };
}

function judged(report: ParityReport, seconds: number): Pick<Row, "value" | "reached" | "detail"> {
  const tensors = report.targets.flatMap((target) => target.tensors ?? []);
  const differing = tensors.reduce((sum, { mismatches }) => sum + mismatches.count, 0);
  const compared = tensors.reduce((sum, { mismatches }) => sum + mismatches.total, 0);
  const relative = report.targets.flatMap((target) =>
    // null: not a finite number, which no bar allows.
    target.outputs.map(({ relativeDifference }) => relativeDifference ?? Number.POSITIVE_INFINITY),
  );
  const largest = Math.max(...relative);
  const levels = report.quantized.map(({ levelsUsed }) => levelsUsed);
  const classes = Object.values(report.classesPredicted);
  const reached = report.passed && compared > 0 && differing === 0 && largest <= LARGEST_RELATIVE;
  const facts = [
    `${report.quantized.length} tensors, ${report.inputs} images`,
    `${Math.min(...levels)} to ${Math.max(...levels)} levels used`,
    `${classes.join(", ")} classes predicted`,
    `${Math.round(seconds)} s`,
    ...report.reasons,
  ];
  return {
    value: `${differing} of ${compared.toLocaleString("en")} differ; logits ${largest.toExponential(1)}`,
    reached: reached ? "yes" : "no",
    detail: facts.join("; "),
  };
}
