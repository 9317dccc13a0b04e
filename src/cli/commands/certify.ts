// `qdg certify`: one JSON and one page that say whether every target computes what the reference does, and with --verify
// whether such a certificate still holds.

import { Command } from "commander";
import { join } from "node:path";
import { checkWritable, writeFilesAtomic } from "../../base/atomic-file.js";
import { QdgError } from "../../base/error.js";
import {
  CERTIFIED_TARGETS,
  type Certificate,
  type CertifiedTarget,
  hasPassed,
} from "../../parity/certificate.js";
import { DEFAULT_COUNT } from "../../parity/parity.js";
import { addBrowserOptions, type BrowserFlags, browserOptions } from "../browser-options.js";
import { addImageOptions, type ImageFlags } from "../image-options.js";
import { integer, oneOf, preprocessing } from "../option-parsers.js";
import { terminalProgress } from "../progress.js";
import { skippedImages } from "../skipped-images.js";
import { tell, type Terminal } from "../terminal.js";

/** Exit code when a target falls outside what it promises, or a certificate does not hold. */
const OUTSIDE = 3;
const DEFAULT_TARGETS: readonly CertifiedTarget[] = ["cpu", "wasm"];

/** What a certificate states, so that a rerun takes it from there. */
const OWN_OPTIONS = [
  "targets",
  "count",
  "seed",
  "skipBroken",
  "engineAfter",
  "preprocess",
  "inputSize",
  "labels",
  "output",
] as const;

interface Flags extends BrowserFlags, ImageFlags {
  readonly data?: readonly string[];
  readonly targets?: readonly CertifiedTarget[];
  readonly count?: number | null;
  readonly seed?: number;
  readonly skipBroken?: boolean;
  readonly engineAfter?: number;
  readonly output?: string;
  readonly force?: boolean;
  readonly verify?: string;
  readonly json?: boolean;
}

export function certifyCommand(terminal: Terminal = process): Command {
  const command = new Command("certify")
    .description(
      "certify that every target computes the same integers, as JSON and as a page; exit 3 when not",
    )
    .argument("[model]", "the model that was exported: a model.json or a float ONNX file")
    .argument("[folder]", "the folder with its .onnx files")
    .option("--data <path...>", "folder of images, file.npy, input=file.npy for each input, or random:100")
    .option(
      "--targets <list>",
      `among ${CERTIFIED_TARGETS.join(", ")} (default: ${DEFAULT_TARGETS.join(",")})`,
      targetsOf,
    )
    .option("--count <n>", `samples to compare on, or all (default: ${DEFAULT_COUNT})`, countOf)
    .option("--seed <n>", "which samples are picked (default: 0)", integer("--seed", 0))
    .option(
      "--engine-after <n>",
      "after n inputs the engine stands in for the reference, if it equals it on these (default: never)",
      integer("--engine-after", 1),
    )
    .option("--skip-broken", "leave out images that cannot be decoded")
    .option(
      "-o, --output <file>",
      "JSON file to write, the page beside it (default: certificate.json in the folder)",
    )
    .option("--force", "replace files that exist")
    .option("--verify <certificate.json>", "check hashes, run again with its options, and compare")
    .option("--json", "print the certificate as JSON on stdout")
    .action(async (model: string | undefined, folder: string | undefined, flags: Flags) => {
      const passed =
        flags.verify === undefined
          ? await certifyFiles(model, folder, flags, terminal)
          : await verify(flags.verify, model, folder, flags, terminal);
      if (!passed) terminal.exitCode = OUTSIDE;
    });
  return addBrowserOptions(addImageOptions(command));
}

