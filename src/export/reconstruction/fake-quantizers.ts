// Quantized values as float operators: what the integers stand for, without integers. For statistics only: a file
// never holds these.

import { float32 } from "../../base/tensor.js";
import { cloneGraph, type Graph, type Node, replaceUses, type Value, valuesOf } from "../../graph/graph.js";
import { roundedWeights } from "../../lower/quantized-weights.js";
import { qmax, qmin } from "../../quant/spec.js";

/**
 * Weights become what their integers stand for. Behind every activation with a quantizer: `(clip(round(x / s), qmin - z, qmax - z)) s`, as in quant/affine.ts. The value that is rounded takes the name, so that outputs and later nodes see it.
 */
export function withFakeQuantizers(source: Graph): Graph {
  const graph = cloneGraph(source);
  const nodes: Node[] = [];
  for (const value of valuesOf(graph)) {
    if (!value.constant || !value.quantization) continue;
    value.constant = roundedWeights(value, value.name);
    delete value.quantization;
    delete value.integers;
  }
  for (const input of graph.inputs) if (input.quantization) nodes.push(...rounded(graph, input, input));
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
      nodes.push(...rounded(graph, raw, output));
    }
  }
  graph.nodes = nodes;
  return graph;
}

/** The nodes from `raw` to its rounded value, which all readers read: `value` itself unless that is an input. */
function rounded(graph: Graph, raw: Value, value: Value): Node[] {
  const { spec, params } = value.quantization ?? {};
  if (!spec || !params) return [];
  const [scale = 1, zero = 0] = [params.scale[0], params.zeroPoint[0]];
  const { name, shape, dtype } = value;
  // A name that no layer gives a value of its own: Rescaling has a scale too.
  const scalar = (what: string, x: number): Value => ({
    name: `${name}/fake-quantize/${what}`,
    dtype: "float32",
    shape: [],
    constant: float32([], [x]),
  });
  const step = scalar("scale", scale);
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
  const bounds = [scalar("low", qmin(spec) - zero), scalar("high", qmax(spec) - zero)];
  const clipped = add("Clip", [whole, ...bounds], between("clipped"));
  add("Mul", [clipped, step], result);
  return made;
}
