// A target against the reference, over all inputs, and whether that is within the tolerance.

import { QdgError } from "../base/error.js";
import type { DType, Tensor } from "../base/tensor.js";
import type { RuntimeName, Session } from "../runtime/runtime.js";
import type { ParityInput } from "./inputs.js";
import { Locator } from "./locate.js";
import { Accuracy } from "./metrics/accuracy.js";
import { Measurement } from "./metrics/metrics.js";
import type { QuantizedTensor } from "../export/quantized-tensors.js";
import type { TargetReport } from "./report.js";
import { TOLERANCE } from "./report.js";

interface MeasuredOutput {
  readonly name: string;
  dtype: DType;
  readonly measurement: Measurement<"mismatches" | "relativeDifference" | "top1Agreement">;
}

interface MeasuredTensor {
  readonly tensor: QuantizedTensor;
  readonly measurement: Measurement<"mismatches" | "histogram">;
}

export class TargetRun {
  readonly #name: RuntimeName;
  readonly #version: string;
  readonly #session: Session;
  readonly #outputs: readonly MeasuredOutput[];
  readonly #tensors: readonly MeasuredTensor[];
  readonly #locator = new Locator();
  readonly #accuracy = new Accuracy();

  /** @param tensors those that the session gives out beside the outputs */
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
    this.#outputs = outputs.map((output) => ({
      name: output,
      dtype: "float32",
      measurement: new Measurement(["mismatches", "relativeDifference", "top1Agreement"]),
    }));
    this.#tensors = tensors.map((tensor) => ({
      tensor,
      measurement: new Measurement(["mismatches", "histogram"]),
    }));
  }

  async add(
    input: ParityInput,
    reference: Readonly<Record<string, Tensor>>,
    label: number | null,
  ): Promise<void> {
    const results = await this.#session.run(input.feeds);
    for (const output of this.#outputs) {
      const [expected, got] = this.#pair(output.name, reference, results);
      output.dtype = expected.dtype;
      output.measurement.add(expected, got);
    }
    this.#tensors.forEach(({ tensor, measurement }, order) => {
      const [expected, got] = this.#pair(tensor.name, reference, results);
      measurement.add(expected, got);
      this.#locator.add(order, tensor, input.name, expected, got);
    });
    this.#accuracy.add(input.group, results[this.#outputs[0]?.name ?? ""], label);
  }

  #pair(
    name: string,
    reference: Readonly<Record<string, Tensor>>,
    results: Readonly<Record<string, Tensor>>,
  ): [expected: Tensor, got: Tensor] {
    const [expected, got] = [reference[name], results[name]];
    if (!expected || !got || typeText(expected) !== typeText(got)) {
      throw new QdgError(
        "runtime",
        `runtime ${this.#name}, ${name}`,
        `got ${typeText(got)}, expected ${typeText(expected)} as the reference`,
      );
    }
    return [expected, got];
  }

  report(asked: { readonly intermediates: boolean; readonly locate: boolean }): TargetReport {
    return {
      runtime: this.#name,
      version: this.#version,
      outputs: this.#outputs.map(({ name, dtype, measurement }) => ({
        name,
        dtype,
        ...measurement.result(),
      })),
      tensors: asked.intermediates
        ? this.#tensors.map(({ tensor: { name, layer }, measurement }) => ({
            name,
            layer,
            ...measurement.result(),
          }))
        : null,
      firstDifference: asked.locate ? this.#locator.found : null,
      accuracy: this.#accuracy.result(),
    };
  }
}

function typeText(tensor: Tensor | undefined): string {
  return tensor ? `${tensor.dtype} [${tensor.shape.join(", ")}]` : "nothing";
}

/** Why a target's results are not those of the reference; empty when they are. */
export function outsideTolerance(target: TargetReport): string[] {
  const reasons: string[] = [];
  const { mismatches: allowed, relative } = TOLERANCE;
  for (const { name, dtype, mismatches, relativeDifference } of target.outputs) {
    if (dtype === "float32" || dtype === "float64") {
      if (relativeDifference === null || relativeDifference > relative) {
        reasons.push(
          `${target.runtime}: output ${name} differs by ${relativeDifference ?? "a number that is not finite"} relative, expected at most ${relative}`,
        );
      }
    } else if (mismatches.count > allowed) {
      reasons.push(
        `${target.runtime}: output ${name} differs in ${mismatches.count} of ${mismatches.total} elements, expected ${allowed}`,
      );
    }
  }
  const differing = (target.tensors ?? []).filter(({ mismatches }) => mismatches.count > allowed);
  const [worst] = differing;
  if (worst) {
    const count = differing.reduce((sum, { mismatches }) => sum + mismatches.count, 0);
    reasons.push(
      `${target.runtime}: ${count} elements of ${differing.length} quantized tensors differ, expected ${allowed}; the first is ${worst.name} (layer ${worst.layer})`,
    );
  } else if (!target.tensors && target.firstDifference) {
    const { tensor, layer } = target.firstDifference;
    reasons.push(`${target.runtime}: quantized tensor ${tensor} (layer ${layer}) differs`);
  }
  return reasons;
}
