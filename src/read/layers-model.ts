// A tfjs layers-model as a graph: the topology of model.json and its weights in, ONNX operators out. Pure:
// no file is touched here.

import { QdgError } from "../base/error.js";
import type { DType } from "../base/tensor.js";
import type { Graph } from "../graph/graph.js";
import { LayerConfig } from "./config.js";
import {
  isContainer,
  prepareContainer,
  type Callable,
  type Container,
  type InputDeclaration,
  type PrepareLayer,
} from "./container.js";
import { nameDims, type TfjsShape } from "./dims.js";
import { GraphWriter } from "./graph-writer.js";
import type { Held } from "./held.js";
import { LayerCall, LayerInstance, type Emit, type InnerLayers } from "./layer.js";
import { LAYERS, REFUSED_LAYERS } from "./layers.js";
import {
  camelCase,
  describe,
  field,
  isList,
  isMap,
  type Json,
  type JsonMap,
  type ModelJson,
} from "./model-json.js";
import { WeightStore } from "./weight-store.js";
import type { Weights } from "./weights.js";

/**
 * The order of axes of the file's inputs and outputs. "nhwc" is tfjs's own shape; "nchw" moves the channels
 * of images (rank 4 and 5, and rank 3 where only convolutions over one axis read it) to axis 1. A model
 * whose layers say channelsFirst has them there already, and stays as it is.
 */
export type InputLayout = "nhwc" | "nchw";

export interface ReadOptions {
  /** "nhwc" when absent */
  readonly layout?: InputLayout;
}

/**
 * Reads a layers-model. Graph inputs and outputs are tfjs's, in its order; the value that a layer gives is
 * named as the layer (`layer@1` for its second call), values within it `layer/what`, weights as tfjs names
 * them. Unknown sizes are N (batch), H, W, L, D and formulas of these.
 *
 * @throws QdgError `invalid-model`, `invalid-weights` (missing, left over or of another shape), and
 * `unsupported-layer` with the layer and the key for everything that cannot be computed exactly
 */
export function readLayersModel(json: ModelJson, weights: Weights, options: ReadOptions = {}): Graph {
  return readLayersModelWithNames(json, weights, options).graph;
}

/** A graph, and where in the manifest its weights come from. */
export interface NamedLayersModel {
  readonly graph: Graph;
  /**
   * The manifest's name of the weight that a constant of the graph holds, by the constant's name. The order
   * of axes is the constant's; two constants may hold one weight (a layer that is called on two layouts).
   */
  readonly weightNames: ReadonlyMap<string, string>;
}

/** {@link readLayersModel} for callers that change weights and write them back. @throws the same */
export function readLayersModelWithNames(
  json: ModelJson,
  weights: Weights,
  options: ReadOptions = {},
): NamedLayersModel {
  const className = field(json.topology, "className");
  if (typeof className !== "string" || !isContainer(className)) {
    throw new QdgError("unsupported-model", describe(className), "is no Sequential, Model or Functional");
  }
  const config = field(json.topology, "config");
  const name = (isMap(config) && field(config, "name")) || "model";
  const writer = new GraphWriter(typeof name === "string" ? name : "model");
  const store = new WeightStore(weights);
  const model = prepareContainer(className, config, layerReader(writer, store));

  const channelsFirst = hasChannelsFirst(json.topology);
  const moves = options.layout === "nchw" && !channelsFirst;
  const inputs = declareInputs(writer, model, moves, channelsFirst);
  const outputs = model.call(inputs);
  store.checkAllTaken();
  if (moves) {
    for (const { value } of inputs) if (value.shape.length === 3) writer.declareChannelsFirst(value);
  }
  for (const held of outputs) {
    const rank = held.value.shape.length;
    const asHeld = moves && rank === 3;
    writer.output(asHeld ? held.value : moves && rank > 3 ? writer.channelsFirst(held) : writer.asIs(held));
  }
  return { graph: writer.finish(), weightNames: store.weightNames };
}

function declareInputs(
  writer: GraphWriter,
  model: Container,
  moves: boolean,
  channelsFirst: boolean,
): Held[] {
  return model.inputs.map(({ name, shape, dtype }, index) =>
    writer.input(
      name,
      nameDims(shape, index, channelsFirst),
      inputType(name, dtype),
      moves && shape.length > 3,
    ),
  );
}

function inputType(name: string, dtype: string): DType {
  if (dtype === "float32" || dtype === "int32" || dtype === "bool") return dtype;
  throw new QdgError(
    "unsupported-model",
    name,
    `dtype: got ${JSON.stringify(dtype)}, expected float32, int32 or bool`,
  );
}

/** Whether any layer has its channels on axis 1. */
export function hasChannelsFirst(json: Json): boolean {
  if (isList(json)) return json.some(hasChannelsFirst);
  if (!isMap(json)) return false;
  const format = field(json, "dataFormat");
  if (typeof format === "string" && camelCase(format) === "channelsFirst") return true;
  return [...json.values()].some(hasChannelsFirst);
}

