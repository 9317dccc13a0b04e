// The float model as stock tfjs computes it: the oracle that exported files are compared with. The file reaches it
// through src/read, checked and in the classic form; every number is tfjs's own. tfjs is loaded at the first probe or open.

import { createRequire } from "node:module";
import { dirname, sep } from "node:path";
import type * as Tfjs from "@tensorflow/tfjs";
import { breathe } from "../base/breathe.js";
import { errorText, QdgError } from "../base/error.js";
import type { Tensor } from "../base/tensor.js";
import { readLayersModel } from "../read/layers-model.js";
import { toPlain } from "../read/model-json.js";
import { readModelFiles } from "../read/read-model.js";
import { checkFeeds } from "./feeds.js";
import { tfjsDeviations } from "./tfjs-deviations.js";
import type { Availability, ModelSource, Runtime, Session, TensorInfo } from "./runtime.js";

type Tf = typeof Tfjs;
type TfBackend = "wasm" | "cpu";

const remedy = "install @tensorflow/tfjs and @tensorflow/tfjs-backend-wasm";

/**
 * `tfjs`: a layers-model by tfjs's own layers, on its WebAssembly backend (one thread); a model that needs
 * a kernel which that backend lacks, or gets wrong, runs on the plain JavaScript backend. Inputs and outputs
 * bear the names of their layers, in tfjs's order and layout; where a name comes twice, the order tells
 * outputs apart. `threads` and `optimization` have no meaning here and change nothing.
 */
export const tfjsRuntime: Runtime = {
  name: "tfjs",

  async probe(): Promise<Availability> {
    try {
      const { tf, backend } = await load();
      const backends =
        backend === "wasm"
          ? "backend wasm; cpu where wasm lacks a kernel"
          : "backend cpu; wasm did not start";
      return { available: true, version: `@tensorflow/tfjs ${tf.version.tfjs} (${backends})` };
    } catch (thrown) {
      return { available: false, reason: errorText(thrown), remedy };
    }
  },

  async open(model: ModelSource): Promise<Session> {
    if (!("path" in model)) {
      throw new QdgError("usage", "runtime tfjs", "got bytes, expected the path of a model.json");
    }
    let loaded: Loaded;
    try {
      loaded = await load();
    } catch (thrown) {
      throw new QdgError("unavailable", "runtime tfjs", `${errorText(thrown)}; ${remedy}`, { cause: thrown });
    }
    const artifacts = await readArtifacts(model.path);
    try {
      return await loaded.exclusively(loaded.backend, async (tf) => {
        const layersModel = await tf.loadLayersModel({ load: () => Promise.resolve(artifacts) });
        // Not on a backend that is known to be wrong for a layer of this model.
        const wasmIsWrong = tfjsDeviations(artifacts.modelTopology).some((each) => each.backends === "wasm");
        return new TfjsSession(model.path, loaded, layersModel, wasmIsWrong ? "cpu" : loaded.backend);
      });
    } catch (thrown) {
      throw runtimeError(model.path, thrown);
    }
  },
};

interface Loaded {
  readonly tf: Tf;
  readonly backend: TfBackend;
  /** Runs `work` on a backend, nothing else of this runtime meanwhile, and then restores the backend. */
  exclusively<T>(backend: TfBackend, work: (tf: Tf) => Promise<T> | T): Promise<T>;
}

let loading: Promise<Loaded> | null = null;

function load(): Promise<Loaded> {
  loading ??= loadTfjs().catch((thrown: unknown) => {
    loading = null;
    throw thrown;
  });
  return loading;
}

