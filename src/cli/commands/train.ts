// `qdg train`: from a folder of images by class, or by domain and class, to a model whose scales are learned.
// Options are the table's in src/train/run; what trains is loaded when it is needed, since tfjs takes a second.

import { Command, Option } from "commander";
import { shellWord } from "../../sweep/shell-word.js";
import { OPTION_GROUPS } from "../../train/run/option-groups.js";
import { type OptionRow, parseOption } from "../../train/run/option-kinds.js";
import { flagOf, TRAIN_OPTIONS } from "../../train/run/option-table.js";
import type { AskedTrainOptions, TrainOptionName } from "../../train/run/train-options.js";
import type { Evaluation } from "../../train/run/evaluate-domains.js";
import type { TrainResult } from "../../train/run/train.js";
import { interruptible } from "../interruption.js";
import { layerBits, preprocessing } from "../option-parsers.js";
import { formatTable } from "../table.js";
import { tellSupervisor } from "../tell-supervisor.js";
import { tell, type Terminal } from "../terminal.js";
import { type LineSink, TrainProgress } from "../train-progress.js";

interface Flags extends Readonly<Record<string, unknown>> {
  readonly out: string;
  readonly resume?: boolean;
  readonly force?: boolean;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  qdg train --data photos --bits 3 --out runs/photos
  qdg train --data shapes-dg --test-domain sketch --bits 3 --out runs/shapes
  qdg train --data photos --bits 4 --model resnet.onnx --preprocess imagenet.json --out runs/x
  qdg train --data PACS --test-domain sketch --bits 3 --model mobilenet/model.json --image-size 96 --out runs/pacs
  qdg train --out runs/pacs --resume

Data is a folder of class/image, or of domain/class/image where images come from several places. A stopped run goes on by --resume, as if it had never stopped.`;

export function trainCommand(terminal: Terminal = process): Command {
  const command = new Command("train").description(
    "train a low-bit network that holds up in domains it has not seen, with quantizers in place",
  );
  for (const [group, names] of Object.entries(OPTION_GROUPS)) {
    for (const name of names) {
      command.addOption(toOption(name).helpGroup(group));
      // What is most needed stands together.
      if (name === "steps") for (const option of runOptions()) command.addOption(option.helpGroup(group));
    }
  }
  const last = Object.keys(OPTION_GROUPS).at(-1) as string;
  return command
    .addOption(new Option("--force", "replace the run that is in --out").helpGroup(last))
    .addOption(new Option("--json", "print the result as JSON on stdout").helpGroup(last))
    .addHelpText("after", EXAMPLES)
    .action((flags: Flags) => runTraining(flags, terminal));
}

async function runTraining(flags: Flags, terminal: Terminal): Promise<void> {
  const { out, resume = false, force = false, json = false } = flags;
  const options = await toOptions(flags);
  const { train } = await import("../../train/run/train.js");
  const sink: LineSink = terminal.stderr;
  const observer = new TrainProgress(sink, undefined, (step) => tellSupervisor({ saved: step }));
  try {
    const { result, exitCode } = await interruptible(
      (signal) => train({ options, out, resume, force, observer, signal }),
      () => observer.note("stops after this step, and saves a checkpoint; once more stops at once"),
    );
    observer.clear();
    if (json) terminal.stdout.write(`${JSON.stringify(result)}\n`);
    tell(sink, describe(result));
    if (!result.finished) terminal.exitCode = exitCode ?? 1;
  } finally {
    observer.clear();
  }
}

function runOptions(): Option[] {
  return [
    new Option("--out <folder>", "folder of the run: model, logs, checkpoint").makeOptionMandatory(),
    new Option("--resume", "go on with the run in --out; options that are left out are those of the run"),
  ];
}

function toOption(name: TrainOptionName): Option {
  const row = TRAIN_OPTIONS[name] as OptionRow<unknown>;
  const { kind, argument, help, otherwise, says } = row;
  const flag = flagOf(name);
  const given =
    typeof otherwise === "string" || typeof otherwise === "number" ? String(otherwise) : undefined;
  const text = says ?? given;
  const option = new Option(
    argument === undefined ? flag : `${flag} ${argument}`,
    text === undefined ? help : `${help} (default: ${text})`,
  );
  if (kind.type === "boolean") return option;
  if (kind.type === "names") {
    return option.argParser((value: string, before: readonly string[] | undefined) => [
      ...(before ?? []),
      value,
    ]);
  }
  // These two may name files, which are read later.
  if (kind.type === "preprocessing" || kind.type === "layer-bits") return option;
  return option.argParser((value: string) => parseOption(kind, value, flag));
}

async function toOptions(flags: Flags): Promise<AskedTrainOptions> {
  const asked: Record<string, unknown> = {};
  for (const [name, row] of Object.entries(TRAIN_OPTIONS)) {
    const value = flags[name];
    // commander says true of a "--no-" option that was not given.
    if (value === undefined || (value === true && row.otherwise === true)) continue;
    if (row.kind.type === "preprocessing") asked[name] = await preprocessing(value as string);
    else if (row.kind.type === "layer-bits") asked[name] = await layerBits(value as string, "both");
    else asked[name] = value;
  }
  return asked;
}

/** What a person wants to know after a run, and what to do next. */
export function describe(result: TrainResult): string {
  const { finished, step, steps, out, checkpoint, model, kept, options, oscillating } = result;
  const what = options.unlabeled ? "agreement with the teacher in %" : "accuracy in %";
  const lines: string[] = [];
  if (kept && model !== null) {
    const rows = kept.domains.map(({ name, role, training, validation, all }) => [
      name,
      role === "test" ? "held out" : "source",
      percent(training),
      percent(validation),
      role === "test" ? percent(all) : "",
    ]);
    lines.push(
      formatTable([what, "", "training images", "validation images", "all"], rows),
      "",
      ...(kept.byBits ? [bitsTable(what, kept.byBits), ""] : []),
      `${model}: the ${kept.quantized ? "integer network" : "network in full precision"} after step ${kept.step}`,
    );
  }
  if (oscillating) {
    const each = [oscillating.first, oscillating.most, oscillating.last].map(
      (at) => `${percent(at.share)} % after step ${at.step}`,
    );
    lines.push(`weights that oscillate: ${each[0]}, most ${each[1]}, last ${each[2]}`);
  }
  if (!finished) {
    lines.push(
      `stopped after step ${step} of ${steps}; ${checkpoint} is saved`,
      `go on with: qdg train --out ${shellWord(out)} --resume`,
    );
  } else if (model !== null) {
    lines.push(
      ...nextCommands(result, model).map((command, i) => `${i === 0 ? "next: " : "      "}${command}`),
    );
  }
  return `${lines.join("\n")}\n`;
}

/** At each bits that one network is evaluated at, whose mean the other table has. */
function bitsTable(what: string, byBits: NonNullable<Evaluation["byBits"]>): string {
  const names =
    byBits[0]?.domains.map(({ name, role }) => (role === "test" ? `${name} (held out)` : name)) ?? [];
  const rows = byBits.map(({ bits, domains }) => [
    `at ${bits} bits`,
    ...domains.map(({ role, validation, all }) => percent(role === "test" ? all : validation)),
  ]);
  return formatTable([what, ...names], rows);
}

function nextCommands({ options, kept, out }: TrainResult, model: string): string[] {
  const { weightBits, layerBits: layers, data, unlabeled } = options;
  // Inner layers with bits of their own would not agree with one number for all.
  const ownBits = Object.values(layers).some((layer) => layer.weightBits !== undefined);
  // What one network is for several bits of is chosen by them.
  const [fewest] = kept?.byBits ?? [];
  const bits = fewest ? ` --bits ${fewest.bits}` : ownBits ? "" : ` --bits ${weightBits}`;
  const onnx = model.replace(/\.(json|onnx)$/, (end) => (end === ".json" ? ".onnx" : ".qdg.onnx"));
  const flags = kept?.quantized === true ? bits : " --float";
  return [
    `qdg-export ${shellWord(model)}${flags}`,
    ...(unlabeled ? [] : [`qdg evaluate ${shellWord(onnx)} --data ${shellWord(data)} --targets cpu,wasm`]),
    `qdg deploy ${shellWord(out)} --to site`,
  ];
}

function percent(share: number | null): string {
  return share === null ? "" : (100 * share).toFixed(1);
}