async function certifyFiles(
  model: string | undefined,
  folder: string | undefined,
  flags: Flags,
  terminal: Terminal,
): Promise<boolean> {
  const { data, targets = DEFAULT_TARGETS, output, force = false, json, count, seed, skipBroken } = flags;
  const { preprocess, inputSize, labels, engineAfter } = flags;
  if (model === undefined || folder === undefined) {
    throw new QdgError(
      "usage",
      "qdg certify",
      "expected the model and the folder of the .onnx files made from it",
    );
  }
  if (!data) {
    throw new QdgError("usage", "--data", "got none, expected a folder of images, file.npy or random:100");
  }
  const runtimeOptions = browserOptions(flags, targets);
  const path = output ?? join(folder, "certificate.json");
  const page = `${path.replace(/\.json$/i, "")}.html`;
  for (const each of [path, page]) await checkWritable(each, force);
  const [{ certify }, { certificatePage }] = await Promise.all([
    import("../../parity/certify.js"),
    import("../../parity/certificate-page.js"),
  ]);
  const certificate = await certify({
    model,
    folder,
    data,
    targets,
    ...(count !== undefined && { count }),
    ...(seed !== undefined && { seed }),
    ...(skipBroken !== undefined && { skipBroken }),
    ...(preprocess !== undefined && { preprocessing: await preprocessing(preprocess) }),
    ...(inputSize && { inputSize }),
    ...(labels && { labels }),
    ...(engineAfter !== undefined && { engineAfter }),
    runtimeOptions,
    onSkipped: skippedImages(terminal),
    progress: terminalProgress(),
  });
  const text = `${JSON.stringify(certificate, null, 1)}\n`;
  const files = [
    { path, bytes: text },
    { path: page, bytes: certificatePage(certificate) },
  ];
  await writeFilesAtomic(files, { force });
  if (json) terminal.stdout.write(`${JSON.stringify(certificate)}\n`);
  for (const note of certificate.notes) tell(terminal.stderr, `note: ${note}\n`);
  tell(terminal.stderr, `${summary(certificate)}; ${path}, ${page}\n`);
  for (const reason of certificate.reasons) tell(terminal.stderr, `  ${reason}\n`);
  sayUncertified(certificate, terminal);
  return hasPassed(certificate);
}

async function verify(
  path: string,
  model: string | undefined,
  folder: string | undefined,
  { data, json, ...rest }: Flags,
  terminal: Terminal,
): Promise<boolean> {
  for (const name of OWN_OPTIONS) {
    if (rest[name] === undefined) continue;
    const option = name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw new QdgError("usage", "--verify", `runs with the certificate's own options; leave --${option} out`);
  }
  const { verifyCertificate } = await import("../../parity/verify-certificate.js");
  const { rerun, differences, notes } = await verifyCertificate(path, {
    ...(model !== undefined && { model }),
    ...(folder !== undefined && { folder }),
    ...(data && { data }),
    runtimeOptions: browserOptions(rest, null),
    onSkipped: skippedImages(terminal),
    progress: terminalProgress(),
  });
  if (json) terminal.stdout.write(`${JSON.stringify(rerun)}\n`);
  for (const note of notes) tell(terminal.stderr, `note: ${note}\n`);
  const holds = differences.length === 0;
  const verdict = holds ? "VERIFIED" : `NOT VERIFIED, ${differences.length} difference(s)`;
  tell(terminal.stderr, `${path}: ${verdict}; ${summary(rerun)}\n`);
  for (const line of [...differences, ...rerun.reasons]) tell(terminal.stderr, `  ${line}\n`);
  sayUncertified(rerun, terminal);
  return holds && hasPassed(rerun);
}

function sayUncertified({ uncertified }: Certificate, terminal: Terminal): void {
  if (uncertified.length === 0) return;
  tell(terminal.stderr, `not certified: ${uncertified.join(", ")}; no target ran what is in these files\n`);
}

/** "PASSED: cpu, wasm; 0 of 318,720 quantized elements differ on 10 inputs". */
function summary(certificate: Certificate): string {
  const { targets, data } = certificate;
  const elements = targets.reduce((sum, each) => sum + each.elements, 0);
  const same = targets.reduce(
    (sum, { histogram }) => sum + (histogram.find(([steps]) => steps === 0)?.[1] ?? 0),
    0,
  );
  const compared = targets.map(({ target }) => target).join(", ");
  return `${hasPassed(certificate) ? "PASSED" : "NOT PASSED"}: ${compared}; ${elements - same} of ${elements} quantized elements differ on ${data.inputs} input(s)`;
}

function targetsOf(text: string): CertifiedTarget[] {
  const parse = oneOf("--targets", CERTIFIED_TARGETS);
  const targets = text.split(",").map((part) => parse(part.trim()));
  if (new Set(targets).size === targets.length) return targets;
  throw new QdgError("usage", "--targets", `got "${text}", expected each target once`);
}

function countOf(text: string): number | null {
  return text === "all" ? null : integer("--count", 1)(text);
}
