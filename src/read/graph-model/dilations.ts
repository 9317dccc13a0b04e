// Dilated convolutions that TensorFlow spells as blocks: space becomes batch, a plain convolution, and back. Rewrites nodes
// before they are read, where blocks and borders are still numbers of one node each; adds nothing to the graph.

import type { Json, JsonMap } from "../model-json.js";
import type { Weights } from "../weights.js";
import { Attributes } from "./attributes.js";
import type { GraphJson, GraphNode, Source } from "./graph-json.js";

const CONVOLUTIONS: ReadonlySet<string> = new Set([
  "Conv2D",
  "_FusedConv2D",
  "DepthwiseConv2d",
  "DepthwiseConv2dNative",
  "FusedDepthwiseConv2dNative",
]);

/** What computes each element alone, or by channel: it makes no difference whether blocks are put together before or after. */
const POINTWISE: ReadonlySet<string> = new Set([
  "BiasAdd",
  "FusedBatchNorm",
  "FusedBatchNormV2",
  "FusedBatchNormV3",
  "Identity",
  "Relu",
  "Relu6",
]);

/**
 * `BatchToSpaceND(f(conv(SpaceToBatchND(x, d, p))), d, c)` of a convolution without padding and strides, f element by element, is f of the
 * convolution of x with dilations d and padding p - c: places d apart are neighbours in their batch. A convolution over one axis stands
 * between ExpandDims and Squeeze.
 *
 * Only where nothing else reads what lies between, and no more is cut off than was put around. Names stay.
 *
 * @param order the nodes that the outputs need
 */
export function dilationsOfBlocks(json: GraphJson, order: readonly GraphNode[], weights: Weights): GraphJson {
  const nodes = new Map(json.nodes);
  const chains = new Chains(json, order, weights);
  for (const node of order) {
    const found = node.op === "BatchToSpaceND" ? chains.without(node) : null;
    for (const each of found ?? []) nodes.set(each.name, each);
  }
  return { ...json, nodes };
}

class Chains {
  readonly #nodes: ReadonlyMap<string, GraphNode>;
  readonly #weights: Weights;
  readonly #fed: ReadonlySet<string>;
  /** How often the outputs of a node are read; that callers name them counts too. */
  readonly #reads = new Map<string, number>();

  constructor({ nodes, inputs, outputs }: GraphJson, order: readonly GraphNode[], weights: Weights) {
    this.#nodes = nodes;
    this.#weights = weights;
    this.#fed = new Set(inputs.map(({ source }) => source.node));
    for (const { node } of [
      ...order.flatMap((each) => each.inputs),
      ...outputs.map(({ source }) => source),
    ]) {
      this.#reads.set(node, (this.#reads.get(node) ?? 0) + 1);
    }
  }

