// The JSON of a tfjs model: parsed, that of a layers-model checked, and turned into maps, so that no key of a file can reach
// an object's prototype. Knows the file's outer keys only; layers read their own.

import { errorText, QdgError } from "../base/error.js";

/** A JSON value whose objects are maps: keys such as "__proto__" are keys like any other. */
export type Json = null | boolean | number | string | readonly Json[] | JsonMap;
export type JsonMap = ReadonlyMap<string, Json>;

/** JSON as JSON.parse gives it, for those who change a model and write it back. */
export type PlainJson = null | boolean | number | string | readonly PlainJson[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: PlainJson;
}

/** What a model.json says. */
export interface ModelJson {
  /** `{class_name, config}` of the outermost Sequential or Model. */
  readonly topology: JsonMap;
  /** The groups of `weightsManifest`, unread. */
  readonly weightsManifest: readonly Json[];
  /** As it stands in the file; null when absent. */
  readonly userDefinedMetadata: unknown;
}

/** Nesting in a model.json stays far below this; deeper ones are refused before they exhaust the stack. */
const MAX_DEPTH = 256;

/**
 * Parses a model.json: a byte-order mark, a missing `format` and a topology with or without
 * `model_config` are all accepted, as tfjs-layers 4.22 does.
 *
 * @param where the file's name, for messages
 * @throws QdgError `invalid-json`; `unsupported-model` for a graph-model; `invalid-model` when keys are missing
 */
export function parseModelJson(text: string, where: string): ModelJson {
  return checkModelJson(parseJson(text, where), where);
}

/** The JSON of a model.json of either format, unread. @throws QdgError `invalid-json` */
export function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (thrown) {
    throw new QdgError(
      "invalid-json",
      where,
      `is not JSON (${errorText(thrown)}); give the model.json of a tfjs model`,
      { cause: thrown },
    );
  }
}

/** Whether a model.json says, by its format or by its topology of nodes, that it is a graph-model. */
export function isGraphModel(parsed: unknown): boolean {
  if (typeof parsed !== "object" || parsed === null) return false;
  const { format, modelTopology } = parsed as { format?: unknown; modelTopology?: unknown };
  if (format === "graph-model") return true;
  return typeof modelTopology === "object" && modelTopology !== null && Object.hasOwn(modelTopology, "node");
}

/** The same for JSON that is parsed already. @throws QdgError as {@link parseModelJson} */
export function checkModelJson(parsed: unknown, where: string): ModelJson {
  const fail = (what: string): never => {
    throw new QdgError("invalid-model", where, what);
  };
  const root = toJson(parsed, where);
  if (!isMap(root)) return fail(`got ${describe(root)}, expected an object with modelTopology`);
  const outer = root.get("modelTopology") ?? root.get("model_topology");
  const format = root.get("format");
  if (isGraphModel(parsed)) {
    throw new QdgError(
      "unsupported-model",
      where,
      "is a tfjs graph-model, expected a layers-model; qdg export, inspect, parity and certify take it as it is; for training and evaluation convert or save the original model as tfjs_layers_model",
    );
  }
  if (format !== undefined && format !== null && format !== "layers-model") {
    throw new QdgError(
      "unsupported-model",
      where,
      `format: got ${describe(format)}, expected "layers-model"`,
    );
  }
  if (!isMap(outer)) {
    return fail(
      `modelTopology: got ${describe(outer)}, expected an object; save the model with model.save()`,
    );
  }
  const inner = outer.get("model_config") ?? outer.get("modelConfig");
  const topology = inner === undefined || inner === null ? outer : inner;
  if (!isMap(topology) || !field(topology, "className") || field(topology, "config") === undefined) {
    return fail("modelTopology has no class_name and config; save the model with model.save()");
  }
  const manifest = root.get("weightsManifest") ?? [];
  if (!Array.isArray(manifest)) {
    return fail(`weightsManifest: got ${describe(manifest)}, expected a list of groups`);
  }
  const metadata = (parsed as { readonly userDefinedMetadata?: unknown }).userDefinedMetadata;
  return { topology, weightsManifest: manifest as readonly Json[], userDefinedMetadata: metadata ?? null };
}

/** JSON with maps for objects. @throws QdgError `invalid-model` where it is nested too deep */
export function toJson(value: unknown, where: string, depth = 0): Json {
  if (depth > MAX_DEPTH) {
    throw new QdgError("invalid-model", where, `is nested more than ${MAX_DEPTH} levels deep`);
  }
  if (
    value === null ||
    typeof value === "boolean" ||
    typeof value === "string" ||
    typeof value === "number"
  ) {
    return value;
  }
  if (Array.isArray(value)) return value.map((item) => toJson(item, where, depth + 1));
  if (typeof value === "object") {
    return new Map(Object.entries(value).map(([key, item]) => [key, toJson(item, where, depth + 1)]));
  }
  throw new QdgError("invalid-model", where, `holds a ${typeof value}, which JSON has not`);
}

/**
 * tfjs reads `snake_case` and `camelCase` alike: it turns keys, and strings that are not names, into camel
 * case before anything else. The same rule here.
 */
export function camelCase(identifier: string): string {
  if (identifier.length <= 1 || !identifier.includes("_")) return identifier;
  return identifier.replace(/_+(\w|$)/g, (_, letter: string) => letter.toUpperCase());
}

/** The value under a key given in camel case, however the file spells it. */
export function field(map: JsonMap, key: string): Json | undefined {
  const plain = map.get(key);
  if (plain !== undefined) return plain;
  for (const [name, value] of map) if (camelCase(name) === key) return value;
  return undefined;
}

export function isMap(value: Json | undefined): value is JsonMap {
  return value instanceof Map;
}

export function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

/** A value as a message shows it: JSON, cut short. */
export function describe(value: Json | undefined): string {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(toPlain(value));
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** The same as objects: every key becomes a property of its own, `__proto__` too. */
export function toPlain(value: JsonMap): JsonObject;
export function toPlain(value: Json): PlainJson;
export function toPlain(value: Json): PlainJson {
  if (isMap(value)) return Object.fromEntries([...value].map(([key, inner]) => [key, toPlain(inner)]));
  return isList(value) ? value.map((item) => toPlain(item)) : value;
}
