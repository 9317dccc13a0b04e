// The layers of a model as the file has them, in any dialect: containers, names, entries, and where each layer stands. Only
// looks; what a layer becomes is decided in layers.ts.

import { isContainer } from "../container.js";
import { field, isList, isMap, type Json, type JsonMap } from "../model-json.js";
import { isKeras3Call } from "./keras3-calls.js";

/** An entry of a container's list of layers. */
export interface SourceEntry {
  readonly json: JsonMap;
  readonly className: string;
  /** As the file names it. */
  readonly name: string;
  readonly config: JsonMap;
}

/** A layer that is no container. */
export interface Leaf extends SourceEntry {
  /** As the classic form names it: layers of one name in several containers are told apart, since tfjs finds weights by it. */
  readonly classicName: string;
  /** Names of the containers around it, the outermost first. */
  readonly containers: readonly string[];
  /** Where a .keras file keeps its weights: `layers/functional/layers/dense_1`, counted by class within each container. */
  readonly path: string;
}

/** Null for what is no entry, or has a name that is no text; the reader says so. */
export function sourceEntry(json: Json): SourceEntry | null {
  if (!isMap(json)) return null;
  const className = field(json, "className");
  const config = field(json, "config");
  if (typeof className !== "string") return null;
  const settings = isMap(config) ? config : new Map<string, Json>();
  const names = [field(settings, "name"), field(json, "name")].map((name) => name ?? "");
  if (!names.every((name) => typeof name === "string")) return null;
  return { json, className, name: names[0] || names[1] || className, config: settings };
}

/** The list of a container's entries; null where there is none. */
export function entriesOf(config: Json | undefined): readonly Json[] | null {
  const list = isMap(config) ? field(config, "layers") : config;
  return isList(list) ? list : null;
}

/**
 * Whether Keras 3 wrote the model: an input declares `batch_shape`, a layer's type is a DTypePolicy, or a call has args.
 */
export function isKeras3(topology: JsonMap): boolean {
  const config = field(topology, "config");
  return (entriesOf(config) ?? []).some((json) => {
    const entry = sourceEntry(json);
    if (!entry) return false;
    if (isContainer(entry.className)) return isKeras3(entry.json);
    const type = field(entry.config, "dtype");
    const calls = field(entry.json, "inboundNodes");
    return (
      field(entry.config, "batchShape") !== undefined ||
      (isMap(type) && field(type, "className") === "DTypePolicy") ||
      (isList(calls) && calls.some(isKeras3Call))
    );
  });
}

/** All leaves, in the file's order, with their names in the classic form. */
export function leavesOf(topology: JsonMap, keras3: boolean): Leaf[] {
  const leaves: Leaf[] = [];
  const taken = new Set<string>();
  const walk = (container: SourceEntry, containers: readonly string[], prefix: string): void => {
    const counts = new Map<string, number>();
    const inside = [...containers, container.name];
    for (const json of entriesOf(field(container.json, "config")) ?? []) {
      const entry = sourceEntry(json);
      if (!entry) continue;
      const kind = snakeCase(entry.className);
      const count = counts.get(kind) ?? 0;
      counts.set(kind, count + 1);
      const path = `${prefix}layers/${kind}${count === 0 ? "" : `_${count}`}`;
      if (isContainer(entry.className)) {
        walk(entry, inside, `${path}/`);
        continue;
      }
      let classicName = entry.name;
      if (keras3 && entry.className !== "InputLayer") {
        for (let i = 0; taken.has(classicName); i++) {
          classicName = `${container.name}_${entry.name}${i === 0 ? "" : `_${i}`}`;
        }
        taken.add(classicName);
      }
      leaves.push({ ...entry, classicName, containers: inside, path });
    }
  };
  const outermost = sourceEntry(topology);
  if (outermost) walk(outermost, [], "");
  return leaves;
}

/** As Keras makes names of classes: DepthwiseConv2D is depthwise_conv2d, PReLU is p_re_lu. */
function snakeCase(className: string): string {
  return className
    .replace(/\W+/g, "")
    .replace(/(.)([A-Z][a-z]+)/g, "$1_$2")
    .replace(/([a-z])([A-Z])/g, "$1_$2")
    .toLowerCase();
}
