// The float model as stock tfjs computes it: the oracle that exported files are compared with. Every number is tfjs's own.
// tfjs is loaded at the first probe or open.

import { createRequire } from "node:module";
import { dirname, sep } from "node:path";
import type * as Tfjs from "@tensorflow/tfjs";
import { breathe } from "../base/breathe.js";
import { errorText, QdgError } from "../base/error.js";
import type { Tensor } from "../base/tensor.js";
import { checkFeeds } from "./feeds.js";
import { readTfjsSource, type TfjsNetwork } from "./tfjs-network.js";
import type { Availability, ModelSource, Runtime, Session, TensorInfo } from "./runtime.js";

type Tf = typeof Tfjs;
type TfBackend = "wasm" | "cpu";

const remedy = "install @tensorflow/tfjs and @tensorflow/tfjs-backend-wasm";

/**
 * A layers-model by tfjs's own layers, a graph-model by its own converter, on its WebAssembly backend (one thread); a model that needs
 * a kernel which that backend lacks, or gets wrong, runs on the plain JavaScript backend. Inputs and outputs
 * bear the names of their layers, in tfjs's order and layout; where a name comes twice, the order tells
 * outputs apart. `threads` and `optimization` have no meaning here and change nothing.
 */
export const tfjsRuntime: Runtime = {
  name: "float",

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
    const source = await readTfjsSource(model.path);
    try {
      return await loaded.exclusively(loaded.backend, async (tf) => {
        const network = await source.load(tf);
        // Not on a backend that is known to be wrong for a layer of this model.
        return new TfjsSession(model.path, loaded, network, source.wasmIsWrong ? "cpu" : loaded.backend);
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
  #model: TfjsNetwork | null;

  constructor(where: string, loaded: Loaded, model: TfjsNetwork, backend: TfBackend) {
    this.#where = where;
    this.#loaded = loaded;
    this.#backend = backend;
    this.#model = model;
    this.inputs = model.inputs;
    this.outputs = model.outputs;
  }

  async run(feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>> {
    const model = this.#model;
    if (model === null) {
      throw new QdgError("runtime", this.#where, "the session was disposed of; open the model again");
    }
    checkFeeds(this.inputs, feeds, this.#where);
    await breathe();
    const predict = (tf: Tf): Promise<Record<string, Tensor>> => this.#predict(tf, model, feeds);
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

  async #predict(
    tf: Tf,
    model: TfjsNetwork,
    feeds: Readonly<Record<string, Tensor>>,
  ): Promise<Record<string, Tensor>> {
    // A scope that may wait within, which tidy may not: everything that is made and not kept goes at its end.
    tf.engine().startScope();
    try {
      const inputs = this.inputs.map(({ name }) => {
        const feed = feeds[name] as Tensor;
        return tf.tensor(feed.data as Float32Array, [...feed.shape], feed.dtype as "float32");
      });
      const results = await model.run(tf, inputs);
      return Object.fromEntries(
        this.outputs.map(({ name, dtype }, i): [string, Tensor] => {
          const result = results[i] as Tfjs.Tensor;
          return [name, { dtype, shape: [...result.shape], data: result.dataSync().slice() }];
        }),
      );
    } finally {
      tf.engine().endScope();
    }
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

function runtimeError(where: string, thrown: unknown): QdgError {
  if (thrown instanceof QdgError) return thrown;
  return new QdgError("runtime", where, errorText(thrown), { cause: thrown });
}
