// A network, or the end of it, as a runtime session whose weights, biases and quantizers are fed: others cost a run, and
// no new session.

import { expectDType, float32, type Tensor } from "../../base/tensor.js";
import type { Graph, Node, Value } from "../../graph/graph.js";
import { kindOf } from "../../graph/node-kinds.js";
import { materialize } from "../../lower/materialize.js";
import { roundedWeights } from "../../lower/quantized-weights.js";
import { DEFAULT_OPSET } from "../../onnx/opset.js";
import { cpuRuntime } from "../../runtime/cpu.js";
import type { Session } from "../../runtime/runtime.js";
import type { Feeds } from "../arrays.js";
import { floatFile } from "../float-file.js";
import { withFakeQuantizers } from "../reconstruction/fake-quantizers.js";
import { pieceOf, THREADS } from "../reconstruction/walk.js";

export class OpenNetwork {
  readonly #session: Session;
  /** Computed values that it reads, by name. */
  readonly reads: readonly string[];
  /** Of the judged values, those that it computes. */
  readonly gives: readonly string[];

  private constructor(session: Session, reads: readonly string[], gives: readonly string[]) {
    this.#session = session;
    this.reads = reads;
    this.gives = gives;
  }

  /**
   * @param source float, or annotated: annotated values are rounded then, as in a Walk; stays as it is
   * @param from index of the first node
   * @param open indices of nodes whose weights and biases are fed
   * @param judged names of values to give
   * @param quantizers names of annotated activations whose quantizers are fed, see `quantizersFeed`
   */
  static async open(
    source: Graph,
    from: number,
    open: ReadonlySet<number>,
    judged: readonly string[],
    quantizers: ReadonlySet<string> = new Set(),
  ): Promise<OpenNetwork> {
    const fed: Value[] = [];
    const nodes = source.nodes.slice(from).map((node, i) => {
      const index = from + i;
      return open.has(index) ? withFedParameters(node, index, fed) : node;
    });
    const { piece, reads } = pieceOf(source.name, nodes, source.inputs);
    const computed = reads.filter((value) => !fed.includes(value));
    const gives = nodes.flatMap(({ outputs }) => outputs).filter(({ name }) => judged.includes(name));
    piece.outputs = gives;
    const bytes = floatFile(withFakeQuantizers(piece, quantizers), DEFAULT_OPSET);
    const session = await cpuRuntime.open({ bytes }, { threads: THREADS });
    return new OpenNetwork(
      session,
      computed.map(({ name }) => name),
      gives.map(({ name }) => name),
    );
  }

  /** @param parameters of each open node, see {@link parametersFeed}, and of each quantizer that is fed */
  async run(values: Feeds, parameters: Feeds): Promise<Readonly<Record<string, Float32Array>>> {
    const results = await this.#session.run({ ...values, ...parameters });
    return Object.fromEntries(
      this.gives.map((name) => [name, expectDType(results[name] as Tensor, "float32", name).data]),
    );
  }

  dispose(): Promise<void> {
    return this.#session.dispose();
  }
}

/** @param fed gets the values that take the parameters' place */
function withFedParameters(node: Node, index: number, fed: Value[]): Node {
  const inputs = [...node.inputs];
  for (const { slot, tensor } of parametersOf(node, index)) {
    const value: Value = { name: parameterName(index, slot), dtype: "float32", shape: tensor.shape };
    inputs[slot] = value;
    fed.push(value);
  }
  return { ...node, inputs };
}

/** What an {@link OpenNetwork} is fed for an open node: what the graph's weights stand for, and its bias. */
export function parametersFeed(graph: Graph, indices: Iterable<number>): Record<string, Tensor> {
  const feed: Record<string, Tensor> = {};
  for (const index of indices) {
    for (const { slot, tensor } of parametersOf(graph.nodes[index] as Node, index))
      feed[parameterName(index, slot)] = tensor;
  }
  return feed;
}

function parameterName(index: number, slot: number): string {
  return `parameter/${index}/${slot}`;
}

/** The weight, and the bias of a layer that can have one: zeros where it has none, since others may give it one. */
function parametersOf(
  node: Node,
  index: number,
): readonly { readonly slot: number; readonly tensor: Tensor<"float32"> }[] {
  const where = `${node.origin} (${node.op})`;
  const weightSlot = kindOf(node) === "lookup" ? 0 : 1;
  const weight = node.inputs[weightSlot];
  if (!weight?.constant) return [];
  const real = weight.quantization ? { ...weight, constant: roundedWeights(weight, where) } : weight;
  const tensor = expectDType(materialize(real), "float32", `${where} ${index}`);
  const parameters = [{ slot: weightSlot, tensor }];
  const channels = biasChannels(node, tensor.shape);
  if (channels === null) return parameters;
  const bias = node.inputs[2];
  const data = bias?.constant
    ? expectDType(materialize(bias), "float32", where).data
    : new Float32Array(channels);
  return [...parameters, { slot: 2, tensor: float32([channels], data) }];
}

/** null for an operator without a bias. */
function biasChannels(node: Node, shape: readonly number[]): number | null {
  switch (node.op) {
    case "Conv":
      return shape[0] as number;
    case "ConvTranspose":
      return (shape[1] as number) * Number(node.attributes["group"] ?? 1);
    case "Gemm":
      return shape[node.attributes["transB"] === 1 ? 0 : 1] as number;
    default:
      return null;
  }
}
