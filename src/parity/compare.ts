// Runs the reference, the targets and the float model over the same inputs, one at a time, and keeps counts:
// never the activations of more than one input.

import { QdgError } from "../base/error.js";
import { noProgress, type Progress } from "../base/progress.js";
import { type Tensor, transpose } from "../base/tensor.js";
import type { Layout } from "../image/to-tensor.js";
import { encodeModel } from "../onnx/codec.js";
import type { ModelProto } from "../onnx/model-proto.js";
import { referenceRuntime } from "../runtime/reference.js";
import { sameShape } from "../runtime/reference/shapes.js";
import { runtimeOf } from "../runtime/registry.js";
import type { ModelSource, RuntimeName, Session } from "../runtime/runtime.js";
import type { InputSource, ParityInput } from "./inputs.js";
import { Locator } from "./locate.js";
import { Accuracy } from "./metrics/accuracy.js";
import { LEAST_LEVELS, LevelsUsed } from "./metrics/levels-used.js";
import { Measurement } from "./metrics/metrics.js";
import { isClassifier, predictions } from "./metrics/top1.js";
import { metadataOf, type QuantizedTensor, quantizedTensors } from "./quantized-tensors.js";
import type { FloatReport, ParityReport, TargetReport, TensorUse } from "./report.js";
import { TOLERANCE } from "./report.js";
import { withOutputs } from "./with-outputs.js";

/** The float model that quantization is measured against. */
export interface FloatModel {
  readonly name: string;
  readonly runtime: RuntimeName;
  readonly source: ModelSource;
}

export interface CompareOptions {
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
  /** Names of the classes in the order of the output; null: labels of the data mean nothing. */
  readonly labels: readonly string[] | null;
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
  const tensors = quantizedTensors(options.model);
  const inner = encodeModel(withOutputs(options.model, tensors));
  const looking = options.intermediates || options.locate;
  const targetBytes = looking ? inner : encodeModel(options.model);
  const sessions: Session[] = [];
  const open = async (name: RuntimeName, source: ModelSource): Promise<[Session, string]> => {
    const runtime = await runtimeOf(name);
    const availability = await runtime.probe();
    if (!availability.available) {
      throw new QdgError("unavailable", `runtime ${name}`, `${availability.reason}; ${availability.remedy}`);
    }
    const session = await runtime.open(source);
    sessions.push(session);
    return [session, availability.version];
  };
  try {
    const reference = await referenceRuntime.open({ bytes: inner });
    sessions.push(reference);
    const outputs = (options.model.graph?.output ?? []).map((output) => output.name ?? "");
    const watched = new ReferenceRun(options, tensors, outputs);
    const targets: TargetRun[] = [];
    for (const name of options.targets) {
      const [session, version] = await open(name, { bytes: targetBytes });
      targets.push(new TargetRun(name, version, session, looking ? tensors : [], outputs));
    }
    const { float } = options;
    const floatRun = float
      ? new FloatRun(float, (await open(float.runtime, float.source))[0], reference, outputs, layoutOf(options.model))
      : null;
    const { progress = noProgress } = options;
    let done = 0;
    for await (const input of options.inputs.read()) {
      const expected = await reference.run(input.feeds);
      const klass = watched.add(input, expected);
      for (const target of targets) await target.add(input, expected, klass);
      await floatRun?.add(input, expected, klass);
      progress.report("comparing", ++done, options.inputs.count);
    }
    if (done === 0) throw new QdgError("invalid-data", options.inputs.description, "no input could be read");
    return watched.report(targets, floatRun, done);
  } finally {
    for (const session of sessions) await session.dispose();
  }
}

/** The class that the folder of an input says; null when that is none of the model's. */
type Expected = number | null;

function layoutOf(model: ModelProto): Layout {
  return metadataOf(model, "qdg.layout") === "nchw" ? "nchw" : "nhwc";
}

/** What the reference computes by itself: levels, classes, accuracy. */
class ReferenceRun {
  readonly #options: CompareOptions;
  readonly #tensors: readonly QuantizedTensor[];
  readonly #levels: readonly LevelsUsed[];
  readonly #classes = new Map<string, Set<number>>();
  readonly #outputs: readonly string[];
  readonly #accuracy = new Accuracy();
  readonly #unknownLabels = new Set<string>();
  #first: ParityInput | null = null;
  #inputsDiffer = false;

  constructor(options: CompareOptions, tensors: readonly QuantizedTensor[], outputs: readonly string[]) {
    this.#options = options;
    this.#tensors = tensors;
    this.#levels = tensors.map(() => new LevelsUsed());
    this.#outputs = outputs;
  }

