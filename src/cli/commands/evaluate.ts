// `qdg evaluate`: accuracy by domain and class on each target; of several files also averaged. The table, or JSON
// with --json, goes to stdout.

import { Command } from "commander";
import type { EvaluateOptions } from "../../train/evaluation/evaluate.js";
import { parseTargets } from "../../runtime/registry.js";
import { RUNTIME_NAMES, type RuntimeName } from "../../runtime/runtime.js";
import { addBrowserOptions, type BrowserFlags, browserOptions } from "../browser-options.js";
import {
  addLayoutOption,
  addOutputKindOption,
  type LayoutFlag,
  type OutputKindFlag,
} from "../image-options.js";
import { integer, names, preprocessing, size } from "../option-parsers.js";
import { terminalProgress } from "../progress.js";
import { tell, type Terminal } from "../terminal.js";

/** Exit code when targets of a quantized file do not predict the same. */
const TARGETS_DIFFER = 3;

interface Flags extends BrowserFlags, LayoutFlag, OutputKindFlag {
  readonly data: string;
  readonly targets: readonly RuntimeName[];
  readonly domains?: readonly string[];
  readonly limit?: number;
  readonly preprocess?: string;
  readonly inputSize?: readonly [number, number];
  readonly labels?: readonly string[];
  readonly skipBroken?: boolean;
  readonly cache: string | boolean;
  readonly json?: boolean;
}

export function evaluateCommand(terminal: Terminal = process): Command {
  const command = new Command("evaluate")
    .description("accuracy by domain and class on each target; several files are also averaged")
    .argument(
      "<model...>",
      "model.json or .onnx files with the same classes; one that was trained is evaluated as it would be exported",
    )
    .requiredOption(
      "--data <folder>",
      "images as class/image or domain/class/image, or shapes-dg or digits-drawn",
    )
    .option(
      "--targets <list>",
      `${RUNTIME_NAMES.join(", ")}; float (or tfjs) is the float network`,
      parseTargets,
      ["cpu", "wasm"],
    )
    .option("--domains <list>", "only these domains, separated by commas", names)
    .option("--limit <n>", "images per domain at most, spread over its classes", integer("--limit", 1))
    .option(
      "--preprocess <range>",
      'how pixels become the input, instead of what the file says: "lo,hi" or JSON',
    )
    .option("--input-size <size>", "image size for a file that leaves it open: 224", size("--input-size"))
    .option("--labels <list>", "names of the classes in order, separated by commas", names)
    .option("--skip-broken", "leave out images that cannot be decoded")
    .option("--cache <folder>", "where decoded images are kept")
    .option("--no-cache", "keep no decoded images")
    .option("--json", "print the result as JSON on stdout")
    .action(async (models: readonly string[], flags: Flags) => {
      const [{ evaluate }, { formatEvaluation }] = await Promise.all([
        import("../../train/evaluation/evaluate.js"),
        import("../../train/evaluation/format-evaluation.js"),
      ]);
      const evaluation = await evaluate(await toOptions(models, flags, terminal), terminalProgress());
      if (flags.json) terminal.stdout.write(`${JSON.stringify(evaluation)}\n`);
      else tell(terminal.stdout, formatEvaluation(evaluation));
      if (!evaluation.agrees) terminal.exitCode = TARGETS_DIFFER;
    });
  return addBrowserOptions(addOutputKindOption(addLayoutOption(command)));
}

async function toOptions(
  models: readonly string[],
  flags: Flags,
  terminal: Terminal,
): Promise<EvaluateOptions> {
  const { json: _, preprocess, cache, browser, browserTimeout, ...rest } = flags;
  return {
    ...rest,
    models,
    runtimeOptions: browserOptions({ browser, browserTimeout }, rest.targets),
    onNote: (note) => tell(terminal.stderr, `note: ${note}\n`),
    ...(preprocess !== undefined && { preprocessing: await preprocessing(preprocess) }),
    ...(cache === false && { cacheFolder: null }),
    ...(typeof cache === "string" && { cacheFolder: cache }),
  };
}