function layerReader(writer: GraphWriter, store: WeightStore): PrepareLayer {
  return (className, name, json) => {
    if (className === "InputLayer") return prepareInput(name, json);
    const { emit, several, integers } = prepareEmit(className, json, name);
    const instance = new LayerInstance(name, className, writer, store);
    return {
      name,
      kind: "layer",
      layerCount: 1,
      inputs: declarationOf(className, name, json),
      call(inputs) {
        const call = LayerCall.next(instance);
        if (!several && inputs.length !== 1) call.failModel(`got ${inputs.length} inputs, expected 1`);
        const types = new Set(inputs.map(({ value }) => value.dtype));
        return [emit(integers && types.size === 1 ? inputs : asReals(inputs, call), call)];
      },
    };
  };
}

/** ONNX's number for float. */
const FLOAT = 1;

/** Integers as float32, as tfjs casts them for layers that compute with reals, and beside reals. */
function asReals(inputs: readonly Held[], call: LayerCall): Held[] {
  return inputs.map((held, index) => {
    const { value, layout } = held;
    if (value.dtype === "float32") return held;
    const what = inputs.length === 1 ? "real" : `real_${index}`;
    const type = { dtype: "float32" } as const;
    return { value: call.node("Cast", [value], what, value.shape, { to: FLOAT }, type), layout };
  });
}

function prepareEmit(
  className: string,
  json: JsonMap,
  name: string,
): { readonly emit: Emit; readonly several: boolean; readonly integers: boolean } {
  const where = `${name} (${className})`;
  const definition = LAYERS.get(className);
  if (!definition) {
    const reason =
      REFUSED_LAYERS.get(className) ??
      "is no layer of tfjs-layers 4.22 that can be exported; replace it by standard layers";
    throw new QdgError("unsupported-layer", where, reason);
  }
  const config = new LayerConfig(json, where);
  const emit = definition.prepare(config, innerLayers);
  config.finish();
  return { emit, several: definition.takesSeveral ?? false, integers: definition.takesIntegers ?? false };
}

const innerLayers: InnerLayers = {
  prepare(json, where) {
    const className = isMap(json) ? field(json, "className") : undefined;
    const config = isMap(json) ? field(json, "config") : undefined;
    if (typeof className !== "string" || !isMap(config)) {
      throw new QdgError(
        "invalid-model",
        where,
        `layer: got ${describe(json)}, expected {class_name, config}`,
      );
    }
    return { className, emit: prepareEmit(className, config, `${where} of`).emit };
  },
};

function prepareInput(name: string, json: JsonMap): Callable {
  const where = `${name} (InputLayer)`;
  const config = new LayerConfig(json, where);
  config.neutral("sparse", false);
  config.neutral("ragged", false);
  config.finish();
  const inputs = declarationOf("InputLayer", name, json);
  if (!inputs) throw new QdgError("invalid-model", where, "batch_input_shape is missing");
  return { name, kind: "input", layerCount: 1, inputs, call: (tensors) => tensors };
}

/**
 * The input that a layer declares for the case that it comes first: batch_input_shape, or batch_size and
 * input_shape; Dense also by input_dim, Embedding always.
 */
function declarationOf(className: string, layer: string, json: JsonMap): readonly InputDeclaration[] | null {
  const dtype = field(json, "dtype") ?? field(json, "inputDType") ?? "float32";
  const batch = field(json, "batchSize") ?? null;
  const given = field(json, "batchInputShape") ?? joined(batch, field(json, "inputShape"));
  const implied = (): Json | null => {
    if (className === "Dense") return joined(batch, asList(field(json, "inputDim")));
    if (className !== "Embedding") return null;
    return joined(batch, asList(field(json, "inputLength") ?? null));
  };
  const shape = given ?? implied();
  if (shape === null || shape === undefined) return null;
  const sizes = isList(shape) ? shape.map((dim) => (typeof dim === "number" && dim < 0 ? null : dim)) : [];
  if (
    sizes.length === 0 ||
    !sizes.every((dim) => dim === null || (Number.isSafeInteger(dim) && (dim as number) > 0))
  ) {
    throw new QdgError(
      "invalid-model",
      `${layer} (${className})`,
      `batch_input_shape: got ${describe(shape)}, expected sizes`,
    );
  }
  return [
    {
      name: className === "InputLayer" ? layer : `${layer}_input`,
      shape: sizes as TfjsShape,
      dtype: typeof dtype === "string" ? dtype : "float32",
    },
  ];
}

function joined(batch: Json, shape: Json | undefined): readonly Json[] | null {
  return isList(shape) ? [batch, ...shape] : null;
}

function asList(value: Json | undefined): readonly Json[] | undefined {
  if (value === undefined) return undefined;
  return isList(value) ? value : [value];
}
