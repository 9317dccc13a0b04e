// Which quantized tensors of two files of one model are the same integers: by name, which both files take from the
// layers. A tensor that cannot be compared is named, never left out in silence.

import { kindOf } from "../graph/node-kinds.js";
import type { Value } from "../graph/graph.js";
import type { ModelProto } from "../onnx/model-proto.js";
import { modelToGraph } from "../onnx/to-graph.js";
import { type QuantizedTensor, quantizedTensors } from "../export/quantized-tensors.js";

/** A tensor of the reference's file and its twin; integers minus their offset are what is compared. */
export interface TensorPair {
  readonly reference: QuantizedTensor;
  readonly candidate: Pick<QuantizedTensor, "name" | "dtype">;
  readonly referenceOffset: number;
  readonly candidateOffset: number;
}

export interface TensorMatch {
  readonly pairs: readonly TensorPair[];
  /** What one file quantizes and the other does not hold, each with the reason. */
  readonly unmatched: readonly string[];
}

/**
 * Pairs in the order of the reference's file. Where that gives out a tensor that only moves integers of another (a
 * transpose, a maximum) and the candidate has none of that name, its source stands for it.
 */
export function matchTensors(reference: ModelProto, candidate: ModelProto): TensorMatch {
  const listed = quantizedTensors(reference);
  if (reference === candidate) {
    return {
      pairs: listed.map((each) => ({
        reference: each,
        candidate: each,
        referenceOffset: 0,
        candidateOffset: 0,
      })),
      unmatched: [],
    };
  }
  const twins = new Map<string, QuantizedTensor>(
    quantizedTensors(candidate).map((each) => [each.name, each]),
  );
  const moved = new Set(moving(reference).map(({ name }) => name));
  const movedTwins = movedFloats(candidate);
  const pairs: TensorPair[] = [];
  const unmatched: string[] = [];
  const names = new Set(listed.map(({ name }) => name));
  for (const each of listed) {
    const twin = twins.get(each.name) ?? movedTwins.get(each.name);
    if (!twin) {
      if (!moved.has(each.name))
        unmatched.push(`${each.name} (layer ${each.layer}) is in the reference's file only`);
      continue;
    }
    const referenceOffset = offsetOf(each);
    const candidateOffset = offsetOf(twin);
    if (referenceOffset === null || candidateOffset === null) {
      unmatched.push(`${each.name} (layer ${each.layer}) has no zero point that its file states`);
    } else pairs.push({ reference: each, candidate: twin, referenceOffset, candidateOffset });
  }
  for (const { name, layer } of twins.values()) {
    if (!names.has(name) && !movedTwins.has(name)) {
      unmatched.push(`${name} (layer ${layer}) is in the target's file only`);
    }
  }
  return { pairs, unmatched };
}

type Twin = Pick<QuantizedTensor, "name" | "dtype" | "zeroPoint">;

/** What floats hold is counted from the zero point already. */
function offsetOf({ dtype, zeroPoint }: Twin): number | null {
  return dtype === "float32" ? 0 : zeroPoint;
}

function movedFloats(model: ModelProto): Map<string, Twin> {
  const floats = moving(model).filter(({ dtype }) => dtype === "float32");
  return new Map(floats.map(({ name }) => [name, { name, dtype: "float32", zeroPoint: 0 }]));
}

/** Results of nodes that move or select elements. */
function moving(model: ModelProto): Value[] {
  return modelToGraph(model).nodes.flatMap((node) =>
    node.op === "ReduceMax" || kindOf(node) === "rearranging" ? node.outputs : [],
  );
}
