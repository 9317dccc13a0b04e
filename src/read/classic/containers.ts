// Sequential and Functional in the classic form: the calls of each layer as references that tfjs counts alike, every
// layer as the pieces that it becomes. What pieces those are is decided in layers.ts and operators.ts.

import { QdgError } from "../../base/error.js";
import { type CalledLayer, orderCalls, type Reference } from "../call-order.js";
import { isContainer } from "../container.js";
import { camelCase, field, isList, type Json, type JsonMap } from "../model-json.js";
import { flatReferences, isKeras3Call, type Keras3Call, readKeras3Call } from "./keras3-calls.js";
import { layerPieces, type OwnWeight } from "./layers.js";
import { isOperator, MASK_OPERATORS, operatorPieces } from "./operators.js";
import { changed, type Piece, type SourceLayer, whole } from "./pieces.js";
import { entriesOf, sourceEntry, type SourceEntry } from "./source-layers.js";

export interface Conversion {
  readonly keras3: boolean;
  /** The name of a layer in the classic form. */
  readonly nameOf: (entry: JsonMap, name: string) => string;
  readonly weight: (layer: string) => OwnWeight;
}

/** What Keras notes about an entry for itself. */
const DROPPED_OF_ENTRY: ReadonlySet<string> = new Set([
  "module",
  "registeredName",
  "buildConfig",
  "compileConfig",
  "sharedObjectId",
  "dateSaved",
]);
const DROPPED_OF_CONTAINER: ReadonlySet<string> = new Set(["dtype", "autocast"]);

/** `{class_name, config, ...}` of a container in the classic form. */
export function classicContainer(entry: SourceEntry, conversion: Conversion): JsonMap {
  const inner = field(entry.json, "config");
  const list = entriesOf(inner);
  // What is no container the reader refuses in its own words.
  if (!list) return entry.json;
  const converted =
    entry.className === "Sequential"
      ? classicSequential(entry, list, conversion)
      : classicModel(entry, list, conversion);
  return replaced(withoutKeys(entry.json, DROPPED_OF_ENTRY), "config", converted);
}

function classicSequential(entry: SourceEntry, list: readonly Json[], conversion: Conversion): Json {
  const layers: Json[] = [];
  for (const json of list) {
    const layer = sourceEntry(json);
    if (!layer) {
      layers.push(json);
      continue;
    }
    if (isContainer(layer.className)) {
      layers.push(classicContainer(layer, conversion));
      continue;
    }
    const pieces = piecesOf(layer, null, conversion);
    pieces.forEach((piece, index) => {
      const [input, ...more] = piece.inputs === "given" ? [0] : piece.inputs;
      if (input !== (pieces[index - 1]?.suffix ?? 0) || more.length > 0) inSequence(layer);
      layers.push(pieceEntry(layer, piece, conversion));
    });
  }
  refuseMasks(list, conversion);
  const declaredShape = field(entry.config, "buildInputShape");
  const [first] = layers;
  const needsInput = isList(declaredShape) && first !== undefined && !declaresInput(first);
  if (needsInput) {
    const config = new Map<string, Json>([["batch_input_shape", declaredShape]]);
    layers.unshift(
      new Map<string, Json>([
        ["class_name", "InputLayer"],
        ["config", changed(config, { name: `${sourceEntry(first)?.name}_input` })],
      ]),
    );
  }
  const inner = field(entry.json, "config");
  if (isList(inner)) return layers;
  const rest = changed(withoutKeys(entry.config, DROPPED_OF_CONTAINER), { build_input_shape: undefined });
  return replaced(rest, "layers", layers);
}

function inSequence(layer: SourceEntry): never {
  throw new QdgError(
    "unsupported-layer",
    `${layer.name} (${layer.className})`,
    "needs several layers of tfjs side by side, which a Sequential has no place for; build the model with the functional API, and save it again",
  );
}

