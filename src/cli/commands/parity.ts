// `qdg parity`: says whether a file computes on its targets what the reference computes, and how far that is
// from the float model. The report goes to stdout as JSON with --json, to stderr as a table without.

import { Command } from "commander";
import { checkWritable, writeFileAtomic } from "../../base/atomic-file.js";
import type { Progress } from "../../base/progress.js";
import { junitXml } from "../../parity/junit.js";
import { parity, DEFAULT_COUNT, type ParityOptions } from "../../parity/parity.js";
import { formatReport } from "../../parity/report.js";
import { parseTargets } from "../../runtime/registry.js";
import type { RuntimeName } from "../../runtime/runtime.js";
import { addBrowserOptions, type BrowserFlags, browserOptions } from "../browser-options.js";
import { addImageOptions, addLayoutOption, type ImageFlags, type LayoutFlag } from "../image-options.js";
import { integer, preprocessing } from "../option-parsers.js";
import { terminalProgress } from "../progress.js";
import { skippedImages } from "../skipped-images.js";
import { tell, type Terminal } from "../terminal.js";

/** Exit code of a report outside the tolerance. */
const OUTSIDE_TOLERANCE = 3;

interface Flags extends BrowserFlags, ImageFlags, LayoutFlag {
  readonly data: readonly string[];
  readonly reference?: string;
  readonly targets: readonly RuntimeName[];
  readonly intermediates?: boolean;
  readonly locate?: boolean;
  readonly count: number | null;
  readonly seed: number;
  readonly skipBroken?: boolean;
  readonly json?: boolean;
  readonly junit?: string;
}

export function parityCommand(terminal: Terminal = process): Command {
  const command = new Command("parity")
    .description("compare a file on its targets with the reference interpreter, and with the float model")
    .argument("<model.onnx>", "file to check")
    .requiredOption(
      "--data <path...>",
      "folder of images, file.npy, input=file.npy for each input, or random:100",
    )
    .option(
      "--reference <file>",
      "float model to measure against: a layers-model, a graph-model or an ONNX file",
    )
    .option("--targets <list>", "runtimes to check, separated by commas", parseTargets, ["cpu", "wasm"])
    .option("--intermediates", "compare every quantized tensor, not only the outputs")
    .option("--locate", "name the first layer that differs")
    .option("--count <n>", "samples to compare on, or all", countOf, DEFAULT_COUNT)
    .option("--seed <n>", "which samples are picked", integer("--seed", 0), 0)
    .option("--skip-broken", "leave out images that cannot be decoded")
    .option("--json", "print the report as JSON on stdout")
    .option("--junit <file>", "write the report as JUnit XML too, for a build server; replaced if it exists")
    .action(async (model: string, flags: Flags) => {
      const { json, junit, preprocess, browser, browserTimeout, ...rest } = flags;
      terminal.exitCode = await runParity(
        {
          ...rest,
          model,
          runtimeOptions: browserOptions({ browser, browserTimeout }, rest.targets),
          ...(preprocess !== undefined && { preprocessing: await preprocessing(preprocess) }),
          onSkipped: skippedImages(terminal),
        },
        { json: json ?? false, ...(junit !== undefined && { junit }) },
        terminalProgress(),
        terminal,
      );
    });
  return addBrowserOptions(addLayoutOption(addImageOptions(command)));
}

export interface ParityOutput {
  /** The report as JSON on stdout, instead of the text on stderr. */
  readonly json: boolean;
  /** Path of a JUnit file to write as well. */
  readonly junit?: string;
}

/** @returns the exit code: 0, or 3 when the report does not pass */
export async function runParity(
  options: ParityOptions,
  { json, junit }: ParityOutput,
  progress: Progress,
  terminal: Terminal = process,
): Promise<number> {
  if (junit !== undefined) await checkWritable(junit, true);
  const report = await parity({ ...options, progress });
  if (json) terminal.stdout.write(`${JSON.stringify(report)}\n`);
  else tell(terminal.stderr, formatReport(report));
  if (junit !== undefined) await writeFileAtomic(junit, junitXml(report), { force: true });
  return report.passed ? 0 : OUTSIDE_TOLERANCE;
}

function countOf(text: string): number | null {
  return text === "all" ? null : integer("--count", 1)(text);
}
