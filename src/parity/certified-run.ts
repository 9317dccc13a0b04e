// One target of a certificate against the reference, over all inputs: the file as it is for its outputs, the same file
// with its quantized tensors given out for every integer of the network. Keeps counts, never activations.

import { QdgError } from "../base/error.js";
import type { Tensor } from "../base/tensor.js";
import type { Session } from "../runtime/runtime.js";
import { type CertifiedTarget, PROMISES, type TargetResult } from "./certificate.js";
import type { ParityInput } from "./inputs.js";
import { Locator } from "./locate.js";
import type { TensorPair } from "./match-tensors.js";
import { Accuracy } from "./metrics/accuracy.js";
import { numbersOf } from "./metrics/metric.js";
import { RelativeDifference } from "./metrics/relative-difference.js";
import { StepCounts } from "./metrics/step-counts.js";
import { isClassifier, predictions } from "./metrics/top1.js";

export interface CertifiedRunOptions {
  readonly target: CertifiedTarget;
  readonly runtime: string;
  readonly file: string;
  /** Of the file's bytes as they are. */
  readonly deployed: Session;
  /** Of the same model with the tensors of `pairs` given out. */
  readonly opened: Session;
  readonly pairs: readonly TensorPair[];
  readonly outputs: readonly string[];
  /** By output: what differences are relative to at least, see bounded-outputs.ts. */
  readonly floors: ReadonlyMap<string, number>;
}

export class CertifiedRun {
  readonly #options: CertifiedRunOptions;
  readonly #steps = new StepCounts();
  readonly #locator = new Locator();
  readonly #accuracy = new Accuracy();
  readonly #relative: readonly RelativeDifference[];
  readonly #differing = new Map<TensorPair, number>();
  #elements = 0;
  #rows = 0;
  #rowsDiffering = 0;

  constructor(options: CertifiedRunOptions) {
    this.#options = options;
    const { outputs, floors } = options;
    this.#relative = outputs.map((name) => new RelativeDifference(floors.get(name)));
  }

  /**
   * @param reference all outputs and quantized tensors of the reference, as its file holds them
   * @param label the class of the input; null: not known
   */
  async add(
    input: ParityInput,
    reference: Readonly<Record<string, Tensor>>,
    label: number | null,
  ): Promise<void> {
    const { deployed, opened, outputs, pairs } = this.#options;
    const results = await deployed.run(input.feeds);
    outputs.forEach((name, i) => {
      const [expected, got] = this.#pair(name, reference[name], results[name]);
      this.#relative[i]?.add(expected, got);
      if (!isClassifier(expected.shape)) return;
      const predicted = predictions(got);
      predictions(expected).forEach((best, row) => {
        this.#rows++;
        if (predicted[row] !== best) this.#rowsDiffering++;
      });
    });
    this.#accuracy.add(input.group, results[outputs[0] ?? ""], label);
    const inner = await opened.run(input.feeds);
    pairs.forEach((pair, order) => {
      const { name } = pair.reference;
      const [raw, rawGot] = this.#pair(name, reference[name], inner[name]);
      const expected = centred(raw, pair.referenceOffset);
      const got = centred(rawGot, pair.candidateOffset);
      this.#steps.add(expected, got);
      this.#elements += expected.data.length;
      const count = mismatchesOf(expected, got);
      if (count === 0) return;
      this.#differing.set(pair, (this.#differing.get(pair) ?? 0) + count);
      this.#locator.add(order, pair.reference, input.name, expected, got);
    });
  }

  #pair(name: string, expected: Tensor | undefined, got: Tensor | undefined): [Tensor, Tensor] {
    const [a, b] = [shapeText(expected), shapeText(got)];
    if (!expected || !got || a !== b) {
      throw new QdgError(
        "runtime",
        `runtime ${this.#options.target}, ${name}`,
        `got ${b}, expected ${a} as the reference`,
      );
    }
    return [expected, got];
  }

  result(): TargetResult {
    const { target, runtime, file, pairs, outputs } = this.#options;
    return {
      target,
      runtime,
      file,
      promise: PROMISES[target],
      tensors: pairs.length,
      elements: this.#elements,
      ...this.#steps.result(),
      differing: pairs.flatMap((pair) => {
        const count = this.#differing.get(pair);
        const { name, layer } = pair.reference;
        return count === undefined ? [] : [{ name, layer, count }];
      }),
      firstDifference: this.#locator.found,
      outputs: outputs.map((name, i) => ({
        name,
        relativeDifference: this.#relative[i]?.result() ?? null,
      })),
      predictions: this.#rows === 0 ? null : { compared: this.#rows, differing: this.#rowsDiffering },
      accuracy: this.#accuracy.result(),
    };
  }
}

/** Why a result is not what its target promises; empty when it is. */
export function brokenPromises(result: TargetResult): string[] {
  const { target, promise, histogram, notFinite, differing: tensors, outputs } = result;
  const reasons: string[] = [];
  const outside = histogram.filter(([steps]) => Math.abs(steps) > promise.steps);
  const count = outside.reduce((sum, [, elements]) => sum + elements, notFinite);
  if (count > 0) {
    const most = outside.reduce((largest, [steps]) => Math.max(largest, Math.abs(steps)), 0);
    const [first] = tensors;
    const far = notFinite > 0 ? `${notFinite} of them no finite number` : `by up to ${most} step(s)`;
    reasons.push(
      `${target}: ${count} of ${result.elements} quantized elements differ, ${far}, in ${tensors.length} of ${result.tensors} tensors, expected at most ${promise.steps} steps; the first is ${first?.name ?? ""} (layer ${first?.layer ?? ""})`,
    );
  }
  for (const { name, relativeDifference } of outputs) {
    if (relativeDifference !== null && relativeDifference <= promise.relative) continue;
    reasons.push(
      `${target}: output ${name} differs by ${relativeDifference ?? "a number that is not finite"} relative, expected at most ${promise.relative}`,
    );
  }
  if (result.predictions && result.predictions.differing > promise.predictions) {
    const { compared, differing } = result.predictions;
    reasons.push(
      `${target}: ${differing} of ${compared} predictions differ, expected ${promise.predictions}`,
    );
  }
  return reasons;
}

/** Counted from the zero point. */
function centred(tensor: Tensor, offset: number): Tensor {
  if (offset === 0) return tensor;
  const data = Float32Array.from(numbersOf(tensor), (q) => q - offset);
  return { dtype: "float32", shape: tensor.shape, data };
}

function mismatchesOf(expected: Tensor, got: Tensor): number {
  const [a, b] = [numbersOf(expected), numbersOf(got)];
  let count = 0;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) count++;
  return count;
}

function shapeText(tensor: Tensor | undefined): string {
  return tensor ? `[${tensor.shape.join(", ")}]` : "nothing";
}
