// ModelProto -> Graph, with model-local functions inlined: what the reference computes from. Raises what is in
// the file and decides nothing: an operator whose meaning at the file's opset is not known for sure is an error.

import { QdgError } from "../base/error.js";
import type { Tensor } from "../base/tensor.js";
import type { Attribute, Graph, Node, Value } from "../graph/graph.js";
import { UNKNOWN_SHAPE } from "../graph/unknown-shape.js";
import type { Bindings } from "./attributes.js";
import { constantOf, raiseAttribute, resolveAttributes } from "./attributes.js";
import { declaredType, inputValue, isKnown, merged } from "./declared-type.js";
import type {
  AttributeProto,
  FunctionProto,
  ModelProto,
  NodeProto,
  OperatorSetIdProto,
  ValueInfoProto,
} from "./model-proto.js";
import { checkExpansion, functionKey, isStandardDomain } from "./expansion.js";
import { MAX_OPSET, operator, resultType } from "./opset.js";
import { resultShape } from "./result-shape.js";
import { type ExternalData, protoToTensor } from "./tensor-proto.js";
import type { NewerNode, OlderNode, Upgrade } from "./upgrade.js";

/** Characters of what stands before names inside functions; beyond, namesakes are told apart by numbers alone. */
const MAX_PREFIX = 1000;

/**
 * Raises a model into a graph of standard operators.
 *
 * - Initializers and Constant nodes become constants; an initializer that is also an input is a constant.
 * - Calls of model-local functions are replaced by their bodies; values inside are named `output/name`.
 * - Types come from the file or follow from the operators. A shape that is neither in the file nor simple to tell
 *   is UNKNOWN_SHAPE, a dimension UNKNOWN_DIM (graph/unknown-shape.ts); [] is always a scalar.
 * - `origin` is the node's name, or that of its first output; inside functions, that of the call.
 *
 * @param options.external for tensors kept in other files
 * @param options.upgrade what nodes of older opsets become; without it they are errors
 * @throws QdgError `unsupported-op` naming the node: control flow, operators that are not in the table of
 * opset.ts at this opset, of other domains, element types that a Tensor lacks; `invalid-onnx` for a
 * model that contradicts itself
 */
export function modelToGraph(model: ModelProto, options: ToGraphOptions = {}): Graph {
  const { graph } = model;
  if (!graph) throw new QdgError("invalid-onnx", "ONNX model", "has no graph");
  if (graph.sparseInitializer) {
    throw new QdgError(
      "unsupported-op",
      "ONNX model",
      "has sparse initializers, which qdg cannot compute with",
    );
  }
  checkExpansion(model, "ONNX model");
  const raising = new Raising(model, options);
  const scope: Scope = { values: new Map(), prefix: "", origin: null, bindings: null, outputs: new Map() };
  for (const proto of graph.initializer ?? []) {
    const name = proto.name ?? "";
    raising.define(
      scope,
      name,
      constantValue(name, protoToTensor(proto, `initializer ${name}`, options.external)),
    );
  }
  const inputs: Value[] = [];
  for (const info of graph.input ?? []) {
    if (scope.values.get(info.name ?? "")?.constant) continue;
    const value = inputValue(info);
    raising.define(scope, value.name, value);
    inputs.push(value);
  }
  raising.body(graph.node ?? [], scope);
  const outputs = (graph.output ?? []).map(({ name = "" }) => {
    const value = scope.values.get(name);
    if (!value) throw new QdgError("invalid-onnx", "ONNX model", `output ${name} is computed nowhere`);
    return value;
  });
  return { name: graph.name ?? "", inputs, outputs, nodes: raising.nodes };
}

export interface ToGraphOptions {
  readonly external?: ExternalData;
  readonly upgrade?: Upgrade;
}

/** Names that a graph's or a function's nodes see. */
interface Scope {
  /** null: an input of a function that its caller leaves out. */
  readonly values: Map<string, Value | null>;
  /** Stands before names of values; "" for those of the graph itself. */
  readonly prefix: string;
  /** The call that is inlined; null in the graph itself. */
  readonly origin: string | null;
  readonly bindings: Bindings | null;
  /** Names that outputs of a function get in the graph. */
  readonly outputs: ReadonlyMap<string, string>;
}

class Raising {
  readonly nodes: Node[] = [];
  readonly #names = new Set<string>();
  /** Name -> the number that its next namesake tries first. */
  readonly #taken = new Map<string, number>();
  readonly #declared = new Map<string, ValueInfoProto>();
  readonly #functions = new Map<string, FunctionProto>();
  readonly #opset: number;
  readonly #external: ExternalData | undefined;
  readonly #upgrade: Upgrade;

