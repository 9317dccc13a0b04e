// A network that is loaded into the engine: operations over one memory, run one sample after the other.

import { QdgError } from "../base/error.js";
import type { Tensor } from "../base/tensor.js";
import { allocate } from "../base/tensor.js";
import type { Operators } from "../compute/kernel.js";
import { consumers, type Graph, type Value } from "../graph/graph.js";
import type { ImageInput } from "../image/to-tensor.js";
import type { Bytes, Storage } from "./bytes.js";
import { pitchOf } from "./bytes.js";
import { EngineMemory, type Lifetime, placeStorages } from "./memory.js";
import { type EngineModules, instantiate, type Kernels } from "./module.js";
import type { Operation, Run, Tensors } from "./operations/operation.js";
import { type Pixels, pixelWriter } from "./pixels.js";
import { raise } from "./raise.js";
import type { Threads } from "./team.js";

export interface EngineNetwork {
  /** Bytes of WebAssembly memory. */
  readonly memory: number;
  /** @param feeds of the graph's inputs, checked by the caller: any number of samples where their first axis is open */
  run(feeds: ReadonlyMap<Value, Tensor>): ReadonlyMap<Value, Tensor>;
  /**
   * The same run on the pixels of one image of the input's size, for which no float32 image is made: preprocessing and
   * quantization are one look-up of `clip(roundHalfEven(fl(x / scale)) + zeroPoint)` for each level x of a channel. null where
   * the network does not begin so: it has several inputs, or its input has another reader than one quantizer, or another shape.
   *
   * @throws QdgError `invalid-data` as pixelWriter does, and when called
   */
  pixelRun(input: ImageInput): ((pixels: Pixels) => ReadonlyMap<Value, Tensor>) | null;
  /** Ends its threads. */
  dispose(): void;
}

/**
 * @param graph raised from a file's bytes; changed
 * @param operators that are here for what is no integer pattern
 * @param threads that share the work of large layers
 * @throws QdgError `unsupported-op` naming what the engine does not compute
 */
export async function loadEngine(
  graph: Graph,
  modules: EngineModules,
  operators: Operators,
  threads: Threads | null = null,
): Promise<EngineNetwork> {
  const { outputs } = graph;
  const { operations, batched } = raise(graph, operators);
  const memory = new EngineMemory(placeStorages(lifetimesOf(operations)), threads !== null);
  const own = await instantiate(threads?.modules ?? modules, memory.memory);
  const team = threads && (await (await import("./team.js")).startTeam(own, memory.memory, threads));
  const kernels = team?.kernels ?? own;
  const begin = quantizerOfInput(graph, operations);
  const runs: Run[] = [];
  let first = 0;
  for (const operation of operations) {
    const run = operation.prepare(memory, kernels);
    const border = operation.writes && borderOf(operation.writes, kernels);
    if (border) runs.push(border);
    if (operation === begin) first = runs.length;
    runs.push(run);
  }
  letGoOfWeights(graph);
  const runSample = (tensors: Tensors, all: readonly Run[] = runs): Tensor[] => {
    for (const run of all) run(tensors);
    return outputs.map((output) => {
      const result = output.constant ?? tensors.get(output);
      if (!result) throw new QdgError("internal", output.name, "is an output that nothing computes");
      return result;
    });
  };
  const named = (samples: readonly (readonly Tensor[])[]): ReadonlyMap<Value, Tensor> =>
    new Map(outputs.map((output, i) => [output, joined(samples.map((each) => each[i] as Tensor))]));
  return {
    get memory() {
      return memory.bytes;
    },
    run: (feeds) => {
      if (!batched) requireOneSample(feeds);
      return named(
        batched ? samplesOf(feeds).map((sample) => runSample(sample)) : [runSample(new Map(feeds))],
      );
    },
    dispose: () => team?.stop(),
    pixelRun: (input) => {
      const { quantizer, writes } = begin ?? {};
      const write = quantizer && writes && pixelWriter(input, quantizer, writes, memory, kernels);
      if (!write) return null;
      const [before, after] = [runs.slice(0, first), runs.slice(first + 1)];
      return (pixels) => named([runSample(new Map(), [...before, () => write(pixels), ...after])]);
    },
  };
}

