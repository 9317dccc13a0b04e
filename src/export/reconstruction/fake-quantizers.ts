// Quantized values as float operators: what the integers stand for, without integers. For statistics only: a file
// never holds these.

import { float32, type Tensor } from "../../base/tensor.js";
import { cloneGraph, type Graph, type Node, replaceUses, type Value, valuesOf } from "../../graph/graph.js";
import { roundedWeights } from "../../lower/quantized-weights.js";
import { type Quantization, qmax, qmin } from "../../quant/spec.js";

/**
 * Weights become what their integers stand for. Behind every activation with a quantizer: `(clip(round(x / s), qmin - z, qmax - z)) s`, as in quant/affine.ts. The value that is rounded takes the name, so that outputs and later nodes see it.
 *
 * @param fed names of activations whose quantizers are inputs of the graph, see {@link quantizersFeed}
 */
export function withFakeQuantizers(source: Graph, fed: ReadonlySet<string> = new Set()): Graph {
  const graph = cloneGraph(source);
  const nodes: Node[] = [];
  for (const value of valuesOf(graph)) {
    if (!value.constant || !value.quantization) continue;
    value.constant = roundedWeights(value, value.name);
    delete value.quantization;
    delete value.integers;
  }
  const fedScalars: Value[] = [];
  const scalarOf = (name: string, quantization: Quantization): ((what: ScalarName) => Value) => {
    const scalars = scalarsOf(quantization);
    return (what) => {
      // A name that no layer gives a value of its own: Rescaling has a scale too.
      const scalar: Value = { name: scalarName(name, what), dtype: "float32", shape: [] };
      if (fed.has(name)) fedScalars.push(scalar);
      else scalar.constant = float32([], [scalars[what]]);
      return scalar;
    };
  };
  for (const input of graph.inputs) {
    if (input.quantization)
      nodes.push(...rounded(graph, input, input, scalarOf(input.name, input.quantization)));
  }
  for (const node of graph.nodes) {
    nodes.push(node);
    for (const output of node.outputs) {
      if (!output.quantization) continue;
      const raw: Value = {
        name: `${output.name}/raw`,
        dtype: output.dtype,
        shape: output.shape,
        producer: node,
      };
      node.outputs = node.outputs.map((each) => (each === output ? raw : each));
      nodes.push(...rounded(graph, raw, output, scalarOf(output.name, output.quantization)));
    }
  }
  graph.nodes = nodes;
  graph.inputs = [...graph.inputs, ...fedScalars];
  return graph;
}

/** What {@link withFakeQuantizers} is fed for activations that `graph` has quantizers for. */
export function quantizersFeed(graph: Graph, names: ReadonlySet<string>): Record<string, Tensor> {
  const feed: Record<string, Tensor> = {};
  for (const { name, quantization } of valuesOf(graph)) {
    if (!quantization || !names.has(name)) continue;
    for (const [what, x] of Object.entries(scalarsOf(quantization)))
      feed[scalarName(name, what as ScalarName)] = float32([], [x]);
  }
  return feed;
}

type ScalarName = "scale" | "low" | "high";

function scalarName(name: string, what: ScalarName): string {
  return `${name}/fake-quantize/${what}`;
}

/** Of one scale; `low` and `high` count steps from 0. */
function scalarsOf({ spec, params }: Quantization): Readonly<Record<ScalarName, number>> {
  const [scale = 1, zero = 0] = [params.scale[0], params.zeroPoint[0]];
  return { scale, low: qmin(spec) - zero, high: qmax(spec) - zero };
}

/** The nodes from `raw` to its rounded value, which all readers read: `value` itself unless that is an input. */
function rounded(graph: Graph, raw: Value, value: Value, scalar: (what: ScalarName) => Value): Node[] {
  const { name, shape, dtype } = value;
  const step = scalar("scale");
  let result: Value = value;
  if (raw === value) {
    result = { name: `${name}/rounded`, dtype, shape };
    replaceUses(graph, value, result);
  }
  delete value.quantization;
  const made: Node[] = [];
  const add = (op: string, inputs: Value[], output: Value): Value => {
    const node: Node = { op, domain: "", attributes: {}, inputs, outputs: [output], origin: name };
    output.producer = node;
    made.push(node);
    return output;
  };
  const between = (what: string): Value => ({ name: `${name}/fake-quantize/${what}`, dtype, shape });
  const ratio = add("Div", [raw, step], between("ratio"));
  const whole = add("Round", [ratio], between("whole"));
  const bounds = [scalar("low"), scalar("high")];
  const clipped = add("Clip", [whole, ...bounds], between("clipped"));
  add("Mul", [clipped, step], result);
  return made;
}
