// The inputs of a self-test for a network that classifies no images: numbers that follow from a seed, over the range that
// the network was made for. Makes no tensors.

import { QdgError } from "../base/error.js";
import { preprocessedRange, sampleShape } from "../export/random-feeds.js";
import { consumers, type Graph, type Node, type Value } from "../graph/graph.js";
import type { Layout } from "../image/to-tensor.js";
import type { OnnxMetadata } from "../model/onnx-metadata.js";
import { SEEDED_DTYPES, type SeededNumbers } from "../web/self-test-case.js";

/** What only moves the numbers of an input. */
const MOVES: ReadonlySet<string> = new Set(["Transpose", "Reshape", "Identity", "Pad", "Cast"]);

/**
 * For each input of the graph of a file: real numbers over what its quantizer holds, else over the range of the
 * preprocessing, else -1..1; integers over the rows of the least table that they look up, else 0 and 1.
 *
 * @throws QdgError `unsupported-model` for an input of another type
 */
export function seededInputs(
  graph: Graph,
  { preprocessing, layout }: Pick<OnnxMetadata, "preprocessing" | "layout">,
  inputSize: readonly [number, number] | undefined,
  seed: number,
): Record<string, SeededNumbers> {
  const order: Layout = layout ?? "nchw";
  const readers = consumers(graph);
  return Object.fromEntries(
    graph.inputs.map((input, i) => {
      const dtype = SEEDED_DTYPES.find((each) => each === input.dtype);
      if (!dtype) {
        throw new QdgError(
          "unsupported-model",
          input.name,
          `got an input of ${input.dtype}, expected ${SEEDED_DTYPES.join(", ")}; the page feeds it numbers`,
        );
      }
      const shape = sampleShape(input, { layout: order, ...(inputSize && { inputSize }) });
      const found = readersOf(input, readers);
      const [low, high] =
        dtype === "float32"
          ? (quantizedRange(found) ?? preprocessedRange(preprocessing))
          : [0, leastRows(found) - 1];
      return [input.name, { dtype, shape, seed: seed * graph.inputs.length + i, low, high }];
    }),
  );
}

/** Who computes with an input, past what only moves it, with the value that is read. */
function readersOf(value: Value, readers: ReadonlyMap<Value, readonly Node[]>): [Node, Value][] {
  return (readers.get(value) ?? []).flatMap((node): [Node, Value][] => {
    const [moved] = node.outputs;
    return MOVES.has(node.op) && node.inputs[0] === value && moved
      ? readersOf(moved, readers)
      : [[node, value]];
  });
}

/** `(q - zeroPoint) * scale` of the least and the greatest integer; null where no quantizer reads the input. */
function quantizedRange(readers: readonly (readonly [Node, Value])[]): readonly [number, number] | null {
  for (const [{ op, inputs }, value] of readers) {
    const scale = inputs[1]?.constant;
    if (op !== "QuantizeLinear" || inputs[0] !== value || scale?.data.length !== 1) continue;
    const zeroPoint = inputs[2]?.constant;
    const isSigned = zeroPoint?.dtype === "int8";
    const [s, z] = [Number(scale.data[0]), Number(zeroPoint?.data[0] ?? 0)];
    return [((isSigned ? -128 : 0) - z) * s, ((isSigned ? 127 : 255) - z) * s];
  }
  return null;
}

function leastRows(readers: readonly (readonly [Node, Value])[]): number {
  const rows = readers.flatMap(([{ op, inputs }, value]) => {
    const count = op === "Gather" && inputs[1] === value ? inputs[0]?.shape[0] : undefined;
    return typeof count === "number" ? [count] : [];
  });
  return rows.length > 0 ? Math.min(...rows) : 2;
}
