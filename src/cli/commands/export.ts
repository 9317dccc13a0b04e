// `qdg export` and `qdg-export`: a tfjs model.json or a float ONNX file becomes an ONNX file. Says what it cost.

import { Command } from "commander";
import { formatBytes } from "../../base/format-bytes.js";
import { type ExportedFile, exportModel, type ExportResult } from "../../export/export-model.js";
import type { ChosenActivationBits } from "../../export/budget/average-activations.js";
import type { ChosenBits } from "../../export/budget/under-budget.js";
import { type ExportOptions, PTQ, TARGETS } from "../../export/options.js";
import { reportLine } from "../../export/report/report-page.js";
import type { FileVerification } from "../../export/verify-file.js";
import { HOST_FORMS, WEIGHT_STORAGES } from "../../lower/form.js";
import { DEFAULT_OPSET } from "../../onnx/opset.js";
import { OBSERVER_NAMES } from "../../quant/observers/observers.js";
import { modelPath } from "../../read/model-path.js";
import {
  bitCount,
  byteCount,
  decimal,
  integer,
  layerBits,
  listOf,
  oneOf,
  preprocessing,
  size,
} from "../option-parsers.js";
import { terminalProgress } from "../progress.js";
import { tell, type Terminal } from "../terminal.js";

interface Flags extends Omit<
  ExportOptions,
  "model" | "output" | "preprocessing" | "layers" | "powerOfTwo" | "targets" | "heldOutCount"
> {
  readonly output?: string;
  readonly layerBits?: string;
  readonly preprocess?: string;
  readonly scales: "free" | "pow2";
  readonly target: ExportOptions["targets"];
  readonly heldOut?: number;
  readonly json?: boolean;
}

