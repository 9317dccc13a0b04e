// Sequential, Model and Functional: which layer is called on what, in which order. Follows tfjs-layers 4.22
// (Container.fromConfig), also in how calls of a shared layer are counted. Layers themselves are prepared
// by a callback.

import { QdgError } from "../base/error.js";
import { orderCalls, type Reference, type Step } from "./call-order.js";
import type { TfjsShape } from "./dims.js";
import type { Held } from "./held.js";
import { camelCase, describe, field, isList, isMap, type Json, type JsonMap } from "./model-json.js";

/** An input of a model as its first layer declares it. */
export interface InputDeclaration {
  readonly name: string;
  readonly shape: TfjsShape;
  readonly dtype: string;
}

/** A layer or a model that can be called, any number of times. */
export interface Callable {
  readonly name: string;
  readonly kind: "layer" | "input" | "container";
  /** Layers that one call makes: a nested model counts with all of its own. */
  readonly layerCount: number;
  /** What it would declare as the first layer of a Sequential; null when it does not say. */
  readonly inputs: readonly InputDeclaration[] | null;
  call(inputs: readonly Held[]): readonly Held[];
}

export interface Container extends Callable {
  readonly kind: "container";
  readonly inputs: readonly InputDeclaration[];
}

/** Reads one layer of a container. */
export type PrepareLayer = (className: string, name: string, config: JsonMap) => Callable;

/** Keys of a layer's entry that carry no meaning: Keras writes them for itself. */
const ENTRY_KEYS = new Set([
  "name",
  "className",
  "config",
  "inboundNodes",
  "module",
  "registeredName",
  "buildConfig",
  "sharedObjectId",
]);
const SEQUENTIAL_KEYS = new Set([
  "name",
  "layers",
  "trainable",
  "dtype",
  "buildInputShape",
  "batchInputShape",
]);
const MODEL_KEYS = new Set(["name", "layers", "inputLayers", "outputLayers", "trainable", "dtype"]);

/** Layers that a model may have, nested ones counted at each call: ten models that call the one inside twice make 2^10. */
const MAX_LAYERS = 20_000;

export function isContainer(className: string): boolean {
  return className === "Sequential" || className === "Model" || className === "Functional";
}

/** @throws QdgError `invalid-model`, and what layers throw */
export function prepareContainer(
  className: string,
  config: Json | undefined,
  prepare: PrepareLayer,
): Container {
  if (className === "Sequential") return prepareSequential(config, prepare);
  if (!isMap(config)) return fail(className, `config: got ${describe(config)}, expected an object`);
  return prepareModel(config, prepare);
}

function prepareSequential(config: Json | undefined, prepare: PrepareLayer): Container {
  // A list alone is the format of old versions.
  const name = (isMap(config) && stringField(config, "name")) || "sequential";
  if (isMap(config)) checkKeys(config, SEQUENTIAL_KEYS, name);
  const list = isMap(config) ? field(config, "layers") : config;
  if (!isList(list) || list.length === 0)
    return fail(name, `layers: got ${describe(list)}, expected at least one`);
  const layers = list.map((entry) => prepareEntry(entry, name, prepare));
  const [first, ...rest] = layers as [Callable, ...Callable[]];
  const late = rest.find((layer) => layer.kind === "input");
  if (late) fail(late.name, "an InputLayer can only be the first layer");
  if (!first.inputs || first.inputs.length !== 1) {
    return fail(first.name, "the first layer of a Sequential must give input_shape or batch_input_shape");
  }
  return {
    name,
    kind: "container",
    layerCount: totalLayers(layers, name),
    inputs: first.inputs,
    call(inputs) {
      let tensors = inputs;
      for (const layer of layers) {
        if (tensors.length !== 1)
          fail(layer.name, `gets ${tensors.length} tensors in a Sequential, expected 1`);
        tensors = layer.kind === "input" ? tensors : layer.call(tensors);
      }
      return tensors;
    },
  };
}

function prepareModel(config: JsonMap, prepare: PrepareLayer): Container {
  const name = stringField(config, "name") ?? "model";
  checkKeys(config, MODEL_KEYS, name);
  const list = field(config, "layers");
  if (!isList(list)) return fail(name, `layers: got ${describe(list)}, expected a list`);
  const layers = new Map<string, Callable>();
  const calls = new Map<string, readonly (readonly Reference[])[]>();
  for (const entry of list) {
    const layer = prepareEntry(entry, name, prepare);
    // tfjs looks layers up by the one name and waits for the other, for ever.
    const own = stringField(entry as JsonMap, "name") ?? layer.name;
    if (own !== layer.name) {
      fail(layer.name, `name: got ${describe(own)} beside the config, expected the config's; make them one`);
    }
    if (layers.has(layer.name)) fail(name, `two layers are named ${JSON.stringify(layer.name)}`);
    layers.set(layer.name, layer);
    calls.set(layer.name, readCalls(entry as JsonMap, layer.name));
  }
  const steps = orderCalls(
    // A model that is a layer counts its calls from 1, since its own graph is its call 0.
    [...layers.values()].map(({ name: layer, kind }) => ({
      name: layer,
      made: kind === "layer" ? 0 : 1,
      calls: calls.get(layer) ?? [],
    })),
    name,
  );
  const inputs = readReferences(field(config, "inputLayers"), `${name}: input_layers`);
  const outputs = readReferences(field(config, "outputLayers"), `${name}: output_layers`);
  for (const { layer } of inputs) {
    if (layers.get(layer)?.kind !== "input")
      fail(name, `input_layers: ${JSON.stringify(layer)} is no InputLayer`);
  }
  const needed = neededSteps(steps, outputs);
  return {
    name,
    kind: "container",
    layerCount: totalLayers(
      needed.map(({ layer }) => layers.get(layer) as Callable),
      name,
    ),
    inputs: inputs.flatMap(({ layer }) => layers.get(layer)?.inputs ?? []),
    call(tensors) {
      if (tensors.length !== inputs.length)
        fail(name, `got ${tensors.length} inputs, expected ${inputs.length}`);
      const results = new Map<string, readonly Held[]>();
      inputs.forEach(({ layer }, i) => results.set(key(layer, 0), [tensors[i] as Held]));
      const resultOf = (reference: Reference): Held => {
        const result = results.get(key(reference.layer, reference.call))?.[reference.tensor];
        if (result) return result;
        return fail(
          reference.layer,
          `output ${reference.tensor} of call ${reference.call} does not come from the inputs of ${name}`,
        );
      };
      for (const step of needed) {
        const layer = layers.get(step.layer) as Callable;
        results.set(key(step.layer, step.call), layer.call(step.inputs.map(resultOf)));
      }
      return outputs.map(resultOf);
    },
  };
}

