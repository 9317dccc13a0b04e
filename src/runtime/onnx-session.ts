// What the two ONNX Runtimes (native and WebAssembly) share: session options, tensors in and out, and one
// place where their errors become QdgError. Loads in browsers: no Node built-ins, no runtime imported here.

import { errorText, QdgError } from "../base/error.js";
import type { DType, Tensor } from "../base/tensor.js";
import { allocate, sizeOf } from "../base/tensor.js";
import { checkFeeds } from "./feeds.js";
import type { ModelSource, RuntimeOptions, Session, TensorInfo } from "./runtime.js";
import { checkThreads } from "./threads.js";

/** What qdg uses of a tensor of onnxruntime-common. */
interface OrtTensor {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: unknown;
  dispose(): void;
}

type OrtTensorConstructor = new (type: never, data: never, dims: readonly number[]) => OrtTensor;

interface OrtMetadata {
  readonly name: string;
  readonly isTensor: boolean;
  readonly type?: string;
  readonly shape?: readonly (number | string)[];
}

interface OrtSession {
  readonly inputMetadata: readonly OrtMetadata[];
  readonly outputMetadata: readonly OrtMetadata[];
  run(feeds: never): Promise<Readonly<Record<string, unknown>>>;
  release(): Promise<void>;
}

/** Options of `InferenceSession.create` that mean the same in both runtimes. */
export interface OrtOptions {
  readonly executionProviders: readonly string[];
  readonly graphOptimizationLevel: "all" | "disabled";
  readonly executionMode: "sequential";
  readonly intraOpNumThreads: number;
  readonly interOpNumThreads: number;
  readonly logSeverityLevel: 4;
  readonly extra: {
    readonly session: {
      readonly qdq_matmulnbits_accuracy_level: "1";
      /** On WebGPU alone: a node without a kernel there is an error, never a detour by the CPU. */
      readonly disable_cpu_ep_fallback?: "1";
    };
  };
}

/**
 * One thread unless asked for, sequential, nothing on stderr (errors are thrown), and accuracy level 1 for
 * the MatMul of 4-bit weights: ONNX Runtime's own choice, 4, quantizes the activations too, which changes
 * the results.
 *
 * @throws QdgError `usage` unless threads is an integer >= 1
 */
export function ortOptions(provider: "cpu" | "wasm" | "webgpu", options: RuntimeOptions): OrtOptions {
  const threads = options.threads ?? 1;
  checkThreads(threads);
  return {
    executionProviders: [provider],
    graphOptimizationLevel: options.optimization === "none" ? "disabled" : "all",
    executionMode: "sequential",
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: 4,
    extra: {
      session: {
        qdq_matmulnbits_accuracy_level: "1",
        ...(provider === "webgpu" && { disable_cpu_ep_fallback: "1" }),
      },
    },
  };
}

/** How messages call a model: its path, or "model" for bytes in memory. */
export function nameOf(model: ModelSource): string {
  return "path" in model ? model.path : "model";
}

/** The runtime's words as one `runtime` error; a QdgError passes through, so that none is wrapped twice. */
export function runtimeError(where: string, thrown: unknown): QdgError {
  if (thrown instanceof QdgError) return thrown;
  return new QdgError("runtime", where, errorText(thrown), { cause: thrown });
}

/** A session of ONNX Runtime behind qdg's interface. */
export class OnnxSession implements Session {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  readonly #where: string;
  readonly #tensor: OrtTensorConstructor;
  #session: OrtSession | null;

  /** @throws QdgError `runtime` for an input or output that is no tensor, or of a type that cannot be passed */
  constructor(where: string, session: OrtSession, tensor: OrtTensorConstructor) {
    this.#where = where;
    this.#session = session;
    this.#tensor = tensor;
    this.inputs = session.inputMetadata.map((metadata) => infoOf(metadata, where));
    this.outputs = session.outputMetadata.map((metadata) => infoOf(metadata, where));
  }

  async run(feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>> {
    const session = this.#session;
    if (session === null) {
      throw new QdgError("runtime", this.#where, "the session was disposed of; open the model again");
    }
    checkFeeds(this.inputs, feeds, this.#where);
    const ortFeeds: Record<string, OrtTensor> = {};
    for (const { name } of this.inputs) {
      const { dtype, shape, data } = feeds[name] as Tensor;
      // Where there is a Float16Array (Node 24), the constructor makes one of 16 bits, which the native library cannot read.
      const made = new this.#tensor((dtype === "float16" ? "uint16" : dtype) as never, data as never, [
        ...shape,
      ]);
      ortFeeds[name] = Object.assign(made, { type: dtype });
    }
    let results: Readonly<Record<string, unknown>>;
    try {
      results = await session.run(ortFeeds as never);
    } catch (thrown) {
      throw runtimeError(this.#where, thrown);
    }
    const outputs: Record<string, Tensor> = {};
    for (const { name } of this.outputs) {
      outputs[name] = fromOrt(results[name] as OrtTensor, `${this.#where}, output "${name}"`);
    }
    return outputs;
  }

  async dispose(): Promise<void> {
    const session = this.#session;
    this.#session = null;
    if (session === null) return;
    try {
      await session.release();
    } catch (thrown) {
      throw runtimeError(this.#where, thrown);
    }
  }
}

/**
 * The types that both runtimes pass in and out. Not int4 and uint4: onnxruntime-node 1.30 takes the whole
 * process down when an output has one of them.
 */
const DTYPES: ReadonlySet<string> = new Set<DType>([
  "float32",
  "float64",
  "int8",
  "uint8",
  "int16",
  "uint16",
  "int32",
  "uint32",
  "int64",
  "uint64",
  "bool",
  "float16",
]);

function infoOf(metadata: OrtMetadata, where: string): TensorInfo {
  const type = metadata.isTensor ? metadata.type : "not a tensor";
  return {
    name: metadata.name,
    dtype: dtypeOf(type ?? "none", `${where}, "${metadata.name}"`),
    shape: (metadata.shape ?? []).map(dimOf),
  };
}

/** A size without a name: "" from the native runtime, 2^32 - 1 from the WebAssembly one (-1, unsigned). */
function dimOf(dim: number | string): number | string {
  return typeof dim === "number" && (dim < 0 || dim === 0xffffffff) ? "" : dim;
}

function dtypeOf(type: string, where: string): DType {
  if (DTYPES.has(type)) return type as DType;
  throw new QdgError(
    "runtime",
    where,
    `type: got ${type}, expected one of ${[...DTYPES].join(", ")}; add a Cast`,
  );
}

function fromOrt(result: OrtTensor, where: string): Tensor {
  const dtype = dtypeOf(result.type, where);
  const shape = [...result.dims];
  const view = result.data as ArrayBufferView;
  // A copy into an array of qdg's own: the runtime's memory may be reused, and newer engines give a
  // Float16Array where qdg holds the 16 bits.
  const data = allocate(dtype, sizeOf(shape));
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength).set(
    new Uint8Array(view.buffer, view.byteOffset, view.byteLength),
  );
  return { dtype, shape, data };
}
