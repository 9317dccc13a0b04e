// A copy of a model's topology that may be changed: layers and containers as plain objects, whichever way the file
// spells its keys. Only for topologies that src/read has read already; nothing is checked again here.

import { isContainer } from "../read/container.js";
import { camelCase, type JsonObject } from "../read/model-json.js";

export type Editable = null | boolean | number | string | Editable[] | EditableObject;
export interface EditableObject {
  [key: string]: Editable;
}

/** The entry of a layer, or of a container, in the list of the container that holds it. */
export type Entry = EditableObject;

export function editableCopy(topology: JsonObject): Entry {
  return structuredClone(topology) as Entry;
}

/** The value under a key given in camel case. */
export function getField(object: EditableObject, key: string): Editable | undefined {
  return object[spelled(object, key) ?? key];
}

/** Replaces the value of a key, or adds the key in snake case, as tfjs and Keras write it. */
export function setField(object: EditableObject, key: string, value: Editable): void {
  object[spelled(object, key) ?? snakeCase(key)] = value;
}

function spelled(object: EditableObject, key: string): string | undefined {
  return Object.keys(object).find((name) => camelCase(name) === key);
}

function snakeCase(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

export function classOf(entry: Entry): string {
  return getField(entry, "className") as string;
}

/** The config of a layer or of a Model; an empty one for a Sequential that is only a list. */
export function configOf(entry: Entry): EditableObject {
  const config = getField(entry, "config");
  return isObject(config) ? config : {};
}

export function nameOf(entry: Entry): string {
  const name = configOf(entry)["name"] || entry["name"];
  return typeof name === "string" ? name : classOf(entry);
}

/** `name (ClassName)`, as messages speak of a layer. */
export function describeEntry(entry: Entry): string {
  return `${nameOf(entry)} (${classOf(entry)})`;
}

export function isContainerEntry(entry: Entry): boolean {
  return isContainer(classOf(entry));
}

/** The list of a container, which may be changed. */
export function layersOf(container: Entry): Entry[] {
  const config = getField(container, "config");
  return (Array.isArray(config) ? config : getField(configOf(container), "layers")) as Entry[];
}

/** Every layer and container within, in the file's order. */
export function* allEntries(container: Entry): Generator<Entry> {
  for (const entry of layersOf(container)) {
    yield entry;
    if (isContainerEntry(entry)) yield* allEntries(entry);
  }
}

/** Calls of a layer in a Model: each the list of `[layer, call, tensor, ...]` that it reads. */
export function callsOf(entry: Entry): Editable[][][] {
  return (getField(entry, "inboundNodes") ?? []) as Editable[][][];
}

/** The `[layer, call, tensor]` that a Model gives. */
function outputsOf(model: Entry): Editable[][] {
  return getField(configOf(model), "outputLayers") as Editable[][];
}

/** A name that no layer has yet: `name`, `name_1`, ... */
export function freeName(topology: Entry, name: string): string {
  const taken = new Set([...allEntries(topology)].map(nameOf));
  let free = name;
  for (let i = 1; taken.has(free); i++) free = `${name}_${i}`;
  return free;
}

/** Adds a layer that reads the one output of the outermost container and gives it instead. */
export function appendLayer(topology: Entry, className: string, config: EditableObject): void {
  const layers = layersOf(topology);
  if (classOf(topology) === "Sequential") {
    layers.push({ class_name: className, config });
    return;
  }
  const name = config["name"] as string;
  const [output] = outputsOf(topology);
  layers.push({ name, class_name: className, config, inbound_nodes: [[[...(output as Editable[]), {}]]] });
  setField(configOf(topology), "outputLayers", [[name, 0, 0]]);
}

function isObject(value: Editable | undefined): value is EditableObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