export function exportCommand(name: string, terminal: Terminal = process): Command {
  return new Command(name)
    .description("write a tfjs model or a float ONNX model as ONNX, quantized to b bits or in float32")
    .argument(
      "<model>",
      "model.json of a tfjs layers-model or graph-model, or a float ONNX file; or the folder of one",
    )
    .option(
      "-o, --output <file>",
      "ONNX file to write (default: beside the model, model.onnx for model.json, name.qdg.onnx for name.onnx)",
    )
    .option("--force", "replace the file if it exists")
    .option("--float", "plain float32 ONNX, nothing quantized")
    .option("--bits <b>", "bits of inner weights, 2 to 8", bitCount("--bits"))
    .option("--weight-bits <b>", "the same as --bits", bitCount("--weight-bits"))
    .option(
      "--activation-bits <b>",
      "bits of inner activations (default: 8, or as they were learned)",
      bitCount("--activation-bits"),
    )
    .option(
      "--first-last-bits <b>",
      "bits of the first and last layers (default: 8)",
      bitCount("--first-last-bits"),
    )
    .option(
      "--layer-bits <file>",
      'JSON file: {"layer": bits of its weights} or {"layer": {"weightBits": b, "activationBits": b}}; * in a name is any text',
    )
    .option(
      "--budget <size>",
      "bits by layer, chosen for a file of at most this size: 450kB, 1.5MB (kB = 1000 bytes)",
      byteCount("--budget"),
    )
    .option(
      "--average-bits <b>",
      "the same for the size that inner weights of b bits would have; 3.5 too",
      decimal("--average-bits", "a number from 2 to 8"),
    )
    .option(
      "--min-agreement <percent>",
      "bits by layer for the smallest file whose top-1 agreement on held-out samples reaches this",
      decimal("--min-agreement", "a percentage"),
    )
    .option(
      "--average-activation-bits <b>",
      "bits by layer of activations, chosen for a mean of b over the elements of a sample; 4.5 too",
      decimal("--average-activation-bits", "a number from 2 to 8"),
    )
    .option(
      "--search-time <seconds>",
      "seconds to better the chosen bits by trial on the whole network (default: 0)",
      decimal("--search-time", "seconds"),
    )
    .option(
      "--calibration <path...>",
      "folder of images, file.npy, input=file.npy for each input, or the word synthetic: drawn images, where there are no real ones",
    )
    .option(
      "--calibration-count <n>",
      "samples to calibrate on (default: 64)",
      integer("--calibration-count", 1),
    )
    .option("--held-out <n>", "other samples to measure the cost on (default: 32)", integer("--held-out", 0))
    .option("--seed <n>", "which samples are picked (default: 0)", integer("--seed", 0))
    .option("--skip-broken", "leave out images that cannot be decoded")
    .option(
      "--observer <name>",
      "how scales of activations are found (default: mse)",
      oneOf("--observer", OBSERVER_NAMES),
    )
    .option(
      "--ptq <how>",
      "how weights become integers: reconstruct (what the layer gives on the calibration samples stays), or nearest (default: reconstruct where there are samples)",
      oneOf("--ptq", PTQ),
    )
    .option("--no-bias-correction", "leave the biases as they are")
    .option(
      "--scales <kind>",
      "free, or pow2: only powers of two",
      oneOf("--scales", ["free", "pow2"]),
      "free",
    )
    .option(
      "--signed-activations <kind>",
      "asymmetric, or signed: symmetric around 0 (default: asymmetric)",
      oneOf("--signed-activations", ["asymmetric", "signed"]),
    )
    .option("--preprocess <range>", 'how pixels become the input: "lo,hi", JSON, or a JSON file')
    .option(
      "--input-size <size>",
      "image size for a model that leaves it open: 224 or 192x256",
      size("--input-size"),
    )
    .option(
      "--layout <layout>",
      "nhwc as in tfjs, or nchw; of an ONNX file what it is, where its input does not tell (default: nhwc of a tfjs model)",
      oneOf("--layout", ["nhwc", "nchw"]),
    )
    .option("--opset <n>", `ONNX opset to write (default: ${DEFAULT_OPSET})`, integer("--opset", 1))
    .option(
      "--weights <storage>",
      "how weights below 8 bits are stored (default: packed)",
      oneOf("--weights", WEIGHT_STORAGES),
    )
    .option(
      "--target <list>",
      "cpu, wasm, webgpu: one file for the first two, <output>.webgpu.onnx for the third (default: cpu,wasm)",
      listOf("--target", TARGETS),
    )
    .option(
      "--form <form>",
      "on cpu and wasm: integer kernels, or integer-valued float (default: by target)",
      oneOf("--form", HOST_FORMS),
    )
    .option("--tune", "choose the form by timing the whole model on cpu and wasm")
    .option("--no-verify", "write the file without comparing its integers on cpu with the reference's")
    .option("--report <file>", "HTML page to write beside: what the export did to each layer")
    .option("--json", "print the result as JSON on stdout")
    .action(async (model: string, flags: Flags) => {
      const result = await exportModel(await toOptions(model, flags, terminal), terminalProgress());
      if (flags.json) terminal.stdout.write(`${JSON.stringify(result)}\n`);
      else tell(terminal.stderr, describe(result));
    });
}

async function toOptions(model: string, flags: Flags, terminal: Terminal): Promise<ExportOptions> {
  const { output, layerBits: layerBitsFile, preprocess, scales, target, heldOut, json: _, ...rest } = flags;
  const { kind, path: file } = await modelPath(model);
  return {
    ...rest,
    model: file,
    output: output ?? file.replace(/\.(json|onnx)$/i, "") + (kind === "onnx" ? ".qdg.onnx" : ".onnx"),
    powerOfTwo: scales === "pow2",
    onSkipped: ({ entry, reason }) => tell(terminal.stderr, `skipped ${entry.path}: ${reason}\n`),
    ...(layerBitsFile !== undefined && { layers: await layerBits(layerBitsFile, "weights") }),
    ...(preprocess !== undefined && { preprocessing: await preprocessing(preprocess) }),
    ...(target && { targets: target }),
    ...(heldOut !== undefined && { heldOutCount: heldOut }),
  };
}

