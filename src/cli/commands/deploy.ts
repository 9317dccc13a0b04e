// `qdg deploy`: exported files to a static folder with a page, checked on every visitor's device.

import { Command } from "commander";
import { QdgError } from "../../base/error.js";
import { formatBytes } from "../../base/format-bytes.js";
import type { DeployResult, SiteFile, SiteRole } from "../../deploy/site.js";
import { addOutputKindOption, type OutputKindFlag } from "../image-options.js";
import { oneOf, readText, size } from "../option-parsers.js";
import { terminalProgress } from "../progress.js";
import { formatTable } from "../table.js";
import { tell, type Terminal } from "../terminal.js";

interface Flags extends OutputKindFlag {
  readonly to: string;
  readonly title?: string;
  readonly labels?: string;
  readonly inputSize?: readonly [number, number];
  readonly engine?: "auto" | "only";
  readonly compare?: boolean;
  readonly force?: boolean;
  readonly json?: boolean;
}

export function deployCommand(terminal: Terminal = process): Command {
  const command = new Command("deploy")
    .description("make a static site of exported files: page, runtime, model, self-test, offline use")
    .argument("<folder>", "holds model.onnx, and model.webgpu.onnx for visitors with WebGPU")
    .requiredOption("--to <folder>", "the site; an earlier one is replaced")
    .option("--title <text>", "the page's heading")
    .option("--labels <names>", "names of the classes in order: a,b,c or a .txt file, one per line")
    .option("--input-size <size>", "where the model leaves it open: 224 or 192x256", size("--input-size"))
    .option(
      "--engine <which>",
      "auto: ONNX Runtime beside the engine, for visitors who need it; only: the engine alone",
      oneOf("--engine", ["auto", "only"]),
    )
    .option("--compare", "the folder's float32 file too, for visitors to compare times with")
    .option("--force", "replace a folder that holds other files too")
    .option("--json", "print the files and the manifest as JSON on stdout")
    .action(async (folder: string, { json, labels, ...flags }: Flags) => {
      const { deploySite } = await import("../../deploy/site.js");
      const named = labels === undefined ? {} : { labels: await labelList(labels) };
      const progress = terminalProgress();
      const result = await deploySite({ folder, ...flags, ...named }, progress);
      const { brotliSizes } = await import("../../deploy/brotli-sizes.js");
      const paths = result.files.map((file) => file.path);
      const brotli = await brotliSizes(result.path, paths, progress);
      const files = result.files.map((file, i) => ({ ...file, brotliBytes: brotli[i] ?? 0 }));
      if (json) terminal.stdout.write(`${JSON.stringify({ ...result, files })}\n`);
      else tell(terminal.stdout, formatResult(result, files));
    });
  return addOutputKindOption(command);
}

/** `a,b,c`, or the lines of a .txt file. @throws QdgError `usage`, `not-found` */
async function labelList(text: string): Promise<readonly string[]> {
  const isFile = text.toLowerCase().endsWith(".txt");
  const labels = (isFile ? (await readText(text)).split(/\r?\n/) : text.split(",")).map((label) =>
    label.trim(),
  );
  // A file ends in a line break.
  if (isFile && labels.at(-1) === "") labels.pop();
  if (labels.length > 0 && labels.every((label) => label !== "")) return labels;
  throw new QdgError(
    "usage",
    "--labels",
    `got "${text.slice(0, 60)}", expected a name for each class, none empty`,
  );
}

/** Runtimes in the order in which a page tries them. */
const VISITS: readonly (readonly [role: SiteRole, name: string])[] = [
  ["engine", "the engine"],
  ["webgpu", "ONNX Runtime on WebGPU"],
  ["wasm", "ONNX Runtime on WebAssembly"],
];

interface MeasuredFile extends SiteFile {
  readonly brotliBytes: number;
}

function formatResult(
  { path, manifest, refusedByEngine }: DeployResult,
  files: readonly MeasuredFile[],
): string {
  const rows = files.map((file) => [
    file.path,
    file.roles.join(", "),
    formatBytes(file.sizeBytes),
    formatBytes(file.brotliBytes),
  ]);
  const visit = (role: SiteRole, column: "sizeBytes" | "brotliBytes"): string =>
    formatBytes(
      files
        .filter(({ roles }) => roles.includes("page") || roles.includes(role))
        .reduce((sum, file) => sum + file[column], 0),
    );
  const used = manifest.runtime.files.map(({ engine, device }) => (engine === "qdg" ? "engine" : device));
  const roles = VISITS.filter(([role]) => used.some((each) => each === role));
  const visits = roles.map(
    ([role, name]) =>
      `a first visit with ${name} loads ${visit(role, "sizeBytes")}, ${visit(role, "brotliBytes")} as brotli`,
  );
  const { cases } = manifest.selfTest;
  const tensors = manifest.models[0]?.integers.tensors.length ?? 0;
  return [
    formatTable(["file", "for", "size", "brotli"], rows),
    "",
    ...visits,
    `self-test: outputs for ${cases.length} ${manifest.classifier ? "pictures" : "inputs"}, every integer of ${tensors} tensors for the first; known from the reference`,
    ...(refusedByEngine === null
      ? []
      : [`the engine does not run it, so visitors get ONNX Runtime: ${refusedByEngine}`]),
    ...(manifest.classifier
      ? []
      : ["no labels, so the page shows numbers; --labels makes a page that classifies images"]),
    `wrote ${path}; look at it with: qdg serve ${path}`,
    "",
  ].join("\n");
}
