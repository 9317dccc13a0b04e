// What tfjs runs of a model.json of either format: topology and weights as our readers have read and judged them. So tfjs
// meets no file that would make it loop or build without end, and dialects that it does not know reach it in its own.

import type * as Tfjs from "@tensorflow/tfjs";
import { errorText } from "../base/error.js";
import type { Tensor } from "../base/tensor.js";
import { type Dim, type Graph, intsAttribute, type Node } from "../graph/graph.js";
import { type GraphJson } from "../read/graph-model/graph-json.js";
import { readGraphFiles } from "../read/graph-model/read-graph-files.js";
import { readGraphModel } from "../read/graph-model/read-graph-model.js";
import { readLayersModel } from "../read/layers-model.js";
import { isGraphModel, type JsonObject, toPlain } from "../read/model-json.js";
import { type JsonFile, readJsonFile, readLayersFiles } from "../read/read-model.js";
import type { Weights } from "../read/weights.js";
import type { TensorInfo } from "./runtime.js";
import { tfjsDeviations } from "./tfjs-deviations.js";

type Tf = typeof Tfjs;

/** A model as tfjs computes it; inputs and outputs in the model's order. */
export interface TfjsNetwork {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  run(tf: Tf, inputs: readonly Tfjs.Tensor[]): Promise<readonly Tfjs.Tensor[]> | readonly Tfjs.Tensor[];
  dispose(): void;
}

/** A model that has been read and judged, before tfjs sees it. */
export interface TfjsSource {
  /** As our reader reads it, in tfjs's order of axes. */
  readonly graph: Graph;
  /** The topology of a layers-model; null for one that has no layers. */
  readonly layers: JsonObject | null;
  /** Whether tfjs's WebAssembly is known to get something of it wrong that its plain backend gets right. */
  readonly wasmIsWrong: boolean;
  load(tf: Tf): Promise<TfjsNetwork>;
}

/** @throws QdgError what the readers throw */
export async function readTfjsSource(path: string): Promise<TfjsSource> {
  const file = await readJsonFile(path);
  return isGraphModel(file.parsed) ? graphSource(file) : layersSource(file);
}

async function layersSource(file: JsonFile): Promise<TfjsSource> {
  const { json, weights } = await readLayersFiles(file);
  const graph = readLayersModel(json, weights);
  const layers = toPlain(json.topology);
  return {
    graph,
    layers,
    wasmIsWrong: tfjsDeviations(layers).some(({ backends }) => backends === "wasm"),
    async load(tf) {
      const model = await tf.loadLayersModel(handler({ modelTopology: layers, ...weightArtifacts(weights) }));
      return {
        inputs: infosOf(model.inputs),
        outputs: infosOf(model.outputs),
        run(_, inputs) {
          const results = model.predictOnBatch(
            inputs.length === 1 ? (inputs[0] as Tfjs.Tensor) : [...inputs],
          );
          return Array.isArray(results) ? results : [results];
        },
        dispose: () => void model.dispose(),
      };
    },
  };
}

async function graphSource(file: JsonFile): Promise<TfjsSource> {
  const { json, weights } = await readGraphFiles(file);
  const graph = readGraphModel(json, weights, {}, file.path);
  const { modelTopology } = file.parsed as { readonly modelTopology: object };
  return {
    graph,
    layers: null,
    wasmIsWrong: graph.nodes.some(isWrongInWasm),
    async load(tf) {
      const model = await tf.loadGraphModel(handler({ modelTopology, ...weightArtifacts(weights) }));
      return graphNetwork(model, json, graph);
    },
  };
}

/** The operators behind the rules of tfjs-deviations, however a model comes to them. */
function isWrongInWasm(node: Node): boolean {
  const strides = intsAttribute(node, "strides") ?? [];
  const kernel = intsAttribute(node, "kernel_shape") ?? [];
  return node.op === "PRelu" || (node.op === "Conv" && strides.some((s, axis) => s > (kernel[axis] ?? 1)));
}

/** Nodes are asked for by their own names; what the signature calls them is ours to say. */
function graphNetwork(model: Tfjs.GraphModel, json: GraphJson, graph: Graph): TfjsNetwork {
  const fed = json.inputs.map(({ source }) => source.node);
  const asked = json.outputs.map(({ source: { node, output } }) => `${node}:${output}`);
  let waits = false;
  return {
    inputs: graph.inputs.map(infoOf),
    outputs: graph.outputs.map(infoOf),
    async run(_, inputs) {
      const feeds = Object.fromEntries(fed.map((name, i) => [name, inputs[i] as Tfjs.Tensor]));
      if (!waits) {
        try {
          return listOf(model.execute(feeds, asked));
        } catch (thrown) {
          // tfjs says so of operators whose results it has to wait for.
          if (!errorText(thrown).includes("executeAsync")) throw thrown;
          waits = true;
        }
      }
      return listOf(await model.executeAsync(feeds, asked));
    },
    dispose: () => {
      model.dispose();
    },
  };
}

function listOf(results: Tfjs.Tensor | Tfjs.Tensor[]): Tfjs.Tensor[] {
  return Array.isArray(results) ? results : [results];
}

function infoOf({
  name,
  dtype,
  shape,
}: {
  name: string;
  dtype: Tensor["dtype"];
  shape: readonly Dim[];
}): TensorInfo {
  return { name, dtype, shape: shape.map((dim, axis) => (typeof dim === "number" || axis === 0 ? dim : "")) };
}

function handler(artifacts: Tfjs.io.ModelArtifacts): Tfjs.io.IOHandler {
  return { load: () => Promise.resolve(artifacts) };
}

function weightArtifacts(weights: Weights): Pick<Tfjs.io.ModelArtifacts, "weightSpecs" | "weightData"> {
  const list = [...weights];
  return {
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
