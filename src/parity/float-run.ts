// The reference against a float model: what quantization changed, and whether the float model is alive. Names and layouts may differ between the two
// files; nothing is compared that does not clearly belong together.

import { QdgError } from "../base/error.js";
import type { Tensor } from "../base/tensor.js";
import { transpose } from "../base/tensor.js";
import type { Dim } from "../graph/graph.js";
import type { Layout } from "../image/to-tensor.js";
import type { FloatEngine } from "../runtime/float.js";
import type { Session, TensorInfo } from "../runtime/runtime.js";
import type { ParityInput } from "./inputs.js";
import { Accuracy } from "./metrics/accuracy.js";
import { type ClassCounts, ClassesPredicted } from "./metrics/classes-predicted.js";
import { DistinctValues } from "./metrics/distinct-values.js";
import { Measurement } from "./metrics/metrics.js";
import type { FloatReport } from "./report.js";

const NHWC_FROM_NCHW = [0, 2, 3, 1];
const NCHW_FROM_NHWC = [0, 3, 1, 2];

type Measured = "sqnrDb" | "relativeDifference" | "top1Agreement";

export interface FloatRunOptions {
  /** By output: what differences are relative to at least; absent: no floor. */
  readonly floors?: ReadonlyMap<string, number>;
  /** Values that the session gives out, or is fed, beside its outputs, by the quantized tensors they stand for. */
  readonly inner?: ReadonlyMap<string, string>;
}

export class FloatRun {
  readonly #model: { readonly name: string; readonly runtime: FloatEngine | "reference" };
  readonly #session: Session;
  readonly #outputs: readonly string[];
  readonly #layout: Layout | null;
  readonly #measurements: readonly Measurement<Measured>[];
  readonly #classes: readonly ClassesPredicted[];
  readonly #inner: ReadonlyMap<string, string>;
  readonly #values: ReadonlyMap<string, DistinctValues>;
  readonly #accuracy = new Accuracy();