function declaresInput(json: Json): boolean {
  const entry = sourceEntry(json);
  if (!entry) return true;
  const keys = ["batchInputShape", "inputShape", "inputDim"];
  return (
    entry.className === "InputLayer" ||
    isContainer(entry.className) ||
    entry.className === "Embedding" ||
    keys.some((key) => field(entry.config, key) !== undefined)
  );
}

/** Layers that give their input's mask on, and those that compute by it. */
const PASSES_MASKS: ReadonlySet<string> = new Set([
  "Activation",
  "AlphaDropout",
  "BatchNormalization",
  "Dense",
  "Dropout",
  "ELU",
  "GaussianDropout",
  "GaussianNoise",
  "Identity",
  "LayerNormalization",
  "LeakyReLU",
  "PReLU",
  "ReLU",
  "Rescaling",
  "SpatialDropout1D",
]);
const HEEDS_MASKS: ReadonlySet<string> = new Set(["GlobalAveragePooling1D", "Softmax", "TimeDistributed"]);

/** In a Sequential of Keras 3 masks go on unseen; tfjs has none of it. */
function refuseMasks(list: readonly Json[], { keras3 }: Conversion): void {
  if (!keras3) return;
  let masked = false;
  for (const json of list) {
    const layer = sourceEntry(json);
    if (!layer) continue;
    if (masked && (HEEDS_MASKS.has(layer.className) || isContainer(layer.className))) {
      throw new QdgError(
        "unsupported-layer",
        `${layer.name} (${layer.className})`,
        "heeds a mask (of Masking or Embedding with mask_zero), which tfjs and ONNX have not; build the model without masks, and save it again",
      );
    }
    const makes = layer.className === "Masking" || field(layer.config, "maskZero") === true;
    masked = makes || (masked && PASSES_MASKS.has(layer.className));
  }
}

/** A layer of a Model, its pieces, and what each of its calls reads. */
interface Called {
  readonly layer: SourceEntry;
  readonly name: string;
  readonly pieces: readonly Piece[];
  readonly calls: readonly Keras3Call[];
}

function callsOf(layer: SourceEntry | null): readonly Json[] {
  const calls = layer ? field(layer.json, "inboundNodes") : undefined;
  return isList(calls) ? calls : [];
}

function classicModel(entry: SourceEntry, list: readonly Json[], conversion: Conversion): Json {
  const sources = list.map(sourceEntry);
  const hasArgs = sources.some((layer) => callsOf(layer).some(isKeras3Call));
  const config = withoutKeys(entry.config, DROPPED_OF_CONTAINER);
  if (!hasArgs || sources.includes(null)) return classicListed(config, list, conversion);

  const called = sources.flatMap((layer): Called[] => {
    if (!layer || MASK_OPERATORS.has(layer.className)) return [];
    const calls = callsOf(layer).flatMap((call) =>
      isKeras3Call(call) ? [readKeras3Call(call, layer.name, layer.className)] : [],
    );
    const name = conversion.nameOf(layer.json, layer.name);
    const pieces = isContainer(layer.className)
      ? whole(layer.className, layer.config)
      : piecesOf(layer, calls, conversion);
    return [{ layer, name, pieces, calls }];
  });
  const byName = new Map(called.map((one) => [one.layer.name, one]));
  const numbers = callNumbers(called, entry.name);
  /** A reference as the classic form has it: to the last piece of its layer, by tfjs's number of the call. */
  const resolved = ({ layer, call, tensor }: Reference): Json[] => {
    const target = byName.get(layer);
    const number = numbers.get(callKey(layer, call)) ?? call;
    return [target ? pieceName(target.name, target.pieces.at(-1)) : layer, number, tensor];
  };
  const layers = called.flatMap(({ layer, name, pieces, calls }) =>
    pieces.map((piece): Json => {
      const read = (inputs: Piece["inputs"], call: Keras3Call, index: number): Json[] =>
        (inputs === "given" ? call.tensors.map((_, i) => i) : inputs).map((input): Json => {
          if (typeof input === "string") {
            return [
              pieceName(
                name,
                pieces.find(({ suffix }) => suffix === input),
              ),
              index,
              0,
              new Map(),
            ];
          }
          const reference = call.tensors[input];
          return reference ? resolved(reference).concat(new Map()) : [];
        });
      const nodes = calls.map((call, index) => read(piece.inputs, call, index));
      const converted = isContainer(layer.className)
        ? classicContainer(layer, conversion)
        : pieceEntry(layer, piece, conversion);
      return replaced(replaced(converted, "name", pieceName(name, piece)), "inboundNodes", nodes);
    }),
  );
  const ends = (key: "inputLayers" | "outputLayers"): Json =>
    (flatReferences(field(entry.config, key)) ?? []).map((reference): Json => {
      const [layer, call, tensor] = isList(reference) ? reference : [];
      if (typeof layer !== "string" || typeof call !== "number" || typeof tensor !== "number")
        return reference;
      // Here Keras counts the calls of a Functional from 1, and only here.
      const isFunctional = ["Functional", "Model"].includes(byName.get(layer)?.layer.className ?? "");
      return resolved({ layer, call: Math.max(0, call - (isFunctional ? 1 : 0)), tensor });
    });
  return replaced(
    replaced(replaced(config, "layers", layers), "inputLayers", ends("inputLayers")),
    "outputLayers",
    ends("outputLayers"),
  );
}

