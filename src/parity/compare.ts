// Runs the reference, the targets and the float model over the same inputs, one at a time, and keeps counts:
// never the activations of more than one input.

import { QdgError } from "../base/error.js";
import { noProgress, type Progress } from "../base/progress.js";
import type { Layout } from "../image/to-tensor.js";
import { encodeModel } from "../onnx/codec.js";
import type { ModelProto } from "../onnx/model-proto.js";
import { modelToGraph } from "../onnx/to-graph.js";
import { referenceRuntime } from "../runtime/reference.js";
import { openModel } from "../open/open-model.js";
import { cpuRuntime } from "../runtime/cpu.js";
import type { FloatEngine } from "../runtime/float.js";
import { requireAvailable, runtimeOf } from "../runtime/registry.js";
import type { BrowserOptions, ModelSource, RuntimeName, Session } from "../runtime/runtime.js";
import { boundedOutputs } from "./bounded-outputs.js";
import { floatLife, type FloatLifeOptions } from "./float-life.js";
import { type FloatNetwork, openInside, openPlainly, readFloatNetwork } from "./float-network.js";
import { FloatRun } from "./float-run.js";
import type { InputSource } from "./inputs.js";
import { isQuantized, quantizedTensors } from "../export/quantized-tensors.js";
import { ReferenceRun } from "./reference-run.js";
import type { ParityReport } from "./report.js";
import { TargetRun } from "./target-run.js";
import { type FloatLife, judgeFloat, judgeLife, judgeTarget, type Life, TOLERANCE } from "./verdict.js";
import { withOutputs } from "../onnx/with-outputs.js";

/** The float model that quantization is measured against. */
export interface FloatModel {
  /** As the report calls it. */
  readonly name: string;
  readonly path: string;
  readonly engine: FloatEngine;
}

export interface CompareOptions {
  /** As the report calls the model. */
  readonly name: string;
  /** With all its data inside. */
  readonly model: ModelProto;
  readonly targets: readonly RuntimeName[];
  readonly float: FloatModel | null;
  readonly inputs: InputSource;
  /** Compare every quantized tensor, not only outputs. */
  readonly intermediates: boolean;
  /** Find the first quantized tensor that differs. */
  readonly locate: boolean;
  /** Order of the axes of an image that is fed; null: nobody says it. */
  readonly layout: Layout | null;
  /** Names of the classes in the order of the output; null: labels of the data mean nothing. */
  readonly labels: readonly string[] | null;
  readonly runtimeOptions?: BrowserOptions;
  readonly progress?: Progress;
}

/**
 * Every target against the reference interpreter, and that against the float model. What passes is said by verdict.ts.
 *
 * @throws QdgError `unavailable` for a runtime that cannot be used, `invalid-data` without inputs, and what
 * runtimes throw
 */
export async function compare(options: CompareOptions): Promise<ParityReport> {
  const { model, inputs, progress = noProgress } = options;
  const tensors = quantizedTensors(model);
  const inner = encodeModel(withOutputs(model, tensors));
  // Targets run the file as it is unless someone looks inside: an output more may change what fuses.
  const looking = options.intermediates || options.locate;
  const bytes = looking ? inner : encodeModel(model);
  const outputs = (model.graph?.output ?? []).map((output) => output.name ?? "");
  const sessions: Session[] = [];
  const open = async (name: RuntimeName, source: ModelSource): Promise<[Session, string]> => {
    const runtime = await runtimeOf(name);
    const version = await requireAvailable(runtime, options.runtimeOptions);
    const session = await runtime.open(source, options.runtimeOptions);
    sessions.push(session);
    return [session, version];
  };
  try {
    const session = await referenceRuntime.open({ bytes: inner });
    sessions.push(session);
    const reference = new ReferenceRun(tensors, outputs, options.labels);
    const floors = boundedOutputs(modelToGraph(model));
    const { float, layout } = options;
    // The readers judge the float model before any runtime sees a file.
    const network = float?.engine === "tfjs" ? await readFloatNetwork(float.path) : null;
    const isPlain = network?.deviations.some(({ backends }) => backends === "all") ?? false;
    let floatRun: FloatRun | null = null;
    if (float) {
      // tfjs is not asked where it is known to be wrong.
      const plain = network && isPlain ? await openPlainly(network) : null;
      if (plain) sessions.push(plain);
      const opened = plain ?? (await open("float", { path: float.path }))[0];
      const runtime = plain ? "reference" : float.engine;
      floatRun = new FloatRun({ name: float.name, runtime }, opened, outputs, layout, { floors });
    }
    const targets: TargetRun[] = [];
    for (const name of options.targets) {
      const [opened, version] = await open(name, { bytes });
      targets.push(new TargetRun(name, version, opened, looking ? tensors : [], outputs, floors));
    }
    let done = 0;
    for await (const input of inputs.read()) {
      const expected = await session.run(input.feeds);
      const label = reference.add(input, expected);
      for (const target of targets) await target.add(input, expected, label);
      await floatRun?.add(input, expected, label);
      progress.report("comparing", ++done, inputs.count);
    }
    if (done === 0) throw new QdgError("invalid-data", inputs.description, "no input could be read");
    const reports = targets.map((target) => target.report(options));
    const floatReport = floatRun?.report() ?? null;
    const life = reference.life();
    const quantized = isQuantized(model);
    let alive: FloatLife | null = null;
    if (float && floatRun) {
      const values = await insideFloat(float, network, life, { outputs, layout, inputs, progress });
      alive = { classes: floatRun.classes(), values };
    }
    const judged = [
      ...reports.map((report) => judgeTarget(report)),
      judgeLife(life, alive, { quantized, random: inputs.random ?? false }),
    ];
    if (floatReport) {
      const deviations = network?.deviations ?? [];
      judged.push(judgeFloat(floatReport, { deviations, quantized }));
    }
    const checks = judged.flatMap((each) => each.checks);
    const reasons = checks.flatMap((each) => each.reasons);
    return {
      passed: reasons.length === 0,
      reasons,
      notes: [...reference.notes(), ...judged.flatMap((each) => each.notes)],
      checks,
      model: options.name,
      data: inputs.description,
      inputs: done,
      tolerance: TOLERANCE,
      quantized: reference.tensorUse(),
      classesPredicted: reference.classesPredicted(),
      accuracy: reference.accuracy(),
      targets: reports,
      float: floatReport,
    };
  } finally {
    for (const session of sessions) await session.dispose();
  }
}

/** How many values the float model takes where tensors look dead; reads the data again if any does. */
async function insideFloat(
  { name, path }: FloatModel,
  network: FloatNetwork | null,
  { dead }: Life,
  options: Pick<FloatLifeOptions, "outputs" | "layout" | "inputs" | "progress">,
): Promise<FloatLife["values"]> {
  const tensors = dead.map((tensor) => tensor.name);
  if (tensors.length === 0) return new Map();
  const opened = network
    ? await openInside(network, tensors)
    : await openInside(await openModel(path), tensors, cpuRuntime);
  const model = { name, runtime: network ? "reference" : "cpu" } as const;
  return (await floatLife({ ...options, model, network: opened })).values;
}
