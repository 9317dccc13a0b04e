// Outputs that are names of classes, as exporters of scikit-learn add them to the probabilities: left out of the network, whose
// outputs are numbers, and kept as what its classes are called.

import type {
  AttributeProto,
  GraphProto,
  ModelProto,
  NodeProto,
  TensorProto,
} from "../../onnx/model-proto.js";
import { DATA_TYPE } from "../../onnx/data-type.js";
import { protoToTensor } from "../../onnx/tensor-proto.js";

/** The domain of what is no network: ONNX calls it traditional machine learning. */
export const CLASSICAL_DOMAIN = "ai.onnx.ml";

const MOVES: ReadonlySet<string> = new Set(["Cast", "Reshape", "Identity", "Squeeze", "Flatten"]);

export interface WithoutLabels {
  /** The given one where no output is left out. */
  readonly model: ModelProto;
  /** What the classes are called; null where nothing says it. */
  readonly labels: readonly string[] | null;
  /** What a user is told; null where no output is left out. */
  readonly warning: string | null;
}

/**
 * - An output that picks from a list of names what is most probable (`ArrayFeatureExtractor` of an `ArgMax`, the first output of a
 *   `LinearClassifier`) is left out, and all that only it needs.
 * - One that puts names to numbers (`ZipMap`) is these numbers.
 *
 * A model of which nothing would be left stays as it is.
 *
 * @throws QdgError `invalid-onnx` for names that contradict themselves
 */
export function withoutLabels(model: ModelProto): WithoutLabels {
  const { graph } = model;
  const outputs = graph?.output ?? [];
  const producers = new Map<string, NodeProto>();
  for (const node of graph?.node ?? []) for (const name of node.output ?? []) producers.set(name, node);
  const found: (readonly string[])[] = [];
  const left: string[] = [];
  const kept = outputs.flatMap((output) => {
    const { name = "" } = output;
    const zipped = producers.get(name);
    if (zipped && isClassical(zipped, "ZipMap")) {
      found.push(listedLabels(zipped));
      const type = { tensorType: { elemType: DATA_TYPE.float32 } };
      return [{ name: zipped.input?.[0] ?? "", type }];
    }
    const labels = graph ? labelsAt(name, producers, graph) : null;
    if (!labels) return [output];
    found.push(labels);
    left.push(name);
    return [];
  });
  const unchanged = kept.length === outputs.length && kept.every((output, i) => output === outputs[i]);
  if (!graph || unchanged || kept.length === 0) return { model, labels: null, warning: null };
  const labels = found.find(({ length }) => length > 0) ?? null;
  const warning =
    left.length === 0
      ? null
      : `names its most probable class in ${left.join(", ")}: that output is left out, the others say how probable each is`;
  return { model: { ...model, graph: pruned({ ...graph, output: kept }) }, labels, warning };
}

/** The names that an output picks one of; null for an output of numbers. */
function labelsAt(
  name: string,
  producers: ReadonlyMap<string, NodeProto>,
  { initializer = [] }: GraphProto,
): readonly string[] | null {
  let node = producers.get(name);
  while (node && !node.domain && MOVES.has(node.opType ?? "")) node = producers.get(node.input?.[0] ?? "");
  if (!node) return null;
  if (isClassical(node, "LinearClassifier")) return node.output?.[0] === name ? listedLabels(node) : null;
  const [list = "", index = ""] = node.input ?? [];
  const names = initializer.find((each) => each.name === list);
  const isPicked = isClassical(node, "ArrayFeatureExtractor") && producers.get(index)?.opType === "ArgMax";
  return isPicked && names ? namesIn(names) : null;
}

function namesIn(list: TensorProto): readonly string[] {
  const { stringData, name = "" } = list;
  if (stringData) return stringData.map((text) => utf8.decode(text));
  return Array.from(protoToTensor(list, name).data as ArrayLike<number | bigint>, String);
}

function listedLabels({ attribute = [] }: NodeProto): readonly string[] {
  const of = (wanted: RegExp): AttributeProto | undefined =>
    attribute.find(({ name = "" }) => wanted.test(name));
  const texts = of(/^classlabels?_strings$/)?.strings ?? [];
  return texts.length > 0
    ? texts.map((text) => utf8.decode(text))
    : (of(/^classlabels?_int(64)?s$/)?.ints ?? []).map(String);
}

const utf8 = new TextDecoder();

export function isClassical({ domain, opType }: NodeProto, op: string): boolean {
  return domain === CLASSICAL_DOMAIN && opType === op;
}

/** Without nodes and constants that no output needs. */
function pruned(graph: GraphProto): GraphProto {
  const needed = new Set((graph.output ?? []).map(({ name = "" }) => name));
  const node: NodeProto[] = [];
  for (const each of [...(graph.node ?? [])].toReversed()) {
    if (!(each.output ?? []).some((name) => needed.has(name))) continue;
    for (const name of each.input ?? []) needed.add(name);
    node.push(each);
  }
  const initializer = (graph.initializer ?? []).filter(({ name = "" }) => needed.has(name));
  return { ...graph, node: node.toReversed(), initializer };
}