function callKey(layer: string, call: number): string {
  return `${call} ${layer}`;
}

function isInput(layer: SourceEntry): boolean {
  return layer.className === "InputLayer";
}

/** tfjs's number of each call, by `place layer`: there a call's number is its place in the order in which calls are made. */
function callNumbers(called: readonly Called[], model: string): Map<string, number> {
  const known = new Set(called.flatMap(({ layer, calls }) => calls.map((_, i) => callKey(layer.name, i))));
  for (const { layer } of called) if (isInput(layer)) known.add(callKey(layer.name, 0));
  const places: CalledLayer[] = called.flatMap(({ layer, calls }) => [
    ...(isInput(layer) ? [{ name: callKey(layer.name, 0), made: 1, calls: [] }] : []),
    ...calls.map(({ tensors }, place) => ({
      name: callKey(layer.name, place),
      made: 0,
      calls: [
        tensors.map((reference) => {
          const name = callKey(reference.layer, reference.call);
          if (known.has(name)) return { layer: name, call: 0, tensor: 0 };
          throw new QdgError(
            "invalid-model",
            layer.name,
            `its input ${JSON.stringify(reference.layer)} (call ${reference.call}) is never made: unknown, or an operator on a mask`,
          );
        }),
      ],
    })),
  ]);
  const numbers = new Map<string, number>();
  const made = new Map<string, number>();
  const base = new Map(called.map(({ layer }) => [layer.name, isContainer(layer.className) ? 1 : 0]));
  for (const { layer: place } of orderCalls(places, model)) {
    const layer = place.slice(place.indexOf(" ") + 1);
    const count = made.get(layer) ?? 0;
    made.set(layer, count + 1);
    numbers.set(place, (base.get(layer) ?? 0) + count);
  }
  return numbers;
}

