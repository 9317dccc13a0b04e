// `qdg inspect`: what is in an ONNX file or in a model before its export, as tables for people or as JSON.

import { Command } from "commander";
import { formatBytes } from "../../base/format-bytes.js";
import {
  type Inspection,
  inspectFile,
  type LayerInspection,
  type TensorDescription,
} from "../../export/inspect.js";
import { inspectModel, type ModelInspection } from "../../export/inspect-model.js";
import { modelPath } from "../../read/model-path.js";
import { formatTable } from "../table.js";
import { tell, type Terminal } from "../terminal.js";

interface Flags {
  readonly json?: boolean;
  readonly runtime: boolean;
}

export function inspectCommand(terminal: Terminal = process): Command {
  return new Command("inspect")
    .description("show layers, bits, scales, bytes, what fuses and how large integer sums get")
    .argument("<model.onnx>", "any ONNX file: an exported one, or a float one before an export")
    .option("--json", "print JSON on stdout")
    .option("--no-runtime", "do not load the file with ONNX Runtime to see what fuses")
    .action(async (path: string, flags: Flags) => {
      if ((await modelPath(path, "onnx")).kind === "model-json") {
        const model = await inspectModel(path);
        if (flags.json) terminal.stdout.write(`${JSON.stringify(model)}\n`);
        else tell(terminal.stdout, formatModel(model));
        return;
      }
      const inspection = await inspectFile(path, { runtime: flags.runtime });
      if (flags.json) terminal.stdout.write(`${JSON.stringify(inspection)}\n`);
      else tell(terminal.stdout, formatInspection(inspection));
    });
}

function linesOf(layers: Readonly<Record<string, readonly string[]>>): string[] {
  return Object.entries(layers).map(([op, names]) => `  ${op}: ${names.join(", ")}`);
}

/** The layers of a model that has not been exported, and what of it stays real. */
export function formatModel(model: ModelInspection): string {
  const named = model.labels === null ? "" : `, ${model.labels} classes by name`;
  const learned =
    model.learnedQuantizers === 0
      ? ""
      : `, ${model.learnedQuantizers} quantizers with learned scales${
          model.learnedBits.length === 0 ? "" : ` for each of ${model.learnedBits.join(", ")} bits`
        }`;
  const rows = model.layers.map(({ layer, op, weightShape, outputShape, weightCount }) => [
    layer,
    op,
    weightShape.join("x"),
    outputShape.join("x"),
    `${weightCount}`,
  ]);
  const inFloat = linesOf(model.inFloat);
  const notOnWebgpu = linesOf(model.notOnWebgpu);
  const lines = [
    `${model.path}: ${model.weightCount} numbers in weights and constants${named}${learned}`,
    ...model.inputs.map((input) => `input  ${describe(input)}`),
    ...model.outputs.map((output) => `output ${describe(output)}`),
    `operators: ${counts(model.operators)}`,
    "",
    formatTable(["layer", "op", "weight", "output", "weights"], rows),
    ...(inFloat.length > 0 ? ["in real numbers between quantizers:", ...inFloat] : []),
    ...(notOnWebgpu.length > 0 ? ["refused for --target webgpu:", ...notOnWebgpu] : []),
    ...(model.hasPreprocessing || !model.inputs.some(({ shape }) => shape.length === 4)
      ? []
      : ["note: does not say how images become its input; give --preprocess to export"]),
    ...model.warnings.map((warning) => `warning: ${warning}`),
  ];
  return `${lines.join("\n")}\n`;
}

export function formatInspection(inspection: Inspection): string {
  const { metadata } = inspection;
  const opsets = Object.entries(inspection.opsets).map(([domain, version]) => `${domain} ${version}`);
  const lines = [
    `${inspection.path}: ${formatBytes(inspection.sizeBytes)}, of which weights ${formatBytes(inspection.initializerBytes)}`,
    `written by ${inspection.producer || "an unknown tool"}; IR ${inspection.irVersion}, opset ${opsets.join(", ")}`,
    ...inspection.inputs.map((input) => `input  ${describe(input)}`),
    ...inspection.outputs.map((output) => `output ${describe(output)}`),
    ...Object.entries(metadata)
      .filter(([key]) => key !== "qdg.bits" && key !== "qdg.quantized")
      .map(([key, value]) => `${key}: ${value.length > 100 ? `${value.slice(0, 97)}...` : value}`),
    `operators: ${counts(inspection.operators)}`,
    ...(inspection.optimizedOperators
      ? [`as ONNX Runtime runs it: ${counts(inspection.optimizedOperators)}`]
      : []),
    ...(inspection.layers.length > 0 ? ["", layerTable(inspection.layers)] : []),
    ...inspection.notes.map((note) => `note: ${note}`),
  ];
  return `${lines.join("\n")}\n`;
}

function layerTable(layers: readonly LayerInspection[]): string {
  const rows = layers.map((layer) => [
    layer.layer,
    layer.op,
    layer.weightShape.join("x"),
    layer.outputShape.join("x"),
    layer.weightBits === null ? "float" : `${layer.weightBits}`,
    layer.activationBits === null ? "float" : `${layer.activationBits}`,
    formatBytes(layer.weightBytes),
    layer.weightScale ? layer.weightScale.map((scale) => scale.toPrecision(3)).join("..") : "",
    layer.kernel ?? "float",
    layer.accumulatorBound === null ? "" : `2^${Math.log2(Math.max(1, layer.accumulatorBound)).toFixed(1)}`,
    layer.exactInFloat32 === null ? "" : layer.exactInFloat32 ? "yes" : "NO",
  ]);
  const header = [
    "layer",
    "op",
    "weight",
    "output",
    "W",
    "A",
    "bytes",
    "weight scale",
    "kernel",
    "sum <=",
    "< 2^24",
  ];
  return formatTable(header, rows);
}

function describe({ name, dtype, shape }: TensorDescription): string {
  return `${name}: ${dtype} [${shape.join(", ")}]`;
}

function counts(operators: Readonly<Record<string, number>>): string {
  return Object.entries(operators)
    .map(([name, count]) => `${count} ${name}`)
    .join(", ");
}
