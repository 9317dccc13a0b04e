// What of an ONNX file qdg cannot take, all of it at once and before any work: operators by name, with the nodes that have them.

import { QdgError } from "../../base/error.js";
import { dataTypeName, dtypeOf } from "../../onnx/data-type.js";
import { functionKey, isStandardDomain } from "../../onnx/expansion.js";
import type { FunctionProto, ModelProto, NodeProto } from "../../onnx/model-proto.js";
import { MAX_OPSET, operator } from "../../onnx/opset.js";
import { CLASSICAL_DOMAIN } from "./class-labels.js";
import { olderForm } from "./older/older.js";

/** From here on operators broadcast by one rule. */
export const MIN_READ_OPSET = 7;

/** Nodes of one reason that are named; of the others the number. */
const MOST_NAMED = 3;

/** They make or take integers: a network that is quantized already. */
export const QUANTIZED: ReadonlySet<string> = new Set([
  "QuantizeLinear",
  "DequantizeLinear",
  "DynamicQuantizeLinear",
  "QLinearConv",
  "QLinearMatMul",
  "ConvInteger",
  "MatMulInteger",
]);

/** Of these a network in real numbers with quantizers in it is made (QDQ): they are taken out, and their scales kept. */
const PAIRS: ReadonlySet<string> = new Set(["QuantizeLinear", "DequantizeLinear"]);

/**
 * @param takesPairs whether QuantizeLinear and DequantizeLinear are taken
 * @throws QdgError `unsupported-model` for an opset out of range and a network that is quantized; `unsupported-op` with all nodes that
 * are of other domains, of operators that qdg does not know, that hold graphs, and weights of types that it does not compute in
 */
export function checkSupported(model: ModelProto, where: string, takesPairs = false): void {
  const opset = Number(model.opsetImport?.find(({ domain }) => isStandardDomain(domain))?.version ?? 1);
  if (opset < MIN_READ_OPSET || opset > MAX_OPSET) {
    throw new QdgError(
      "unsupported-model",
      where,
      `is of opset ${opset}, expected ${MIN_READ_OPSET} to ${MAX_OPSET}; export it at another one, or convert it (onnx.version_converter)`,
    );
  }
  const nodes = reachable(model);
  if (!isFloatModel(model) && !(takesPairs && isPairsModel(model))) {
    const quantized = nodes.filter(isQuantized);
    const [first] = quantized;
    const such = first ? `${quantized.length} nodes such as ${titleOf(first)}` : "an export of qdg";
    throw new QdgError(
      "unsupported-model",
      where,
      `is quantized already (${such}); give the float model that it was made from`,
    );
  }
  const found = new Map<string, string[]>();
  const note = (reason: string, name: string): void => {
    const list = found.get(reason);
    if (list) list.push(name);
    else found.set(reason, [name]);
  };
  for (const node of nodes) {
    const reason = reasonOf(node, opset);
    if (reason !== null) note(reason, nameOf(node));
  }
  for (const { name = "", dataType } of model.graph?.initializer ?? []) {
    const dtype = dtypeOf(dataType);
    if (!dtype || dtype === "float64") {
      note(`weights of type ${dataTypeName(dataType)}, expected FLOAT or FLOAT16`, name);
    }
  }
  if (found.size === 0) return;
  const lines = [...found].map(([reason, names]) => {
    const more = names.length > MOST_NAMED ? ` and ${names.length - MOST_NAMED} more` : "";
    return `${reason} (${names.slice(0, MOST_NAMED).join(", ")}${more})`;
  });
  throw new QdgError("unsupported-op", where, `has what qdg does not take: ${lines.join("; ")}`);
}

/** Whether nothing that is run makes or takes quantized numbers; of files that carry integers in float32 the metadata tells. */
export function isFloatModel(model: ModelProto): boolean {
  return !reachable(model).some(isQuantized) && !isOfQdg(model);
}

/** Whether its quantized numbers are those of pairs of QuantizeLinear and DequantizeLinear alone. */
export function isPairsModel(model: ModelProto): boolean {
  const quantized = reachable(model).filter(isQuantized);
  return quantized.length > 0 && quantized.every(({ opType = "" }) => PAIRS.has(opType)) && !isOfQdg(model);
}

function isOfQdg({ metadataProps = [] }: ModelProto): boolean {
  return metadataProps.some(({ key }) => key === "qdg.form");
}

function isQuantized({ opType = "" }: NodeProto): boolean {
  return QUANTIZED.has(opType);
}

/** Nodes of the graph, and of functions that something calls. */
function reachable(model: ModelProto): NodeProto[] {
  const functions = new Map<string, FunctionProto>(
    (model.functions ?? []).map((each) => [functionKey(each.domain, each.name, each.overload), each]),
  );
  const nodes: NodeProto[] = [];
  const lists = [model.graph?.node ?? []];
  for (const list of lists) {
    for (const node of list) {
      const key = functionKey(node.domain, node.opType, node.overload);
      const called = functions.get(key);
      if (!called) nodes.push(node);
      else {
        lists.push(called.node ?? []);
        functions.set(key, { ...called, node: [] });
      }
    }
  }
  return nodes;
}

function reasonOf(node: NodeProto, opset: number): string | null {
  const { opType = "", domain, attribute = [] } = node;
  if (domain === CLASSICAL_DOMAIN) return `${opType}, ${classicalName(opType)} and no layer of a network`;
  if (!isStandardDomain(domain)) return `${domain}.${opType}`;
  if (attribute.some(({ g, graphs }) => g || (graphs?.length ?? 0) > 0)) return `control flow: ${opType}`;
  if (opType === "Constant") return null;
  if (isTraining(node)) return `${opType} in training mode`;
  const since = operator(opType)?.since;
  if (since !== undefined && since <= opset) return null;
  return olderForm(opType, opset) ? null : opType;
}

/** What an operator of traditional machine learning is of. */
function classicalName(opType: string): string {
  if (opType.startsWith("TreeEnsemble")) return "which is of decision trees";
  if (opType.startsWith("SVM")) return "which is of support vectors";
  return "which is of traditional machine learning";
}

/** Statistics of the batch. A Dropout says so by an input, which is looked at where it is known. */
function isTraining({ opType, attribute = [], output = [] }: NodeProto): boolean {
  if (opType !== "BatchNormalization") return false;
  return (
    output.slice(1).some((name) => name !== "") ||
    attribute.some(({ name, i }) => name === "training_mode" && i === 1)
  );
}

function titleOf(node: NodeProto): string {
  return `${nameOf(node)} (${node.opType})`;
}

function nameOf({ name, output }: NodeProto): string {
  return name || (output?.find((each) => each !== "") ?? "a node without a name");
}
