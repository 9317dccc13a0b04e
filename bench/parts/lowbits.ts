// What few bits cost without training: the predictions that calibrated files keep of the float network's, beside those
// of the plainest rounding and of another quantizer, and what such an export takes.

import { basename, dirname, join } from "node:path";
import { preprocessingToJson, type Tensor } from "qdg";
import { AIMET } from "../aimet.js";
import { kept } from "../cache.js";
import { runNode, type Usage } from "../child.js";
import { CACHE_FOLDER, CLI } from "../environment.js";
import { folderOf, type ImageCounts, type ImageLists, imageLists, imagePaths } from "../image-lists.js";
import {
  ALL_DOMAINS,
  type Bits,
  bitsName,
  exported,
  type FileOptions,
  type Network,
  type NetworkName,
  openNetwork,
} from "../networks.js";
import type { Part, PartContext } from "../part.js";
import { openPeer, type Peer } from "../peer.js";
import {
  agreement,
  imageTensors,
  type OverDraws,
  overDraws,
  percentages,
  predictedClasses,
} from "../predictions.js";
import { QUANTIZE_STATIC } from "../quantize-static.js";
import { type Row, skippedRow } from "../row.js";
import { quartiles, spread } from "../statistics.js";

const COUNTS: ImageCounts = { judged: 400, calibration: 64, draws: 3 };
const SMOKE_COUNTS: ImageCounts = { judged: 8, calibration: 4, draws: 1 };
/** Of the export whose time is taken; seeds 0, 1, 2. */
const TIMED_BITS: Bits = [4, 8];
const TIMED_RUNS = 3;
const LARGEST_BYTES = 1.5e9;
const PEERS = [QUANTIZE_STATIC, AIMET];

interface Case {
  readonly bits: Bits;
  /** Bits differ by layer, in a file not larger than that of the same bits in all inner layers. */
  readonly mixed?: true;
  /** Least share of predictions kept. */
  readonly least: number;
}

interface NetworkCases {
  readonly name: NetworkName;
  readonly cases: readonly Case[];
  /** Most CPU time of an export. */
  readonly seconds: number;
}

const NETWORKS: readonly NetworkCases[] = [
  {
    name: "mobilenet-v2-0.35",
    cases: [
      { bits: [8, 8], least: 0.965 },
      { bits: [6, 8], least: 0.95 },
      { bits: [4, 8], least: 0.89 },
      { bits: [4, 8], mixed: true, least: 0.93 },
      { bits: [3, 8], mixed: true, least: 0.84 },
      { bits: [4, 4], least: 0.7 },
    ],
    seconds: 60,
  },
  {
    name: "darknet-tiny",
    cases: [
      { bits: [8, 8], least: 0.83 },
      { bits: [6, 8], least: 0.81 },
      { bits: [4, 8], least: 0.69 },
      { bits: [4, 8], mixed: true, least: 0.78 },
      { bits: [3, 8], mixed: true, least: 0.57 },
      { bits: [4, 4], least: 0.47 },
    ],
    seconds: 90,
  },
  {
    name: "efficientnet-lite0",
    cases: [
      { bits: [8, 8], least: 0.945 },
      { bits: [4, 8], least: 0.74 },
      { bits: [4, 8], mixed: true, least: 0.81 },
      { bits: [3, 8], least: 0.57 },
    ],
    seconds: 240,
  },
];

/** A part a network, by name: one alone takes half an hour of two cores, EfficientNet an hour. */
export const lowbitsParts: Readonly<Record<string, Part>> = Object.fromEntries(
  NETWORKS.map((network) => [`lowbits-${network.name}`, lowbitsPart(network)]),
);

function lowbitsPart(network: NetworkCases): Part {
  return {
    title: `Low bits without labels, ${network.name}: agreement with the float network`,
    method: ({ smoke }) => {
      const { judged, calibration, draws } = countsOf(smoke);
      return `Share of ${judged} images for which the file and the float32 network name the same class, both on onnxruntime-node, one thread; standard error 1 to 2.5 points. Files as exported: scales found after training on ${calibration} images, all other options at their defaults (first and last layer 8 bits). Images are PACS, all four domains alike: in the order of the SHA-256 of their paths the first ${judged / 4} of each domain are judged, the next ${calibration / 4} calibrate draw 0, then 1, then 2; no image twice. A value is the mean over ${draws} draws [least, most]. Beside it on the same lists: \`--ptq nearest\`, each weight to its nearest integer. Mixed: \`--average-bits\`, bits by layer in a file not larger than the uniform one, of the same bits in all inner layers; the nearest integers beside it are of that one too. Peers get the same float32 file and images; of what each can do the best in the mean counts. onnxruntime's quantize_static: after its own pre-processing, QDQ, uint8 activations, weights per channel (int8, or int4 in all layers), each of its calibrators. AIMET (aimet-onnx): weights per channel, equalized across layers first or not, to the nearest, or where BENCH_AIMET asks for it by sequential MSE, or at 4 bits by AdaRound of 15,000 steps a layer; activations by either of its schemes; 8 bits where the files of qdg have them; its files run without graph optimization, as it simulates them. Time and memory: \`qdg export --bits 4 --calibration PACS\` in a process of its own, its ${calibration} images and the held-out ones picked by seeds 0 to ${TIMED_RUNS - 1}: user and system CPU time, largest resident memory.`;
    },
    async run(context) {
      return networkRows(network, context);
    },
  };
}