/** A Model whose calls are listed as tfjs lists them: only layers that become several need a look. */
function classicListed(config: JsonMap, list: readonly Json[], conversion: Conversion): Json {
  const last = new Map<string, string>();
  const all = list.map((json) => {
    const layer = sourceEntry(json);
    if (!layer) return { json, layer, pieces: [] };
    if (isContainer(layer.className)) return { json: classicContainer(layer, conversion), layer, pieces: [] };
    const pieces = piecesOf(layer, null, conversion);
    const output = pieceName(layer.name, pieces.at(-1));
    if (output !== layer.name) last.set(layer.name, output);
    return { json, layer, pieces };
  });
  const renamed = (reference: Json): Json => {
    if (!isList(reference) || typeof reference[0] !== "string") return reference;
    return [last.get(reference[0]) ?? reference[0], ...reference.slice(1)];
  };
  const layers = all.flatMap(({ json, layer, pieces }): Json[] => {
    const nodes = layer ? field(layer.json, "inboundNodes") : undefined;
    const calls = isList(nodes) ? nodes : [];
    const given = calls.map((call): Json => (isList(call) ? call.map(renamed) : call));
    if (!layer || pieces.length === 0) {
      const isEntry = layer !== null && isList(nodes);
      return [isEntry ? replaced(json as JsonMap, "inboundNodes", given) : json];
    }
    return pieces.map((piece): Json => {
      const read = (input: number | string, call: Json, index: number): Json => {
        if (typeof input === "number") return isList(call) ? (call[input] ?? []) : [];
        return [
          pieceName(
            layer.name,
            pieces.find(({ suffix }) => suffix === input),
          ),
          index,
          0,
          new Map(),
        ];
      };
      const { inputs } = piece;
      const own =
        inputs === "given"
          ? given
          : given.map((call, index): Json => inputs.map((input) => read(input, call, index)));
      const entry = pieceEntry(layer, piece, conversion);
      const named = replaced(entry, "name", pieceName(layer.name, piece));
      return isList(nodes) ? replaced(named, "inboundNodes", own) : named;
    });
  });
  return replaced(
    replaced(config, "layers", layers),
    "outputLayers",
    renamedAll(field(config, "outputLayers"), renamed),
  );
}

function renamedAll(references: Json | undefined, renamed: (reference: Json) => Json): Json {
  return isList(references) ? references.map(renamed) : (references ?? null);
}

/** @param calls of a Keras 3 Model; null where there are none, or where they are listed as tfjs lists them */
function piecesOf(
  layer: SourceEntry,
  calls: readonly Keras3Call[] | null,
  { keras3, weight, nameOf }: Conversion,
): readonly Piece[] {
  const [first] = calls ?? [];
  const where = `${layer.name} (${layer.className})`;
  const source: SourceLayer = {
    className: layer.className,
    config: layer.config,
    where,
    keras3,
    shapes: first?.shapes ?? [],
  };
  if (first && isOperator(layer.className, layer.config, field(layer.json, "module"))) {
    if ((calls ?? []).length > 1 && first.operands.some(({ kind }) => kind === "constant")) {
      throw new QdgError(
        "unsupported-layer",
        where,
        "is one operator that is called twice; write it out twice",
      );
    }
    return operatorPieces(source, first.operands);
  }
  if (first?.operands.some(({ kind }) => kind === "constant")) {
    throw new QdgError(
      "unsupported-layer",
      where,
      "is called with a constant beside its tensors, which has no place in tfjs; use Rescaling for it, and save the model again",
    );
  }
  return layerPieces(source, weight(nameOf(layer.json, layer.name)));
}

function pieceName(layer: string, piece: Piece | undefined): string {
  return piece === undefined || piece.suffix === "" ? layer : `${layer}_${piece.suffix}`;
}

/** An entry of the classic form; where and how it is called is written over it. */
function pieceEntry(layer: SourceEntry, piece: Piece, { nameOf }: Conversion): JsonMap {
  const name = pieceName(nameOf(layer.json, layer.name), piece);
  const entry = withoutKeys(layer.json, DROPPED_OF_ENTRY);
  const config = replaced(piece.config, "name", name);
  return replaced(replaced(entry, "className", piece.className), "config", config);
}

function withoutKeys(map: JsonMap, keys: ReadonlySet<string>): JsonMap {
  return new Map([...map].filter(([name]) => !keys.has(camelCase(name))));
}

/** The map with one value replaced, however the key is spelled, or added in snake case. */
function replaced(map: JsonMap, key: string, value: Json): JsonMap {
  const spelled = [...map.keys()].find((name) => camelCase(name) === key);
  return new Map(map).set(spelled ?? key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), value);
}
