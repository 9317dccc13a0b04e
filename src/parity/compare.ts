// Runs the reference, the targets and the float model over the same inputs, one at a time, and keeps counts:
// never the activations of more than one input.

import { QdgError } from "../base/error.js";
import { noProgress, type Progress } from "../base/progress.js";
import type { Layout } from "../image/to-tensor.js";
import { encodeModel } from "../onnx/codec.js";
import type { ModelProto } from "../onnx/model-proto.js";
import { referenceRuntime } from "../runtime/reference.js";
import { requireAvailable, runtimeOf } from "../runtime/registry.js";
import type { BrowserOptions, ModelSource, RuntimeName, Session } from "../runtime/runtime.js";
import { FloatRun } from "./float-run.js";
import type { InputSource } from "./inputs.js";
import { quantizedTensors } from "../export/quantized-tensors.js";
import { ReferenceRun } from "./reference-run.js";
import type { ParityReport } from "./report.js";
import { TOLERANCE } from "./report.js";
import { outsideTolerance, TargetRun } from "./target-run.js";
import { withOutputs } from "./with-outputs.js";

/** The float model that quantization is measured against. */
export interface FloatModel {
  /** As the report calls it. */
  readonly name: string;
  readonly runtime: RuntimeName;
  readonly source: ModelSource;
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
 * Every target against the reference interpreter, and that against the float model.
 *
 * A network that is dead does not pass, however equal: fewer than three levels in a quantized tensor, or one
 * class for inputs that differ.
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
    const targets: TargetRun[] = [];
    for (const name of options.targets) {
      const [opened, version] = await open(name, { bytes });
      targets.push(new TargetRun(name, version, opened, looking ? tensors : [], outputs));
    }
    const { float } = options;
    const floatRun =
      float && new FloatRun(float, (await open(float.runtime, float.source))[0], outputs, options.layout);
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
    const reasons = [...reference.deadReasons(), ...reports.flatMap(outsideTolerance)];
    return {
      passed: reasons.length === 0,
      reasons,
      notes: reference.notes(),
      model: options.name,
      data: inputs.description,
      inputs: done,
      tolerance: TOLERANCE,
      quantized: reference.tensorUse(),
      classesPredicted: reference.classesPredicted(),
      accuracy: reference.accuracy(),
      targets: reports,
      float: floatRun?.report() ?? null,
    };
  } finally {
    for (const session of sessions) await session.dispose();
  }
}
