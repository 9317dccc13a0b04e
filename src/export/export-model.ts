// The pipeline from a model to ONNX files: read, place, find scales, lower, measure, write.

import { basename, dirname, resolve } from "node:path";
import { checkWritable, writeFileAtomic, writeFilesAtomic } from "../base/atomic-file.js";
import { QdgError } from "../base/error.js";
import { noProgress, type Progress } from "../base/progress.js";
import { FLOAT_PASSES, QUANTIZED_PASSES, runPasses } from "../graph/passes/pipelines.js";
import type { Recipe } from "../graph/recipe.js";
import { vainBits } from "../graph/recipe-effects.js";
import { type Model, openModel } from "../open/open-model.js";
import type { LearnedQuantizers } from "../quant/learned.js";
import { learnedAtBits } from "../quant/learned-bits.js";
import type { FormName, ScalesMode } from "../model/onnx-metadata.js";
import { adviceOf } from "./budget/advice.js";
import {
  averageActivations,
  type ChosenActivationBits,
  type MadeWithBits,
} from "./budget/average-activations.js";
import { budgetGoal, checkBudgetOfModel } from "./budget/options.js";
import { type ChosenBits, underBudget } from "./budget/under-budget.js";
import { type Cost, measureCost } from "./cost.js";
import { ExportSteps, type Made, type MadeFile } from "./export-steps.js";
import { plannedFiles } from "./file-plan.js";
import { floatFile } from "./float-file.js";
import { bitsByLayer, type FileFacts, floatMetadata } from "./metadata.js";
import {
  type CompleteExportOptions,
  type ExportOptions,
  recipeOfOptions,
  type Target,
  withDefaults,
} from "./options.js";
import { observe } from "./observe.js";
import { type ExportReport, exportReport } from "./report/export-report.js";
import { exportPage } from "./report/report-page.js";
import { openSamples, type SampleSplit } from "./samples.js";
import {
  together,
  type FileVerification,
  type VerificationInputs,
  verificationInputs,
  verifyFile,
} from "./verify-file.js";
import { drawnWarning, ONE_SAMPLE_WARNING, warningsOf } from "./warnings.js";

export interface ExportedFile {
  readonly path: string;
  /** Targets that it is for. */
  readonly targets: readonly Target[];
  /** How integers are carried; null in a plain float32 file. */
  readonly form: FormName | null;
  readonly sizeBytes: number;
}

export interface ExportResult {
  /** Of the first file, as `sizeBytes` and `form`. */
  readonly path: string;
  readonly sizeBytes: number;
  /** "float" for a plain float32 file */
  readonly scales: ScalesMode | "float";
  readonly form: FormName | null;
  /** One for cpu and wasm, one for webgpu; at least one. */
  readonly files: readonly ExportedFile[];
  /** layer -> [weight bits, bits of its output (0: real)] */
  readonly bits: Readonly<Record<string, readonly [number, number]>>;
  /** What was asked for, with what is a default; null for a plain float32 file. Learned bits stay as they are. */
  readonly recipe: Recipe | null;
  /** The bits that were chosen for a budget, and by what; null without one. */
  readonly chosen: ChosenBits | null;
  /** The bits of activations that were chosen for `averageActivationBits`, and by what; null without it. */
  readonly chosenActivations: ChosenActivationBits | null;
  /** null without samples to measure on */
  readonly cost: Cost | null;
  /** What `report` asked for, as data; null unless it was given. */
  readonly report: ExportReport | null;
  /** What of the files was compared with the reference before they were written, or why nothing. */
  readonly verification: FileVerification;
  readonly warnings: readonly string[];
}

/**
 * Exports a model as one ONNX file, or two when webgpu is a target among others.
 *
 * @throws QdgError for what the model or the options lack, and for a file whose integers ONNX Runtime does not compute;
 * nothing is written then
 */
export async function exportModel(
  options: ExportOptions,
  progress: Progress = noProgress,
): Promise<ExportResult> {
  const asked = withDefaults(options);
  if (resolve(asked.output) === resolve(asked.model)) {
    throw new QdgError("usage", asked.output, "the output is the model itself; give another name");
  }
  if (asked.report !== undefined) await checkWritable(asked.report, asked.force);
  for (const { path } of asked.float ? [{ path: asked.output }] : plannedFiles(asked)) {
    await checkWritable(path, asked.force);
  }
  const { bits = asked.weightBits, layout } = asked;
  const model = await openModel(asked.model, {
    ...(layout && { layout }),
    ...(bits !== undefined && !asked.float && { bits }),
  });
  const facts = fileFacts(model, asked);
  const complete = facts.layout === null ? asked : { ...asked, layout: facts.layout };
  if (complete.float) return exportFloat(model, facts, complete);
  const { learned } = model;
  // Says which there are to choose from.
  if (learned?.byBits) learnedAtBits(learned, undefined, "--bits");
  const { bits: _, weightBits: __, ...rest } = complete;
  // What has chosen the scales asks nothing more of them: layers with bits of their own have these.
  return exportQuantized(model, facts, learned?.chosenBits === undefined ? complete : rest, progress);
}

async function exportFloat(
  { graph, warnings }: Model,
  facts: FileFacts,
  options: CompleteExportOptions,
): Promise<ExportResult> {
  const bytes = floatFile(runPasses(graph, FLOAT_PASSES), options.opset, floatMetadata(facts, graph));
  const { output: path, targets, force } = options;
  await writeFileAtomic(path, bytes, { force });
  const file = { path, targets, form: null, sizeBytes: bytes.length };
  return {
    path,
    sizeBytes: bytes.length,
    scales: "float",
    form: null,
    files: [file],
    bits: {},
    recipe: null,
    chosen: null,
    chosenActivations: null,
    cost: null,
    report: null,
    verification: { skipped: "nothing is quantized" },
    warnings,
  };
}