/** What a person wants to know after an export. */
export function describe(result: ExportResult): string {
  const lines = fileLines(result.files);
  if (result.scales !== "float") {
    const counts = new Map<number, number>();
    for (const [weightBits] of Object.values(result.bits))
      counts.set(weightBits, (counts.get(weightBits) ?? 0) + 1);
    const bits = [...counts]
      .sort((a, b) => a[0] - b[0])
      .map(([b, layers]) => `${layers} layer(s) at ${b} bits`);
    const form = result.scales === "weights-only" || result.files.length > 1 ? "" : `; ${result.form} form`;
    lines.push(`weights: ${bits.join(", ")}; scales ${result.scales}${form}`);
  }
  if (result.chosen) lines.push(chosenLine(result.chosen));
  if (result.chosenActivations) lines.push(chosenActivationsLine(result.chosenActivations));
  const { cost, report } = result;
  if (cost) {
    const agreement =
      cost.agreement === null ? "" : `, top-1 agreement ${(100 * cost.agreement).toFixed(1)} %`;
    const samples = cost.drawn ? "drawn images" : "held-out samples";
    const difference =
      cost.sqnrDb === Number.POSITIVE_INFINITY ? "equal outputs" : `SQNR ${cost.sqnrDb.toFixed(1)} dB`;
    lines.push(`against the float model on ${cost.samples} ${samples}: ${difference}${agreement}`);
  } else if (result.scales !== "float") {
    const remedy = result.scales === "calibrated" ? "calibration took all; give more" : "give --calibration";
    lines.push(`cost not measured: no held-out samples (${remedy})`);
  }
  if (result.scales !== "float") lines.push(verificationLine(result.verification));
  if (report) lines.push(`${report.path}: ${reportLine(result, report)}`);
  lines.push(...result.warnings.map((warning) => `warning: ${warning}`));
  return `${lines.join("\n")}\n`;
}

/** What was chosen under a budget, and what it was compared with. */
function chosenLine({
  option,
  asked,
  written,
  averageBits,
  comparedOn,
  uniform,
  mixedSqnrDb,
  search,
}: ChosenBits): string {
  const goal =
    option === "--budget" ? formatBytes(asked) : option === "--average-bits" ? `${asked} bits` : `${asked} %`;
  const what =
    written === "mixed"
      ? `chosen for ${option} ${goal}: ${averageBits.toFixed(2)} bits on average`
      : `for ${option} ${goal} all inner layers have ${uniform?.bits} bits: bits by layer were worse`;
  const gain = gainOf(search);
  if (mixedSqnrDb === null || !uniform) return what + gain;
  const { bits, sizeBytes, sqnrDb } = uniform;
  return `${what} (on the ${comparedOn} samples ${mixedSqnrDb.toFixed(1)} dB, with ${bits} bits in all inner layers ${sqnrDb.toFixed(1)} dB at ${formatBytes(sizeBytes)})${gain}`;
}

/** What was chosen for activations, and what it was compared with. */
function chosenActivationsLine({
  asked,
  written,
  averageBits,
  comparedOn,
  uniform: { bits, sqnrDb },
  mixedSqnrDb,
  search,
}: ChosenActivationBits): string {
  const option = `--average-activation-bits ${asked}`;
  const what =
    written === "mixed"
      ? `chosen for ${option}: ${averageBits.toFixed(2)} bits of an activation on average`
      : `for ${option} all computed activations have ${bits} bits: bits by layer were worse`;
  return `${what} (on the ${comparedOn} samples ${mixedSqnrDb.toFixed(1)} dB, with ${bits} bits in all of them ${sqnrDb.toFixed(1)} dB)${gainOf(search)}`;
}

function gainOf(search: ChosenBits["search"]): string {
  return search
    ? `; ${search.trials} trials gained ${search.gainDb.toFixed(1)} dB on the samples tried on`
    : "";
}

function verificationLine(verification: FileVerification): string {
  if ("skipped" in verification) return `integers not verified: ${verification.skipped}`;
  const { samples, source, tensors, integers, ties } = verification;
  const same = ties === 0 ? "all" : `all but ${ties}`;
  return `verified on ${samples} ${source} sample${samples === 1 ? "" : "s"}: ${same} of ${integers} integers in ${tensors} tensors are the reference's`;
}

/** One line per file: where it is and how large; of several also what for, and how it carries integers. */
function fileLines(files: readonly ExportedFile[]): string[] {
  if (files.length === 1) return files.map(({ path, sizeBytes }) => `${path}: ${formatBytes(sizeBytes)}`);
  const width = Math.max(...files.map(({ path }) => path.length));
  return files.map(({ path, sizeBytes, targets, form }) => {
    const bytes = formatBytes(sizeBytes).padStart(9);
    return `${path.padEnd(width)}  ${bytes}  for ${targets.join(", ").padEnd(9)}  ${form} form`;
  });
}
