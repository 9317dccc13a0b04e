// Whether every target computes the integers of the reference, by the certificate that `qdg certify` writes, on the
// project's 3- and 4-bit models.

import { dirname, join } from "node:path";
import { type Certificate, type CertifiedTarget, certify, runtimeOf, verifyCertificate } from "qdg";
import { kept } from "../cache.js";
import { CACHE_FOLDER, hashOfModel } from "../environment.js";
import { type Bits, bitsName, exported, type NetworkName, openNetwork } from "../networks.js";
import type { Part, PartContext } from "../part.js";
import { type Row, skippedRow } from "../row.js";

interface Case {
  readonly name: NetworkName;
  /** null: the scales that the model carries. */
  readonly bits: Bits | null;
  /** At most: the reference interpreter takes seconds for an image of a large network. */
  readonly images: number;
}

const CASES: readonly Case[] = [
  { name: "shapes", bits: null, images: 60 },
  { name: "shapes-dg", bits: null, images: 60 },
  { name: "shapes-calibrated", bits: [4, 4], images: 60 },
  { name: "mobilenet-v2-0.35", bits: [4, 4], images: 16 },
  { name: "darknet-tiny", bits: [4, 4], images: 6 },
];
const TARGETS: readonly CertifiedTarget[] = ["cpu", "wasm", "webgpu", "browser-wasm", "browser-webgpu"];
/** Rerun as a whole, because it is small. */
const VERIFIED: NetworkName = "shapes";
const LEAST_LEVELS = 3;
const LEAST_CLASSES = 2;
const BAR = "0 elements and 0 predictions differ; alive";

export const certificatePart: Part = {
  title: "Certificate: every target against the reference",
  method: () =>
    `\`qdg certify\` of one export for cpu, wasm and webgpu: every quantized tensor of the file as an output, one thread. The peer is the reference interpreter. Alive: at least ${LEAST_LEVELS} levels in a tensor, ${LEAST_CLASSES} classes predicted. Layers are proven where the file's own numbers show that no runtime can compute another integer, else measured. 4 bits: scales found after training on 64 images, shapes-calibrated is shapes without the scales that it learned, its weights still those trained for 3 bits.`,
  async run(context) {
    const rows: Row[] = [];
    const targets: CertifiedTarget[] = [];
    for (const target of TARGETS) {
      const found = await (await runtimeOf(target)).probe();
      if (found.available) targets.push(target);
      else rows.push(skippedRow(`all networks on ${target}`, BAR, found.reason));
    }
    for (const each of context.smoke ? CASES.slice(0, 1) : CASES)
      rows.push(...(await certificateRows(each, targets, context)));
    return rows;
  },
};

async function certificateRows(
  { name, bits, images }: Case,
  targets: readonly CertifiedTarget[],
  context: PartContext,
): Promise<Row[]> {
  const { code, reporter } = context;
  const title = `${name}, ${bits ? bitsName(bits) : "3 bits learned"}`;
  const network = await openNetwork(name);
  if ("missing" in network) return [skippedRow(title, BAR, network.missing)];
  const file = await exported(
    network,
    { ...(bits && { weightBits: bits[0], activationBits: bits[1] }), targets: ["cpu", "wasm", "webgpu"] },
    code,
    reporter,
  );
  const count = Math.min(images, context.images);
  const run = `${name}-${bits ? bitsName(bits) : "learned"}-${targets.join("-")}-${count}.json`;
  const key = `${code}-${await hashOfModel(network.model)}`;
  const path = join(CACHE_FOLDER, "certificates", key, run);
  const progress = reporter.progress(`certificate ${title}`);
  const certificate = await kept(path, () => {
    reporter.say(`certificate ${title}: ${count} images`);
    const { model, data } = network;
    return certify({ model, folder: dirname(file.path), data: [data], targets, count, progress });
  });
  const rows = certificate.targets.map((result) => certificateRow(title, result, certificate));
  if (name !== VERIFIED) return rows;
  const { differences } = await verifyCertificate(path, { progress });
  return [
    ...rows,
    {
      name: `${title}, rerun by \`certify --verify\``,
      value: `${differences.length} places differ`,
      bar: "0",
      reached: differences.length === 0 ? "yes" : "no",
      detail: differences.slice(0, 3).join("; "),
    },
  ];
}

type Result = Certificate["targets"][number];

/** One target of a certificate. Judged by its counts, not by whether the certificate as a whole passed. */
export function certificateRow(title: string, result: Result, certificate: Certificate): Row {
  const { target, runtime, file, promise, histogram, elements, predictions } = result;
  const { tensors, classesPredicted } = certificate.reference;
  const same = histogram.find(([steps]) => steps === 0)?.[1] ?? 0;
  const differing = elements - same;
  const alive = tensors.filter(({ levelsUsed }) => levelsUsed >= LEAST_LEVELS).length;
  const classes = Object.values(classesPredicted);
  const relative = Math.max(
    // null: not a finite number.
    ...result.outputs.map(({ relativeDifference }) => relativeDifference ?? Number.POSITIVE_INFINITY),
  );
  const { layers = [] } = certificate.exactness.find((each) => each.file === file) ?? {};
  const proven = layers.filter(({ exactness }) => exactness === "proven").length;
  const reached =
    elements > 0 &&
    differing === 0 &&
    predictions?.differing === 0 &&
    relative <= promise.relative &&
    // A tensor without a partner in the file was not compared.
    result.tensors === tensors.length &&
    alive === tensors.length &&
    classes.every((count) => count >= LEAST_CLASSES);
  return {
    name: `${title} on ${target}`,
    value: `${differing} of ${elements.toLocaleString("en")} differ; ${predictions ? `${predictions.differing} of ${predictions.compared}` : "no"} predictions`,
    bar: BAR,
    reached: reached ? "yes" : "no",
    detail: [
      `${alive} of ${tensors.length} tensors alive, ${result.tensors} compared`,
      `${classes.join(", ")} classes predicted`,
      `${proven} layers proven, ${layers.length - proven} measured`,
      `logits ${relative.toExponential(1)}`,
      `${certificate.data.inputs} images`,
      runtime,
    ].join("; "),
  };
}