  constructor(model: ModelProto, { external, upgrade = () => null }: ToGraphOptions) {
    this.#external = external;
    this.#upgrade = upgrade;
    this.#opset = standardOpset(model.opsetImport, "ONNX model") ?? 1;
    if (this.#opset > MAX_OPSET) {
      throw new QdgError(
        "unsupported-op",
        "ONNX model",
        `is of opset ${this.#opset}, expected at most ${MAX_OPSET}: operators may mean something else there`,
      );
    }
    for (const info of [...(model.graph?.valueInfo ?? []), ...(model.graph?.output ?? [])]) {
      this.#declared.set(info.name ?? "", info);
    }
    // Names that the file itself uses; what is inlined keeps clear of them.
    for (const node of model.graph?.node ?? []) for (const name of node.output ?? []) this.#names.add(name);
    for (const { name } of model.graph?.initializer ?? []) this.#names.add(name ?? "");
    for (const { name } of model.graph?.input ?? []) this.#names.add(name ?? "");
    for (const each of model.functions ?? []) {
      const key = functionKey(each.domain, each.name, each.overload);
      this.#functions.set(key, each);
    }
  }

  define(scope: Scope, name: string, value: Value): void {
    if (name === "" || scope.values.has(name)) {
      throw new QdgError("invalid-onnx", `value "${name}"`, "has no name or is defined twice, expected once");
    }
    scope.values.set(name, value);
  }

