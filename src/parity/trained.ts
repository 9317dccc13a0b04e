// The network that training evaluated against the file that was exported from it: every integer of both, image
// by image. The one side is tfjs over the model's variables, the other ONNX Runtime over the file's bytes.

import { type Tensor, transpose } from "../base/tensor.js";
import type { Layout } from "../image/to-tensor.js";
import { storedZeroPoint } from "../lower/form.js";
import { readOnnxMetadata } from "../model/onnx-metadata.js";
import { decodeModel, encodeModel } from "../onnx/codec.js";
import type { RuntimeName, Session } from "../runtime/runtime.js";
import { runtimeOf } from "../runtime/registry.js";
import { type Batch, disposeBatch } from "../train/data/batch.js";
import type { IntegerNetwork } from "../train/integer-network.js";
import { quantizedTensors, type QuantizedTensor } from "../export/quantized-tensors.js";
import { LEAST_LEVELS } from "./metrics/levels-used.js";
import { predictions } from "./metrics/top1.js";
import { withOutputs } from "../onnx/with-outputs.js";

export interface TrainedParity {
  readonly target: RuntimeName;
  readonly images: number;
  /** Quantized tensors compared, and their elements over all images. */
  readonly tensors: number;
  readonly elements: number;
  /** Elements that differ, by the name of the tensor; empty when none does. */
  readonly mismatches: Readonly<Record<string, number>>;
  /** Images for which the two give different classes. */
  readonly predictionsDiffer: number;
  /** Tensors of fewer than three levels over all images. */
  readonly dead: readonly string[];
  /** Quantized tensors of the one side that the other has not. */
  readonly unmatched: readonly string[];
}

/**
 * @param bytes the exported file, in the integer form or the float form
 * @param batches read once, and disposed of
 */
export async function compareTrained(
  network: IntegerNetwork,
  bytes: Uint8Array,
  target: RuntimeName,
  batches: Iterable<Batch>,
): Promise<TrainedParity> {
  const model = decodeModel(bytes);
  const listed = quantizedTensors(model);
  const session = await (await runtimeOf(target)).open({ bytes: encodeModel(withOutputs(model, listed)) });
  const { layout } = readOnnxMetadata(model.metadataProps ?? [], "the exported file");
  const comparison = new Comparison(target, layout, new Map(listed.map((each) => [each.name, each])));
  try {
    for (const batch of batches) {
      await comparison.add(network, session, batch);
      disposeBatch(batch);
    }
  } finally {
    await session.dispose();
  }
  return comparison.result();
}

class Comparison {
  readonly #target: RuntimeName;
  /** Of its images; null: channels last. */
  readonly #layout: Layout | null;
  readonly #listed: ReadonlyMap<string, QuantizedTensor>;
  readonly #mismatches = new Map<string, number>();
  readonly #levels = new Map<string, Set<number>>();
  #unmatched: readonly string[] = [];
  #images = 0;
  #elements = 0;
  #predictionsDiffer = 0;

  constructor(target: RuntimeName, layout: Layout | null, listed: ReadonlyMap<string, QuantizedTensor>) {
    this.#target = target;
    this.#layout = layout;
    this.#listed = listed;
  }

  async add(network: IntegerNetwork, session: Session, { x }: Batch): Promise<void> {
    const input = session.inputs[0]?.name ?? "";
    const images = { dtype: "float32" as const, shape: x.shape, data: x.dataSync<"float32">() };
    const feeds = { [input]: this.#layout === "nchw" ? transpose(images, [0, 3, 1, 2]) : images };
    const results = await session.run(feeds);
    const { output: logits, quantized: own } = network.inspect(x);
    const names = new Set(own.map(({ name }) => name));
    this.#unmatched = [
      ...own.flatMap(({ name, moved }) => (moved || this.#listed.has(name) ? [] : [name])),
      ...[...this.#listed.keys()].filter((name) => !names.has(name)),
    ];
    for (const { name, quantization, integers } of own) {
      const listed = this.#listed.get(name);
      const result = results[name];
      // Bytes hold `q - qmin`, the float form `q - zeroPoint`, and so does tfjs.
      const offset = listed?.dtype === "float32" ? 0 : storedZeroPoint(quantization);
      if (listed && result) this.#compare(name, integers.dataSync<"float32">(), result, offset);
      integers.dispose();
    }
    const { shape } = logits;
    const output = session.outputs.map(({ name }) => results[name]).find((each) => each?.shape.length === 2);
    const other = output ? predictions(output) : [];
    const trained = predictions({ dtype: "float32", shape, data: logits.dataSync<"float32">() });
    this.#predictionsDiffer += trained.filter((best, n) => best !== other[n]).length;
    logits.dispose();
    this.#images += x.shape[0];
  }

  #compare(name: string, own: Float32Array, { data }: Tensor, offset: number): void {
    const levels = this.#levels.get(name) ?? new Set<number>();
    this.#levels.set(name, levels);
    let count = own.length === data.length ? 0 : own.length;
    for (let i = 0; i < own.length; i++) {
      const q = own[i] as number;
      levels.add(q);
      if (q !== Number(data[i]) - offset) count++;
    }
    this.#elements += own.length;
    if (count > 0) this.#mismatches.set(name, (this.#mismatches.get(name) ?? 0) + count);
  }

  result(): TrainedParity {
    return {
      target: this.#target,
      images: this.#images,
      tensors: this.#levels.size,
      elements: this.#elements,
      mismatches: Object.fromEntries(this.#mismatches),
      predictionsDiffer: this.#predictionsDiffer,
      dead: [...this.#levels].flatMap(([name, levels]) => (levels.size < LEAST_LEVELS ? [name] : [])),
      unmatched: this.#unmatched,
    };
  }
}