async function loadTfjs(): Promise<Loaded> {
  const tfjsModule = await import("@tensorflow/tfjs");
  const wasmModule = await import("@tensorflow/tfjs-backend-wasm");
  // CommonJS: the names that Node does not find by itself are on the default export.
  const tf = ("default" in tfjsModule ? tfjsModule.default : tfjsModule) as Tf;
  const wasm = ("default" in wasmModule ? wasmModule.default : wasmModule) as typeof wasmModule;
  // tfjs's production flag mutes its advice on the console and does nothing else.
  tf.env().set("PROD", true);
  const folder = dirname(createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm"));
  wasm.setWasmPaths(`${folder}${sep}`);

  // tfjs names this activation gelu_new, but asks for geluNew when it loads a model.
  const { classNameMap } = tf.serialization.SerializationMap.getMap();
  const geluNew = classNameMap["gelu_new"];
  if (geluNew) classNameMap["geluNew"] ??= geluNew;

  // The backend is one variable of tfjs for the whole process. Whoever else uses tfjs finds it as it was.
  const before = tf.getBackend();
  let started = false;
  try {
    started = await tf.setBackend("wasm");
  } catch {
    // Started below without it.
  }
  if (!started) await tf.setBackend("cpu");
  if (before) await tf.setBackend(before);

  let last: Promise<unknown> = Promise.resolve();
  return {
    tf,
    backend: started ? "wasm" : "cpu",
    exclusively(backend, work) {
      const turn = last.then(async () => {
        const previous = tf.getBackend();
        await tf.setBackend(backend);
        try {
          return await work(tf);
        } finally {
          if (previous && previous !== backend) await tf.setBackend(previous);
        }
      });
      last = turn.catch(() => undefined);
      return turn;
    },
  };
}

class TfjsSession implements Session {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  readonly #where: string;
  readonly #loaded: Loaded;
  #backend: TfBackend;
  #model: Tfjs.LayersModel | null;

  constructor(where: string, loaded: Loaded, model: Tfjs.LayersModel, backend: TfBackend) {
    this.#where = where;
    this.#loaded = loaded;
    this.#backend = backend;
    this.#model = model;
    this.inputs = infosOf(model.inputs);
    this.outputs = infosOf(model.outputs);
  }

  async run(feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>> {
    const model = this.#model;
    if (model === null) {
      throw new QdgError("runtime", this.#where, "the session was disposed of; open the model again");
    }
    checkFeeds(this.inputs, feeds, this.#where);
    await breathe();
    const predict = (tf: Tf): Record<string, Tensor> => this.#predict(tf, model, feeds);
    try {
      if (this.#backend === "wasm") {
        try {
          return await this.#loaded.exclusively("wasm", predict);
        } catch {
          // A missing kernel, or a form of one that this backend refuses. The other backend has them all;
          // an error of the model itself comes again from there.
          this.#backend = "cpu";
        }
      }
      return await this.#loaded.exclusively("cpu", predict);
    } catch (thrown) {
      throw runtimeError(this.#where, thrown);
    }
  }

  #predict(tf: Tf, model: Tfjs.LayersModel, feeds: Readonly<Record<string, Tensor>>): Record<string, Tensor> {
    const outputs: Record<string, Tensor> = {};
    tf.tidy(() => {
      const inputs = this.inputs.map(({ name }) => {
        const feed = feeds[name] as Tensor;
        return tf.tensor(feed.data as Float32Array, [...feed.shape], feed.dtype as "float32");
      });
      const results = model.predictOnBatch(inputs.length === 1 ? (inputs[0] as Tfjs.Tensor) : inputs);
      const list = Array.isArray(results) ? results : [results];
      this.outputs.forEach(({ name, dtype }, i) => {
        const result = list[i] as Tfjs.Tensor;
        outputs[name] = { dtype, shape: [...result.shape], data: result.dataSync().slice() };
      });
    });
    return outputs;
  }

  async dispose(): Promise<void> {
    const model = this.#model;
    this.#model = null;
    if (model === null) return;
    await this.#loaded.exclusively(this.#backend, () => {
      model.dispose();
    });
  }
}

/**
 * Layer names, those of inner layers where a model is a layer, as the graph names them; `name:1` and so on
 * where a name comes again. Of the sizes only the batch has a name.
 */
function infosOf(tensors: readonly Tfjs.SymbolicTensor[]): TensorInfo[] {
  const taken = new Set<string>();
  return tensors.map((symbolic) => {
    const base = innermostName(symbolic);
    let name = base;
    for (let k = 1; taken.has(name); k++) name = `${base}:${k}`;
    taken.add(name);
    return {
      name,
      dtype: symbolic.dtype as "float32" | "int32" | "bool",
      shape: symbolic.shape.map((size, axis) => size ?? (axis === 0 ? "N" : "")),
    };
  });
}

/** The name of the layer that computes a tensor: inside a model that is used as a layer, the inner one. */
function innermostName(symbolic: Tfjs.SymbolicTensor): string {
  const layer = symbolic.sourceLayer as { name: string; outputs?: readonly Tfjs.SymbolicTensor[] };
  const inner = layer.outputs?.[symbolic.outputTensorIndex ?? 0];
  return inner === undefined || inner === symbolic ? layer.name : innermostName(inner);
}

/**
 * What tfjs loads: topology and weights as our reader has read, judged and rewritten them. So tfjs meets no file that
 * would make it loop or build without end, and dialects that it does not know reach it in its own.
 */
async function readArtifacts(path: string): Promise<Tfjs.io.ModelArtifacts> {
  const { json, weights } = await readModelFiles(path);
  readLayersModel(json, weights);
  const list = [...weights];
  return {
    modelTopology: toPlain(json.topology),
    weightSpecs: list.map(([name, { shape, dtype }]) => ({
      name,
      shape: [...shape],
      dtype: dtype as "float32",
    })),
    weightData: list.map(([, { data }]) => bytesOf(data)),
  };
}

function bytesOf(data: Tensor["data"]): ArrayBuffer {
  const { buffer, byteOffset, byteLength } = data;
  return buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer;
}

function runtimeError(where: string, thrown: unknown): QdgError {
  if (thrown instanceof QdgError) return thrown;
  return new QdgError("runtime", where, errorText(thrown), { cause: thrown });
}