  /** The nodes as they are without blocks; null where they are not what they look like. */
  without(joined: GraphNode): readonly GraphNode[] | null {
    let conv = this.#before(joined);
    let squeezed: number | null = null;
    for (; conv && !CONVOLUTIONS.has(conv.op); conv = this.#before(conv)) {
      if (conv.op === "Squeeze" && squeezed === null) {
        squeezed = squeezedAxis(conv);
        if (squeezed === null) return null;
      } else if (!POINTWISE.has(conv.op)) return null;
    }
    if (!conv || !isPlain(conv)) return null;
    const grown = squeezed === null ? null : this.#before(conv);
    if (grown && (grown.op !== "ExpandDims" || spaceAt(this.#integers(grown, 1)?.[0]) !== squeezed))
      return null;
    const cut = this.#read(grown ?? conv);
    if (cut?.op !== "SpaceToBatchND" || (squeezed !== null && !grown)) return null;
    const [images] = cut.inputs;
    const blocks = this.#integers(cut, 1);
    const margins = this.#margins(cut, joined);
    if (!images || !blocks || !margins || blocks.join() !== this.#integers(joined, 1)?.join()) return null;
    if (blocks.length > (grown ? 1 : 2) || margins.length !== 2 * blocks.length) return null;
    const attributes = dilated(conv, blocks, margins, squeezed === 0 ? 1 : 0);
    // Blocks stay an input, which the convolution does not look at: what contradicts itself there is told as ever.
    const blocked = { node: cut.name, output: 0 };
    const x = grown ? (conv.inputs[0] as Source) : images;
    return [
      ...(grown ? [{ ...grown, inputs: [images, ...grown.inputs.slice(1)] }] : []),
      { ...conv, inputs: [x, ...conv.inputs.slice(1), blocked], attributes },
      { ...joined, op: "Identity", inputs: joined.inputs.slice(0, 1), attributes: new Map() },
    ];
  }

  /** The node whose first output is read first. */
  #read(node: GraphNode): GraphNode | null {
    const source = node.inputs[0];
    const found = source?.output === 0 ? this.#nodes.get(source.node) : undefined;
    return found && !this.#fed.has(found.name) ? found : null;
  }

  /** The same, where nothing else reads it. */
  #before(node: GraphNode): GraphNode | null {
    const found = this.#read(node);
    return found && this.#reads.get(found.name) === 1 ? found : null;
  }

  /** Padding before and after each axis, without what is cut off of it; null where it is not known, or negative. */
  #margins(cut: GraphNode, joined: GraphNode): readonly number[] | null {
    const [pads, crops] = [this.#integers(cut, 2), this.#integers(joined, 2)];
    if (!pads || pads.length !== crops?.length) return null;
    const margins = pads.map((pad, i) => pad - (crops[i] as number));
    return [...margins, ...crops].every((margin) => margin >= 0) ? margins : null;
  }

  #integers(node: GraphNode, index: number): readonly number[] | null {
    let source = node.inputs[index];
    for (let of = source && this.#nodes.get(source.node); of?.op === "Identity";) {
      [source] = of.inputs;
      of = source && this.#nodes.get(source.node);
    }
    const weight = source && !this.#fed.has(source.node) ? this.#weights.get(source.node) : undefined;
    return weight?.dtype === "int32" ? Array.from(weight.data as Int32Array) : null;
  }
}

/** Which axis of space, 0 or 1, an axis of images is; null for batch and channels. */
function spaceAt(axis: number | undefined): number | null {
  const at = axis === undefined ? null : axis < 0 ? axis + 3 : axis - 1;
  return at === 0 || at === 1 ? at : null;
}

function squeezedAxis({ attributes, name, op }: GraphNode): number | null {
  const read = new Attributes(attributes, `${name} (${op})`);
  const axes = [...read.ints("squeeze_dims"), ...read.ints("axis")];
  return axes.length === 1 ? spaceAt(axes[0]) : null;
}

/** Neither padded nor with strides, and without slopes, which may differ by place. */
function isPlain({ attributes, name, op }: GraphNode): boolean {
  const read = new Attributes(attributes, `${name} (${op})`);
  return (
    read.text("padding", "VALID").toUpperCase() === "VALID" &&
    read.ints("strides").every((stride) => stride === 1) &&
    [0, 4].includes(read.ints("dilations").length) &&
    !read.texts("fused_ops").some((fused) => fused.toLowerCase() === "prelu")
  );
}

/** @param first the axis of space that the first block is of */
function dilated(
  { attributes, name, op }: GraphNode,
  blocks: readonly number[],
  margins: readonly number[],
  first: number,
): JsonMap {
  const own = new Attributes(attributes, `${name} (${op})`).ints("dilations");
  const dilations = own.length === 4 ? own : [1, 1, 1, 1];
  const padding = Array<number>(8).fill(0);
  blocks.forEach((block, i) => {
    const axis = 1 + first + i;
    dilations[axis] = (dilations[axis] as number) * block;
    padding[2 * axis] = margins[2 * i] as number;
    padding[2 * axis + 1] = margins[2 * i + 1] as number;
  });
  return new Map<string, Json>([
    ...attributes,
    ["padding", new Map([["s", Buffer.from("EXPLICIT").toString("base64")]])],
    ["explicit_paddings", list(padding)],
    ["dilations", list(dilations)],
  ]);
}

function list(numbers: readonly number[]): Json {
  return new Map([["list", new Map([["i", numbers]])]]);
}
