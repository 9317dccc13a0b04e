// Operations of pools that take the largest byte.

import { whereOf } from "../compute/kernel.js";
import { poolGeometry } from "../compute/geometry.js";
import type { Node, Value } from "../graph/graph.js";
import type { Bytes } from "./bytes.js";
import { largestOfWindows } from "./operations/pools.js";
import type { Windows } from "./operations/positions.js";
import { type Raising, refused } from "./raising.js";
import { reducesPositions } from "./raise-patterns.js";
import { poolWindows } from "./stacks.js";

/** MaxPool, GlobalMaxPool, and ReduceMax over all positions; null for another node. */
export function raisePool(node: Node, value: Value, raising: Raising): Bytes | null {
  if (node.op !== "MaxPool" && node.op !== "ReduceMax" && node.op !== "GlobalMaxPool") return null;
  if (node.outputs.length > 1) throw refused(whereOf(node), "the Indices output");
  const x = raising.bytesAlong(node.inputs[0] as Value, 1);
  const windows = node.op === "MaxPool" ? windowsOf(node, x) : whole(node, x, raising);
  const y = raising.create(value, 1);
  raising.add(largestOfWindows(whereOf(node), x, windows, y));
  return y;
}

function windowsOf(node: Node, x: Bytes): Windows {
  return poolWindows(x, poolGeometry({ node, inputs: [] }, x.shape));
}

function along(size: number): Windows["rows"] {
  return { size, kernel: size, stride: 1, dilation: 1, padBegin: 0, padEnd: 0, outputSize: 1 };
}

/** One window over all positions of an image. */
function whole(node: Node, x: Bytes, raising: Raising): Windows {
  if (node.op === "ReduceMax" && !reducesPositions(node, node.inputs[0] as Value, raising)) {
    throw refused(whereOf(node), "a maximum over some axes");
  }
  const images = x.shape[0] as number;
  const rows = along(x.storage.H / images);
  return { rows, columns: along(x.storage.W), stack: { images, depth: along(1) } };
}