function countsOf(smoke: boolean): ImageCounts {
  return smoke ? SMOKE_COUNTS : COUNTS;
}

async function networkRows({ name, cases, seconds }: NetworkCases, context: PartContext): Promise<Row[]> {
  const network = await openNetwork(name);
  if ("missing" in network) {
    return cases.map((each) => skippedRow(titleOf(name, each), barOf(each), network.missing));
  }
  const judge = await openJudge(network, context);
  const rows: Row[] = [];
  for (const each of cases) {
    // To see that the part works, the cheapest rows do.
    if (context.smoke && bitsName(each.bits) !== bitsName(TIMED_BITS)) continue;
    rows.push(await agreementRow(each, judge, context));
  }
  for (const definition of PEERS) {
    const peer = await openPeer(definition);
    for (const bits of definition.bits) rows.push(await peerRow(bits, definition.name, peer, judge, context));
  }
  return [...rows, ...(await usageRows(network, seconds, context))];
}

function titleOf(name: NetworkName, { bits, mixed }: Pick<Case, "bits" | "mixed">): string {
  return `${name}, ${bitsName(bits)}${mixed ? " mixed" : ""}`;
}

function barOf({ least }: Case): string {
  return `>= ${(100 * least).toFixed(1).replace(/\.0$/, "")} %`;
}

/** A network with the images that its files are judged on, and what the float network says of them. */
interface Judge {
  readonly network: Network;
  readonly floatFile: string;
  readonly lists: ImageLists;
  readonly images: readonly Tensor<"float32">[];
  readonly floatClasses: readonly number[];
  /** One a draw. */
  readonly folders: readonly string[];
}

async function openJudge(network: Network, { code, reporter, smoke }: PartContext): Promise<Judge> {
  const lists = imageLists(await imagePaths(ALL_DOMAINS), countsOf(smoke));
  const { path: floatFile } = await exported(network, { float: true }, code, reporter);
  const images = await imageTensors(floatFile, pathsOf(lists.judged));
  const folders = await Promise.all(
    lists.calibration.map((list, draw) =>
      folderOf(ALL_DOMAINS, list, join(CACHE_FOLDER, "image-lists", `${lists.hash}-${draw}`)),
    ),
  );
  const floatClasses = await predictedClasses(floatFile, images);
  return { network, floatFile, lists, images, floatClasses, folders };
}

function pathsOf(list: readonly string[]): string[] {
  return list.map((path) => join(ALL_DOMAINS, path));
}

/** Kept beside the file: images and float classes follow from the lists and the folder that it lies in. */
async function agreementOf(
  file: string,
  { images, floatClasses, lists }: Judge,
  optimization: Peer["optimization"] = "all",
): Promise<number> {
  const path = join(dirname(file), `${basename(file)}-classes-${lists.hash}.json`);
  return agreement(await kept(path, () => predictedClasses(file, images, { optimization })), floatClasses);
}

interface Measured {
  readonly agreement: OverDraws;
  /** One a draw. */
  readonly sizes: readonly number[];
}

async function measure(
  options: FileOptions,
  judge: Judge,
  { code, reporter }: PartContext,
): Promise<Measured> {
  const shares: number[] = [];
  const sizes: number[] = [];
  for (const data of judge.folders) {
    // All images of the folder: the list is the draw.
    const asked = { ...options, heldOutCount: 0 };
    const { path, result } = await exported({ ...judge.network, data }, asked, code, reporter);
    shares.push(await agreementOf(path, judge));
    sizes.push(result.sizeBytes);
  }
  return { agreement: overDraws(shares), sizes };
}

function uniform([weightBits, activationBits]: Bits): FileOptions {
  return { weightBits, activationBits };
}

