// A target against the reference, over all inputs. What of it is within the tolerance is for verdict.ts to say.

import { QdgError } from "../base/error.js";
import type { DType, Tensor } from "../base/tensor.js";
import type { RuntimeName, Session } from "../runtime/runtime.js";
import type { ParityInput } from "./inputs.js";
import { Locator } from "./locate.js";
import { Accuracy } from "./metrics/accuracy.js";
import { Measurement } from "./metrics/metrics.js";
import type { QuantizedTensor } from "../export/quantized-tensors.js";
import type { TargetReport } from "./report.js";

interface MeasuredOutput {
  readonly name: string;
  dtype: DType;
  /** What differences are relative to at least; null: no floor. */
  readonly floor: number | null;
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

  /**
   * @param tensors those that the session gives out beside the outputs
   * @param floors by output: what differences are relative to at least, see bounded-outputs.ts
   */
  constructor(
    name: RuntimeName,
    version: string,
    session: Session,
    tensors: readonly QuantizedTensor[],
    outputs: readonly string[],
    floors: ReadonlyMap<string, number> = new Map(),
  ) {
    this.#name = name;
    this.#version = version;
    this.#session = session;
    this.#outputs = outputs.map((output) => ({
      name: output,
      dtype: "float32",
      floor: floors.get(output) ?? null,
      measurement: new Measurement(["mismatches", "relativeDifference", "top1Agreement"], floors.get(output)),
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
      outputs: this.#outputs.map(({ name, dtype, floor, measurement }) => ({
        name,
        dtype,
        floor,
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