async function exportQuantized(
  { graph: source, learned: carried, warnings }: Model,
  facts: FileFacts,
  options: CompleteExportOptions,
  progress: Progress,
): Promise<ExportResult> {
  // A model that was trained in full precision carries labels and preprocessing, and no scales.
  const learned = carried && carried.quantizers.size > 0 ? carried : null;
  const { calibration, observer } = options;
  checkAsked(learned, options);
  const samples =
    calibration.length > 0 ? await openSamples(calibration, source.inputs, facts, options) : null;
  const float = runPasses(source, QUANTIZED_PASSES);
  const statistics = samples && (await observe(float, samples.calibration, { observer, learned, progress }));
  const found = { calibration: samples?.calibration ?? null, statistics, learned };
  const steps = new ExportSteps(float, facts, options, found, progress);
  const { made, chosen, activations } = await madeByOptions(steps, samples, options, progress);
  const { recipe, quantized, left, files } = made;
  const { graph, placements, scales } = quantized;
  const vain = vainBits(recipe, placements, {
    weightsOnly: scales === "weights-only",
    learned: learned !== null,
  });
  const [first] = files;
  const cost =
    samples && samples.heldOut.count > 0
      ? await measureCost(float, placements, first.bytes, samples.heldOut, progress)
      : null;
  const inputs = verificationInputs(samples, graph, facts.preprocessing, options);
  const verification = options.verify
    ? await verifyFiles(files, inputs, progress)
    : { skipped: "--no-verify" };
  const report =
    options.report === undefined
      ? null
      : await exportReport(
          {
            path: options.report,
            floatBytes: floatFile(runPasses(source, FLOAT_PASSES), options.opset).length,
            quantized,
            nearest: steps.nearest(recipe),
            samples: samples && samples.heldOut.count > 0 ? samples.heldOut : null,
            files,
            frontier: chosen?.frontier ?? null,
          },
          progress,
        );
  const result: ExportResult = {
    path: first.path,
    sizeBytes: first.bytes.length,
    scales,
    form: first.form,
    files: files.map(({ path, targets, form, bytes }) => ({ path, targets, form, sizeBytes: bytes.length })),
    bits: bitsByLayer(graph),
    recipe,
    chosen,
    chosenActivations: activations,
    cost,
    report,
    verification,
    warnings: [
      ...warnings,
      ...warningsOf(
        scales,
        [
          ...(samples?.calibration.drawn ? [drawnWarning(scales)] : []),
          ...(statistics?.isOneSample ? [ONE_SAMPLE_WARNING] : []),
          ...vain,
          ...left,
        ],
        cost,
        files,
        verification,
        learned ? undefined : adviceOf(recipe, chosen, activations),
      ),
    ],
  };
  const page = report
    ? [{ path: report.path, bytes: exportPage(result, report, basename(dirname(resolve(options.model)))) }]
    : [];
  await writeFilesAtomic([...files, ...page], { force: options.force });
  return result;
}

/** The file of the bits that were asked for, or that are chosen for what was. */
async function madeByOptions(
  steps: ExportSteps,
  samples: SampleSplit | null,
  options: CompleteExportOptions,
  progress: Progress,
): Promise<{
  readonly made: Made;
  readonly chosen: ChosenBits | null;
  readonly activations: ChosenActivationBits | null;
}> {
  const goal = budgetGoal(options);
  const { averageActivationBits, searchTime = 0 } = options;
  const choosesBoth = goal !== null && averageActivationBits !== undefined;
  // Each is searched for in half of it.
  const timed = { ...options, searchTime: choosesBoth ? searchTime / 2 : searchTime };
  const make = async (asked: CompleteExportOptions): Promise<MadeWithBits> =>
    goal && samples
      ? underBudget(steps, goal, samples, asked, progress)
      : { made: await steps.make(recipeOfOptions(asked)), chosen: null };
  return averageActivationBits !== undefined && samples
    ? averageActivations(averageActivationBits, steps, samples, timed, make, progress)
    : { ...(await make(timed)), activations: null };
}

/** @throws QdgError `usage` where nothing says how many bits, or something speaks against what was learned */
function checkAsked(learned: LearnedQuantizers | null, options: CompleteExportOptions): void {
  const { bits, weightBits, ptq } = options;
  if (!learned && bits === undefined && weightBits === undefined && !budgetGoal(options)) {
    throw new QdgError(
      "usage",
      "--bits",
      "got none, expected 2 to 8: the bits of inner weights, since the model carries no learned scales",
    );
  }
  if (learned && ptq !== undefined) {
    throw new QdgError(
      "usage",
      "--ptq",
      `got ${ptq}, but the model's scales were learned and its integers are used as they are; leave it out`,
    );
  }
  checkBudgetOfModel(options, learned !== null);
}

async function verifyFiles(
  files: readonly MadeFile[],
  inputs: VerificationInputs,
  progress: Progress,
): Promise<FileVerification> {
  const verified: FileVerification[] = [];
  for (const { path, bytes } of files) verified.push(await verifyFile(path, bytes, inputs, progress));
  return together(verified);
}

/** What the options say wins over what the model says. */
function fileFacts({ facts, sourceHash }: Model, options: CompleteExportOptions): FileFacts {
  return {
    source: sourceHash,
    layout: facts.layout,
    preprocessing: options.preprocessing ?? facts.preprocessing,
    labels: options.labels ?? facts.labels,
  };
}