async function agreementRow(each: Case, judge: Judge, context: PartContext): Promise<Row> {
  const { bits, mixed, least } = each;
  const title = titleOf(judge.network.name, each);
  context.reporter.say(`lowbits: ${title}`);
  const same = await measure(uniform(bits), judge, context);
  const [averageBits, activationBits] = bits;
  const own = mixed ? await measure({ averageBits, activationBits }, judge, context) : same;
  const nearest = await measure({ ...uniform(bits), ptq: "nearest" }, judge, context);
  const larger = own.sizes.some((size, draw) => size > (same.sizes[draw] as number));
  return {
    name: title,
    value: percentages(own.agreement),
    bar: barOf(each),
    reached: own.agreement.mean >= least && !larger ? "yes" : "no",
    detail: [
      `nearest ${percentages(nearest.agreement)}`,
      kilobytes(own.sizes),
      ...(mixed
        ? [
            `uniform ${percentages(same.agreement)}, ${kilobytes(same.sizes)}${larger ? ", which is less" : ""}`,
          ]
        : []),
    ].join("; "),
  };
}

function kilobytes(sizes: readonly number[]): string {
  return `${(Math.max(...sizes) / 1000).toFixed(1)} kB`;
}

async function peerRow(
  bits: Bits,
  name: string,
  peer: Peer | { readonly missing: string },
  judge: Judge,
  context: PartContext,
): Promise<Row> {
  const title = `${titleOf(judge.network.name, { bits })} against ${name}`;
  if ("missing" in peer) return skippedRow(title, `> the best of ${name}`, peer.missing);
  context.reporter.say(`lowbits: ${title}`);
  const peers = await peerAgreements(bits, peer, judge);
  const own = (await measure(uniform(bits), judge, context)).agreement;
  const best = Math.max(...peers.map(({ share }) => share.mean));
  const told = peers.map(({ recipe, share }) => `${recipe} ${percentages(share)}`);
  return {
    name: title,
    value: percentages(own),
    bar: `> ${(100 * best).toFixed(1)} %`,
    reached: own.mean > best ? "yes" : "no",
    detail: `${told.join("; ")}; ${peer.versions}`,
  };
}

async function peerAgreements(
  bits: Bits,
  peer: Peer,
  judge: Judge,
): Promise<{ readonly recipe: string; readonly share: OverDraws }[]> {
  const made: string[] = [];
  for (const list of judge.lists.calibration) {
    made.push(await peer.files(judge.floatFile, await imageTensors(judge.floatFile, pathsOf(list))));
  }
  const found = [];
  for (const recipe of peer.recipes(bits)) {
    const shares = [];
    for (const folder of made)
      shares.push(await agreementOf(join(folder, peer.fileName(recipe, bits)), judge, peer.optimization));
    found.push({ recipe, share: overDraws(shares) });
  }
  return found;
}

/** What a user's own command takes: a folder, its images picked by the seed. */
async function usageRows(
  { name, model, preprocessing }: Network,
  most: number,
  { smoke, reporter }: PartContext,
): Promise<Row[]> {
  const { calibration } = countsOf(smoke);
  const title = `${name}, ${bitsName(TIMED_BITS)}, export with ${calibration} images`;
  const output = join(CACHE_FOLDER, "lowbits.onnx");
  const preprocess = preprocessing
    ? ["--preprocess", JSON.stringify(preprocessingToJson(preprocessing))]
    : [];
  const asked = ["--bits", String(TIMED_BITS[0]), "--calibration", ALL_DOMAINS, ...preprocess];
  const fewer = smoke ? ["--calibration-count", String(calibration), "--held-out", "4"] : [];
  const usages: Usage[] = [];
  for (let seed = 0; seed < (smoke ? 1 : TIMED_RUNS); seed++) {
    reporter.say(`lowbits: ${title}, seed ${seed}`);
    const seeded = ["--seed", String(seed), "-o", output, "--force"];
    usages.push(await runNode([CLI, "export", model, ...asked, ...fewer, ...seeded]));
  }
  const cpu = quartiles(usages.map(({ userMs, systemMs }) => (userMs + systemMs) / 1000));
  const wall = quartiles(usages.map(({ wallMs }) => wallMs / 1000));
  const peak = Math.max(...usages.map(({ peakBytes }) => peakBytes));
  return [
    {
      name: `${title}: CPU time`,
      value: `${spread(cpu, 1)} s`,
      bar: `<= ${most} s`,
      reached: cpu.median <= most ? "yes" : "no",
      detail: `by the clock ${spread(wall, 1)} s; ${usages.length} runs`,
    },
    {
      name: `${title}: memory`,
      value: `${(peak / 1e9).toFixed(2)} GB`,
      bar: `<= ${LARGEST_BYTES / 1e9} GB`,
      reached: peak <= LARGEST_BYTES ? "yes" : "no",
      detail: `largest of ${usages.length} runs`,
    },
  ];
}