  add(input: ParityInput, results: Readonly<Record<string, Tensor>>): Expected {
    this.#tensors.forEach(({ name }, i) => this.#levels[i]?.add(results[name] as Tensor));
    if (this.#first === null) this.#first = input;
    else this.#inputsDiffer ||= differ(this.#first, input);
    const { labels } = this.#options;
    let klass: Expected = null;
    if (labels && input.label !== null) {
      const at = labels.indexOf(input.label);
      if (at < 0) this.#unknownLabels.add(input.label);
      else klass = at;
    }
    for (const name of this.#outputs) {
      const output = results[name] as Tensor;
      if (!isClassifier(output.shape)) continue;
      const seen = this.#classes.get(name) ?? new Set<number>();
      for (const best of predictions(output)) seen.add(best);
      this.#classes.set(name, seen);
    }
    scoreInto(this.#accuracy, input, results[this.#outputs[0] ?? ""], klass);
    return klass;
  }

  report(targets: readonly TargetRun[], floatRun: FloatRun | null, inputs: number): ParityReport {
    const targetReports = targets.map((target) => target.report(this.#options));
    const reasons = [...this.#deadReasons(), ...targetReports.flatMap(outsideTolerance)];
    return {
      passed: reasons.length === 0,
      reasons,
      notes: this.#notes(inputs),
      model: this.#options.name,
      data: this.#options.inputs.description,
      inputs,
      tolerance: TOLERANCE,
      quantized: this.#tensors.map(
        ({ name, layer, bits, scale, zeroPoint }, i): TensorUse => ({
          name,
          layer,
          bits,
          scale,
          zeroPoint,
          levelsUsed: this.#levels[i]?.count ?? 0,
        }),
      ),
      classesPredicted: Object.fromEntries([...this.#classes].map(([name, seen]) => [name, seen.size])),
      accuracy: this.#accuracy.result(),
      targets: targetReports,
      float: floatRun?.report() ?? null,
    };
  }

  #deadReasons(): string[] {
    const reasons: string[] = [];
    this.#tensors.forEach(({ name, layer }, i) => {
      const levels = this.#levels[i];
      if (!levels?.dead) return;
      reasons.push(
        `dead network: layer ${layer} uses ${levels.count} level(s) of tensor ${name} over all inputs, expected at least ${LEAST_LEVELS}; equality says nothing here`,
      );
    });
    if (!this.#inputsDiffer) return reasons;
    for (const [name, seen] of this.#classes) {
      if (seen.size > 1) continue;
      reasons.push(
        `dead network: output ${name} is class ${[...seen].join()} for all inputs, expected at least two classes; if the data holds one class only, add others`,
      );
    }
    return reasons;
  }

  #notes(inputs: number): string[] {
    const notes: string[] = [];
    if (this.#tensors.length === 0) notes.push("the model has no quantized tensors");
    if (inputs < 2) notes.push("one input only: it cannot be told whether the network tells inputs apart");
    if (this.#unknownLabels.size > 0) {
      const labels = [...this.#unknownLabels].sort();
      const known = this.#options.labels?.join(", ");
      notes.push(`folders ${labels.join(", ")} are not among the model's labels (${known}): left out of accuracy`);
    }
    return notes;
  }
}

/** A target against the reference. */
class TargetRun {
  readonly #name: RuntimeName;
  readonly #version: string;
  readonly #session: Session;
  readonly #tensors: readonly QuantizedTensor[];
  readonly #outputs: readonly string[];
  readonly #measuredTensors: readonly Measurement<"mismatches" | "histogram">[];
  readonly #measuredOutputs: readonly Measurement<"mismatches" | "relativeDifference" | "top1Agreement">[];
  readonly #real = new Set<string>();
  readonly #locator = new Locator();
  readonly #accuracy = new Accuracy();

  constructor(
    name: RuntimeName,
    version: string,
    session: Session,
    tensors: readonly QuantizedTensor[],
    outputs: readonly string[],
  ) {
    this.#name = name;
    this.#version = version;
    this.#session = session;
    this.#tensors = tensors;
    this.#outputs = outputs;
    this.#measuredTensors = tensors.map(() => new Measurement(["mismatches", "histogram"]));
    this.#measuredOutputs = outputs.map(
      () => new Measurement(["mismatches", "relativeDifference", "top1Agreement"]),
    );
  }

  async add(
    input: ParityInput,
    expected: Readonly<Record<string, Tensor>>,
    klass: Expected,
  ): Promise<void> {
    const got = await this.#session.run(input.feeds);
    const pair = (name: string): [Tensor, Tensor] => {
      const [a, b] = [expected[name], got[name]];
      if (!a || !b || a.dtype !== b.dtype || !sameShape(a.shape, b.shape)) {
        throw new QdgError(
          "runtime",
          `runtime ${this.#name}, ${name}`,
          `got ${b?.dtype} [${b?.shape.join(", ")}], expected ${a?.dtype} [${a?.shape.join(", ")}] as the reference`,
        );
      }
      return [a, b];
    };
    this.#outputs.forEach((name, i) => {
      const [a, b] = pair(name);
      if (a.dtype === "float32") this.#real.add(name);
      this.#measuredOutputs[i]?.add(a, b);
    });
    this.#tensors.forEach((tensor, order) => {
      const [a, b] = pair(tensor.name);
      this.#measuredTensors[order]?.add(a, b);
      this.#locator.add(order, tensor, input.name, a, b);
    });
    scoreInto(this.#accuracy, input, got[this.#outputs[0] ?? ""], klass);
  }

  report(options: CompareOptions): TargetReport & { readonly real: ReadonlySet<string> } {
    const found = this.#locator.found;
    const report = {
      runtime: this.#name,
      version: this.#version,
      outputs: this.#outputs.map((name, i) => ({ name, ...this.#measured(i) })),
      tensors: options.intermediates
        ? this.#tensors.map(({ name, layer }, i) => ({ name, layer, ...this.#measuredTensor(i) }))
        : null,
      firstDifference: options.locate ? found : null,
      accuracy: this.#accuracy.result(),
    };
    // Only for judging: which outputs are real numbers. Not enumerable, so that it stays out of the JSON.
    return Object.defineProperty(report, "real", { value: this.#real }) as never;
  }

  #measured(i: number): ReturnType<Measurement<"mismatches" | "relativeDifference" | "top1Agreement">["result"]> {
    return (this.#measuredOutputs[i] as Measurement<"mismatches" | "relativeDifference" | "top1Agreement">).result();
  }

  #measuredTensor(i: number): ReturnType<Measurement<"mismatches" | "histogram">["result"]> {
    return (this.#measuredTensors[i] as Measurement<"mismatches" | "histogram">).result();
  }
}