/** What runs hold of the graph must not lead to the weights that the kernels have in their memory, nor to the file's bytes. */
function letGoOfWeights({ nodes, outputs }: Graph): void {
  for (const node of nodes) {
    for (const input of node.inputs) if (input && !outputs.includes(input)) delete input.constant;
    for (const output of node.outputs) delete output.producer;
  }
}

/** The operation that quantizes the only input, where nothing else reads it; null for a network that begins otherwise. */
function quantizerOfInput(graph: Graph, operations: readonly Operation[]): Operation | null {
  const [input, ...others] = graph.inputs;
  if (!input || others.length > 0 || graph.outputs.includes(input)) return null;
  if (consumers(graph).get(input)?.length !== 1) return null;
  return operations.find(({ quantizer }) => quantizer?.x === input) ?? null;
}

/** Storages in the order in which they are first written, each until its last reader. */
function lifetimesOf(operations: readonly Operation[]): Lifetime[] {
  const lifetimes = new Map<Storage, { storage: Storage; first: number; last: number }>();
  operations.forEach(({ reads, writes }, i) => {
    for (const { storage } of [...reads, ...(writes ? [writes] : [])]) {
      const known = lifetimes.get(storage);
      if (known) known.last = i;
      else lifetimes.set(storage, { storage, first: i, last: i });
    }
  });
  return [...lifetimes.values()];
}

/** Fills the positions around an image; null where nobody reads any. */
function borderOf({ storage }: Bytes, kernels: Kernels): Run | null {
  const { border, H, W, step, address } = storage;
  if (border.value === null) return null;
  const { top, left, bottom, right, value } = border;
  const pitch = pitchOf(storage);
  const image = address + top * pitch + left * step;
  const first = top * pitch + left * step;
  const between = (left + right) * step;
  return () => {
    kernels.fill(address, 1, first, 0, value);
    kernels.fill(image + W * step, H - 1, between, pitch, value);
    kernels.fill(image + (H - 1) * pitch + W * step, 1, right * step + bottom * pitch, 0, value);
  };
}

/** @throws QdgError `runtime`: where outputs have no axis of samples, what is open is not told to be that */
function requireOneSample(feeds: ReadonlyMap<Value, Tensor>): void {
  for (const [{ name, shape }, feed] of feeds) {
    if (feed.shape.every((size, axis) => size === shape[axis])) continue;
    throw new QdgError(
      "runtime",
      `engine, input "${name}"`,
      `got [${feed.shape.join(", ")}], expected [${shape.join(", ")}]: outputs of this network have no open first axis; run larger batches on wasm`,
    );
  }
}

/** One sample of each feed at a time. */
function samplesOf(feeds: ReadonlyMap<Value, Tensor>): Tensors[] {
  const [first] = feeds.values();
  const count = first?.shape[0] ?? 0;
  if (count === 1) return [new Map(feeds)];
  return Array.from({ length: count }, (_, n) => {
    return new Map(
      [...feeds].map(([value, { dtype, shape, data }]) => {
        const length = data.length / count;
        const sample = data.slice(n * length, (n + 1) * length);
        return [value, { dtype, shape: [1, ...shape.slice(1)], data: sample }];
      }),
    );
  });
}

function joined(results: readonly Tensor[]): Tensor {
  const [first] = results as [Tensor];
  if (results.length === 1) return first;
  const length = first.data.length;
  const data = allocate(first.dtype, length * results.length);
  results.forEach((result, n) => (data as Uint8Array).set(result.data as Uint8Array, n * length));
  return { dtype: first.dtype, shape: [results.length, ...first.shape.slice(1)], data };
}