function key(layer: string, call: number): string {
  return `${call} ${layer}`;
}

/** @throws QdgError `unsupported-model` for more than MAX_LAYERS */
function totalLayers(called: readonly Callable[], model: string): number {
  const total = called.reduce((sum, { layerCount }) => sum + layerCount, 0);
  if (total <= MAX_LAYERS) return total;
  throw new QdgError(
    "unsupported-model",
    model,
    `has ${total} layers, those of nested models counted at each call; expected at most ${MAX_LAYERS}`,
  );
}

/** The steps that the outputs depend on; tfjs leaves the others out of the model. */
function neededSteps(steps: readonly Step[], outputs: readonly Reference[]): Step[] {
  const needed = new Set(outputs.map(({ layer, call }) => key(layer, call)));
  const kept: Step[] = [];
  for (const step of steps.toReversed()) {
    if (!needed.has(key(step.layer, step.call))) continue;
    for (const { layer, call } of step.inputs) needed.add(key(layer, call));
    kept.push(step);
  }
  return kept.reverse();
}

function prepareEntry(entry: Json, model: string, prepare: PrepareLayer): Callable {
  if (!isMap(entry)) return fail(model, `layers: got ${describe(entry)}, expected {class_name, config}`);
  const className = stringField(entry, "className");
  const config = field(entry, "config");
  if (className === undefined || (!isMap(config) && !(isList(config) && className === "Sequential"))) {
    return fail(model, `layers: got ${describe(entry)}, expected class_name and config`);
  }
  const name = (isMap(config) && stringField(config, "name")) || stringField(entry, "name") || className;
  checkKeys(entry, ENTRY_KEYS, name);
  for (const given of [field(entry, "name"), isMap(config) ? field(config, "name") : undefined]) {
    if (given === undefined || given === null || (typeof given === "string" && given !== "")) continue;
    fail(name, `name: got ${describe(given)}, expected a text`);
  }
  if (isContainer(className)) return { ...prepareContainer(className, config, prepare), name };
  return prepare(className, name, config as JsonMap);
}

function checkKeys(map: JsonMap, known: ReadonlySet<string>, where: string): void {
  for (const [name, value] of map) {
    if (known.has(camelCase(name))) continue;
    throw new QdgError(
      "unsupported-layer",
      where,
      `key ${JSON.stringify(name)} (${describe(value)}) is unknown; remove it from model.json if the model is the same without`,
    );
  }
}

/** `inbound_nodes`: a list of calls, each a list of `[layer, call, tensor, arguments]`. */
function readCalls(entry: JsonMap, name: string): (readonly Reference[])[] {
  const calls = field(entry, "inboundNodes") ?? [];
  if (!isList(calls)) return fail(name, `inbound_nodes: got ${describe(calls)}, expected a list of calls`);
  return calls.map((call) => readReferences(call, `${name}: inbound_nodes`));
}

function readReferences(json: Json | undefined, where: string): Reference[] {
  if (!isList(json)) return fail(where, `got ${describe(json)}, expected a list of [layer, call, tensor]`);
  return json.map((reference) => {
    const [layer, call, tensor, options] = isList(reference) ? reference : [];
    if (typeof layer !== "string" || !isIndex(call) || !isIndex(tensor)) {
      return fail(where, `got ${describe(reference)}, expected [layer, call, tensor]`);
    }
    // tfjs passes no arguments on at inference; only this one has then no meaning.
    if (isMap(options)) {
      for (const [name, value] of options) {
        if (name === "training" || value === null) continue;
        fail(
          where,
          `argument ${JSON.stringify(name)} of the call is not supported by tfjs; save the model without it`,
        );
      }
    }
    return { layer, call, tensor };
  });
}

function isIndex(value: Json | undefined): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Undefined when absent, null or empty. @throws QdgError `invalid-model` for what is no text: tfjs would look for it as a name */
function stringField(map: JsonMap, name: string): string | undefined {
  const value = field(map, name) ?? "";
  if (typeof value !== "string") return fail(name, `got ${describe(value)}, expected text`);
  return value === "" ? undefined : value;
}

function fail(where: string, what: string): never {
  throw new QdgError("invalid-model", where, what);
}