  body(nodes: readonly NodeProto[], scope: Scope): void {
    for (const proto of nodes) {
      const own = proto.name || proto.output?.find((name) => name !== "") || proto.opType || "";
      const origin = scope.origin ?? own;
      const where =
        scope.origin === null ? `${own} (${proto.opType})` : `${origin}: ${own} (${proto.opType})`;
      const attributes = resolveAttributes(proto, scope.bindings, where);
      const called = this.#functions.get(functionKey(proto.domain, proto.opType, proto.overload));
      if (called) this.#inline(proto, called, attributes, scope, origin, where);
      else if (!isStandardDomain(proto.domain)) {
        throw new QdgError(
          "unsupported-op",
          where,
          `is of domain "${proto.domain}", expected a standard operator or a function in the file`,
        );
      } else if (proto.opType === "Constant") {
        const tensor = constantOf(attributes, where, this.#external);
        const [name = ""] = proto.output ?? [];
        this.define(scope, name, constantValue(this.#outerName(scope, name), tensor));
      } else this.#node(proto, attributes, scope, origin, where);
    }
  }

  #node(
    proto: NodeProto,
    protos: readonly AttributeProto[],
    scope: Scope,
    origin: string,
    where: string,
  ): void {
    const op = proto.opType ?? "";
    const attributes: Record<string, Attribute> = {};
    for (const each of protos) attributes[each.name ?? ""] = raiseAttribute(each, where, this.#external);
    const inputs = (proto.input ?? []).map((name) => this.#read(scope, name, where));
    const outputs = proto.output ?? [];
    const raised = this.#atOpset(
      { op, attributes, inputs, outputs: outputs.length, opset: this.#opset, where },
      outputs,
      scope,
      origin,
    );
    const node: Node = { ...raised, domain: "", inputs: [...raised.inputs], outputs: [], origin };
    this.#add(node, outputs, scope, where);
  }

  /** The node itself where its opset has the form of opset.ts, else what it is upgraded to. */
  #atOpset(older: OlderNode, outputs: readonly string[], scope: Scope, origin: string): NewerNode {
    const { op, attributes, inputs, where } = older;
    const first = this.#outerName(scope, outputs.find((name) => name !== "") ?? op);
    const newer = this.#upgrade(older, {
      constant: (what, constant) => constantValue(this.#uniqueName(`${first}/${what}`), constant),
      node: (added, addedInputs, addedAttributes, what) => {
        const node: Node = {
          op: added,
          domain: "",
          attributes: addedAttributes,
          inputs: [...addedInputs],
          outputs: [],
          origin,
        };
        this.nodes.push(node);
        return this.#output(node, this.#uniqueName(`${first}/${what}`), 0, where);
      },
    });
    if (newer) return newer;
    const since = operator(op)?.since;
    if (since !== undefined && since <= this.#opset) return { op, attributes, inputs };
    throw new QdgError(
      "unsupported-op",
      where,
      since === undefined
        ? "is an operator that qdg does not know"
        : `has another form at opset ${this.#opset}, expected opset ${since} or later; convert the model`,
    );
  }

  #add(node: Node, outputs: readonly string[], scope: Scope, where: string): void {
    this.nodes.push(node);
    outputs.forEach((name, index) => {
      const outer =
        name === ""
          ? this.#uniqueName(`${node.outputs[0]?.name ?? scope.prefix}:${index}`)
          : this.#outerName(scope, name);
      const value = this.#output(node, outer, index, where);
      if (name !== "") this.define(scope, name, value);
    });
  }

  #output(node: Node, name: string, index: number, where: string): Value {
    const types = node.inputs.map((value) => value?.dtype);
    const declared = declaredType(this.#declared.get(name));
    const inferred = resultType(node.op, node.attributes, types, index);
    if (declared && inferred && declared.dtype !== inferred) {
      throw new QdgError(
        "invalid-onnx",
        where,
        `output ${name} is declared ${declared.dtype}, computed ${inferred}`,
      );
    }
    const dtype = declared?.dtype ?? inferred;
    if (!dtype)
      throw new QdgError("unsupported-op", where, `the element type of output ${name} cannot be told`);
    const known = declared?.shape ?? UNKNOWN_SHAPE;
    const shape = isKnown(known) ? known : merged(known, resultShape(node, index));
    const value: Value = { name, dtype, shape, producer: node };
    node.outputs.push(value);
    return value;
  }

  #inline(
    proto: NodeProto,
    called: FunctionProto,
    attributes: readonly AttributeProto[],
    scope: Scope,
    origin: string,
    where: string,
  ): void {
    const key = functionKey(called.domain, called.name, called.overload);
    const opset = standardOpset(called.opsetImport, `function ${key}`);
    if (opset !== undefined && opset !== this.#opset) {
      throw new QdgError(
        "unsupported-op",
        where,
        `function ${key} is of opset ${opset}, expected that of the model, ${this.#opset}`,
      );
    }
    const given = proto.input ?? [];
    const asked = called.input ?? [];
    const results = called.output ?? [];
    const outputs = proto.output ?? [];
    if (given.length > asked.length || outputs.length > results.length) {
      throw new QdgError(
        "invalid-onnx",
        where,
        `has ${given.length} inputs and ${outputs.length} outputs, expected at most ${asked.length} and ${results.length}`,
      );
    }
    const bindings = new Map<string, AttributeProto>();
    for (const each of called.attributeProto ?? []) bindings.set(each.name ?? "", each);
    for (const each of attributes) bindings.set(each.name ?? "", each);
    const first = outputs.find((name) => name !== "") ?? key;
    const names = new Map<string, string>();
    outputs.forEach((name, index) => {
      if (name !== "" && !names.has(results[index] as string))
        names.set(results[index] as string, this.#outerName(scope, name));
    });
    const prefix = `${scope.prefix}${first}/`;
    const inner: Scope = {
      values: new Map(),
      prefix: prefix.length <= MAX_PREFIX ? prefix : scope.prefix,
      origin,
      bindings,
      outputs: names,
    };
    asked.forEach((name, index) => {
      if (inner.values.has(name))
        throw new QdgError("invalid-onnx", where, `function ${key} has two inputs ${name}`);
      inner.values.set(name, index < given.length ? this.#read(scope, given[index] as string, where) : null);
    });
    this.body(called.node ?? [], inner);
    outputs.forEach((name, index) => {
      if (name === "") return;
      const value = inner.values.get(results[index] as string);
      if (!value)
        throw new QdgError(
          "invalid-onnx",
          where,
          `function ${key} does not compute its output ${results[index]}`,
        );
      const outer = this.#outerName(scope, name);
      if (value.name === outer) this.define(scope, name, value);
      else {
        // An input that is passed through, or one value under two names.
        const node: Node = {
          op: "Identity",
          domain: "",
          attributes: {},
          inputs: [value],
          outputs: [],
          origin,
        };
        this.#add(node, [name], scope, where);
      }
    });
  }

  #read(scope: Scope, name: string, where: string): Value | null {
    if (name === "") return null;
    const value = scope.values.get(name);
    if (value === undefined) {
      throw new QdgError("invalid-onnx", where, `reads ${name}, which nothing before it computes`);
    }
    return value;
  }

  /** The name in the graph of a value that a scope calls `name`: always the same one. */
  #outerName(scope: Scope, name: string): string {
    if (scope.origin === null) return name;
    const given = scope.outputs.get(name);
    if (given !== undefined) return given;
    const chosen = this.#uniqueName(`${scope.prefix}${name}`);
    (scope.outputs as Map<string, string>).set(name, chosen);
    return chosen;
  }

  #uniqueName(name: string): string {
    let unique = name;
    // From the number that was free last: a function may be called a hundred thousand times under one name.
    let i = this.#taken.get(name) ?? 1;
    for (; this.#names.has(unique); i++) unique = `${name}:${i}`;
    this.#taken.set(name, i);
    this.#names.add(unique);
    return unique;
  }
}

function standardOpset(
  imports: readonly OperatorSetIdProto[] | undefined,
  where: string,
): number | undefined {
  const versions = (imports ?? [])
    .filter(({ domain }) => isStandardDomain(domain))
    .map(({ version }) => version);
  if (versions.length === 0) return undefined;
  const [version] = versions;
  // Said twice it is the same still: exporters of scikit-learn do.
  if (versions.some((each) => each !== version) || typeof version !== "number" || version < 1) {
    throw new QdgError(
      "invalid-onnx",
      where,
      `imports opset ${versions.join(" and ")}, expected one version >= 1`,
    );
  }
  return version;
}

function constantValue(name: string, constant: Tensor): Value {
  return { name, dtype: constant.dtype, shape: constant.shape, constant };
}