  /**
   * @param outputs of the model that is compared
   * @param layout of the inputs that are fed to it; null: nobody says it, then shapes have to tell
   * @throws QdgError `usage` when the two do not have as many inputs and outputs
   */
  constructor(
    model: { readonly name: string; readonly runtime: FloatEngine | "reference" },
    session: Session,
    outputs: readonly string[],
    layout: Layout | null,
    { floors, inner = new Map() }: FloatRunOptions = {},
  ) {
    this.#model = model;
    this.#session = session;
    this.#outputs = outputs;
    this.#layout = layout;
    this.#measurements = outputs.map(
      (name) => new Measurement(["sqnrDb", "relativeDifference", "top1Agreement"], floors?.get(name)),
    );
    this.#classes = outputs.map(() => new ClassesPredicted());
    this.#inner = inner;
    this.#values = new Map([...inner.keys()].map((tensor) => [tensor, new DistinctValues()]));
    const added = new Set(inner.values());
    const count = session.outputs.filter(({ name }) => outputs.includes(name) || !added.has(name)).length;
    if (count !== outputs.length) {
      throw new QdgError(
        "usage",
        model.name,
        `has ${count} outputs, expected ${outputs.length} as the model; give the model it was made from`,
      );
    }
  }

  async add(
    input: ParityInput,
    quantized: Readonly<Record<string, Tensor>>,
    label: number | null,
  ): Promise<void> {
    const results = await this.observe(input);
    this.#outputs.forEach((output, i) => {
      const name = this.#nameOf(i);
      const got = quantized[output] as Tensor;
      const expected = this.#inLayout(results[name] as Tensor, got.shape, `output ${name}`);
      this.#measurements[i]?.add(expected, got);
      if (i === 0) this.#accuracy.add(input.group, expected, label);
    });
  }

  /** Runs an input and looks at the float model alone. @returns its own outputs, by its own names */
  async observe(input: ParityInput): Promise<Record<string, Tensor>> {
    const feeds = this.#feeds(input);
    const results = await this.#session.run(feeds);
    this.#classes.forEach((classes, i) => classes.add(results[this.#nameOf(i)] as Tensor));
    for (const [tensor, name] of this.#inner) {
      this.#values.get(tensor)?.add((results[name] ?? feeds[name]) as Tensor);
    }
    return results;
  }

  /** What the float model calls the output at a place of the compared one. */
  #nameOf(index: number): string {
    const names = this.#session.outputs.map((output) => output.name);
    // One layer may give several outputs, which runtimes tell apart each in its way: then their order counts.
    const named = this.#outputs.every((output) => names.includes(output));
    return (named ? this.#outputs : names)[index] as string;
  }

  /** Classes that the float model predicts, by the compared model's outputs; empty ones are no classifier's. */
  classes(): ReadonlyMap<string, ClassCounts> {
    return new Map(this.#outputs.map((name, i) => [name, (this.#classes[i] as ClassesPredicted).counts]));
  }

  /** Distinct values of the float tensors that quantized ones stand for, three at most. */
  values(): ReadonlyMap<string, number> {
    return new Map([...this.#values].map(([tensor, { count }]) => [tensor, count]));
  }

  #feeds({ feeds }: ParityInput): Record<string, Tensor> {
    const { inputs } = this.#session;
    const given = Object.values(feeds);
    if (inputs.length !== given.length) {
      throw new QdgError(
        "usage",
        this.#model.name,
        `has ${inputs.length} inputs, expected ${given.length} as the model; give the model it was made from`,
      );
    }
    return Object.fromEntries(
      inputs.map((info, i) => {
        const feed = feeds[info.name] ?? given[i];
        if (!feed) throw new QdgError("internal", info.name, "no feed");
        return [info.name, this.#feed(feed, info)];
      }),
    );
  }

  #feed(feed: Tensor, info: TensorInfo): Tensor {
    const where = `input ${info.name}`;
    // A layers-model has its channels last; a float file may be in any layout.
    const placed = this.#inLayout(feed, info.shape, where, this.#model.runtime !== "cpu");
    if (placed.dtype === info.dtype) return placed;
    const numbers = Array.from(placed.data as ArrayLike<number | bigint>, Number);
    if (info.dtype === "int32") return { ...placed, dtype: "int32", data: Int32Array.from(numbers) };
    if (info.dtype === "float32") return { ...placed, dtype: "float32", data: Float32Array.from(numbers) };
    throw new QdgError("usage", this.#model.name, `${where}: got ${placed.dtype}, expected ${info.dtype}`);
  }

  /** The tensor as `shape` wants it; images move their channels. */
  #inLayout(tensor: Tensor, shape: readonly Dim[], where: string, channelsLast = false): Tensor {
    const moved: Tensor[] = [];
    if (tensor.shape.length === 4) {
      moved.push(transpose(tensor, NHWC_FROM_NCHW), transpose(tensor, NCHW_FROM_NHWC));
    }
    // Where both would fit (a square of as many channels), what is known of the layouts decides.
    const moveFirst = channelsLast && this.#layout === "nchw";
    const candidates = moveFirst ? [...moved, tensor] : [tensor, ...moved];
    const fitting = candidates.filter((candidate) => fits(candidate.shape, shape));
    if (channelsLast && this.#layout === null && fitting.length > 1) {
      throw new QdgError(
        "usage",
        "--layout",
        `got none, and the model does not say whether ${where} [${tensor.shape.join(", ")}] has its channels last; give nhwc or nchw`,
      );
    }
    if (fitting[0]) return fitting[0];
    throw new QdgError(
      "usage",
      this.#model.name,
      `${where}: shape [${tensor.shape.join(", ")}] does not go with [${shape.join(", ")}]; give the model it was made from`,
    );
  }

  report(): FloatReport {
    return {
      model: this.#model.name,
      runtime: this.#model.runtime,
      outputs: this.#outputs.map((name, i) => ({
        name,
        ...(this.#measurements[i] as Measurement<Measured>).result(),
      })),
      accuracy: this.#accuracy.result(),
    };
  }
}

function fits(shape: readonly number[], wanted: readonly Dim[]): boolean {
  return (
    shape.length === wanted.length &&
    wanted.every((dim, axis) => typeof dim === "string" || dim === shape[axis])
  );
}
