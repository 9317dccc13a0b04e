// Ranges of fake quantization as learned scales: a graph-model computes without rounding, as tfjs does, and where its ranges stand
// where quantizers of ours do, an export rounds as TensorFlow trained it to. What does not fit is an error, by name.

import { QdgError } from "../../base/error.js";
import { consumers, type Graph, type Value, valuesOf } from "../../graph/graph.js";
import { floatTail } from "../../graph/node-kinds.js";
import { QUANTIZED_PASSES, runPasses } from "../../graph/passes/pipelines.js";
import { type QuantizerSite, quantizerSites } from "../../graph/place-quantizers.js";
import type { LearnedQuantizer, LearnedQuantizers } from "../../quant/learned.js";
import { MAX_BITS, MIN_BITS } from "../../quant/spec.js";
import type { GraphNode } from "./graph-json.js";

/** A tensor that a node rounds. */
export interface FakeQuantized {
  readonly value: Value;
  readonly node: string;
  readonly quantizer: LearnedQuantizer;
}

interface Range {
  readonly min: ArrayLike<number>;
  readonly max: ArrayLike<number>;
  readonly bits: number;
  readonly narrow: boolean;
}

const REMEDY = "give the float model that it was trained from, with --bits";

/**
 * TensorFlow's rule: `scale = (max - min) / (qmax - qmin)`, and the zero point is `qmin - min / scale`, rounded half away from zero
 * and clipped. Activations are unsigned, weights signed around the middle.
 *
 * @param isWeight a constant
 * @throws QdgError `unsupported-op`, by `call`
 */
export function rangeQuantizer(
  call: { fail(what: string): never },
  { min, max, bits, narrow }: Range,
  isWeight: boolean,
): LearnedQuantizer {
  if (!Number.isInteger(bits) || bits < MIN_BITS || bits > MAX_BITS)
    return call.fail(`num_bits: got ${bits}, expected ${MIN_BITS}..${MAX_BITS}`);
  if (min.length !== max.length || min.length === 0)
    return call.fail(`got ${min.length} minima and ${max.length} maxima`);
  if (!isWeight && min.length > 1)
    return call.fail(`has ${min.length} ranges of an activation, expected one; ${REMEDY}`);
  if (!isWeight && narrow)
    return call.fail(`narrow_range: got true for an activation, expected false; ${REMEDY}`);
  const [low, high] = [narrow ? 1 : 0, 2 ** bits - 1];
  const scale = new Float32Array(min.length);
  const zeros = Array.from(scale, (_, k) => {
    const [from, to] = [min[k] as number, max[k] as number];
    if (!(from <= 0 && to >= 0 && to > from && Number.isFinite(to - from)))
      return call.fail(`got the range ${from}..${to}, expected one around 0`);
    // In float32 as TensorFlow computes it: halves decide.
    scale[k] = Math.fround(to - from) / (high - low);
    const exact = Math.fround(low - Math.fround(from / scale[k]));
    return exact < low ? low : exact > high ? high : Math.floor(exact + 0.5);
  });
  if (!isWeight) {
    const [zero = 0] = zeros;
    return { bits, signed: false, scale, ...(zero === 0 ? {} : { zeroPoint: Int32Array.of(zero) }) };
  }
  const middle = 2 ** (bits - 1);
  const other = zeros.find((zero) => zero !== middle);
  if (other !== undefined)
    return call.fail(
      `rounds a weight around the integer ${other}, expected its middle, ${middle}: a range around 0; ${REMEDY}`,
    );
  return { bits, signed: true, scale };
}

/**
 * The ranges by the names that export knows quantizers by; null where there are none. Ranges after the last weighted layer, which runs
 * in float, mean nothing. A weight whose rounding was folded into it has none, and finds its scale at export.
 *
 * @param graph as it is read @param nodes of the model that are needed
 * @throws QdgError `unsupported-op` naming the node of a range where no quantizer stands, of two that ought to be one, of a tensor that
 * is read unrounded as well
 */
export function learnedRanges(
  graph: Graph,
  ranges: readonly FakeQuantized[],
  nodes: readonly GraphNode[],
): LearnedQuantizers | null {
  if (ranges.length === 0) return null;
  const passed = runPasses(graph, QUANTIZED_PASSES);
  const sites = quantizerSites(passed);
  const readers = readersOf(nodes);
  const quantizers = new Map<string, LearnedQuantizer>();
  const taken = new Map<QuantizerSite, FakeQuantized>();
  const take = (site: QuantizerSite, id: string, range: FakeQuantized): void => {
    const before = taken.get(site) ?? range;
    if (textOf(before) !== textOf(range)) {
      fail(
        range.node,
        `rounds to ${textOf(range)}, and ${before.node} to ${textOf(before)}, expected one range for both (${site.layer}): operands of a sum, a concatenation or a maximum share it, and what only moves keeps it`,
      );
    }
    taken.set(site, range);
    quantizers.set(id, range.quantizer);
  };
  for (const range of ranges) {
    const { value, node } = range;
    if (value.constant) {
      for (const reader of readers.rounded.get(node) ?? []) {
        const site = sites.find(
          ({ role, ids: [id = ""] }) => role === "weight" && id.startsWith(`${reader}/`),
        );
        const [weight] = site?.values ?? [];
        const channels = weight && site && site.axis !== null ? weight.shape[site.axis] : 1;
        const count = range.quantizer.scale.length;
        if (!site || (count !== 1 && count !== channels))
          fail(
            node,
            `rounds a constant with ${count} ranges for ${reader}, expected a weight, and one range or one an output channel`,
          );
        take(site, site.ids[0] as string, range);
      }
      continue;
    }
    const site = sites.find(({ role, ids }) => role === "activation" && ids.includes(value.name));
    if (site) {
      const raw = readers.raw.get(node);
      if (raw !== undefined)
        fail(
          raw,
          `reads what ${node} rounds without its rounding, expected all that read it to read it rounded`,
        );
      take(site, value.name, range);
    } else if (!isInTail(passed, value.name)) {
      fail(
        node,
        `rounds ${value.name}, where qdg has no quantizer: expected after ReLU and not before it, at what layers read and not within what is one layer`,
      );
    }
  }
  return { quantizers };
}

interface Readers {
  /** Who reads what a node of fake quantization gives. */
  readonly rounded: ReadonlyMap<string, readonly string[]>;
  /** For such a node, one that reads the tensor before it. */
  readonly raw: ReadonlyMap<string, string>;
}

function isRounding({ op }: GraphNode): boolean {
  return op.startsWith("FakeQuantWithMinMax");
}

function portOf({ node, output }: GraphNode["inputs"][number]): string {
  return `${node}:${output}`;
}

function readersOf(nodes: readonly GraphNode[]): Readers {
  const rounded = new Map<string, string[]>();
  const plain = new Map<string, string>();
  for (const node of nodes) {
    for (const input of node.inputs) {
      rounded.set(input.node, [...(rounded.get(input.node) ?? []), node.name]);
      // The size of a tensor is no number of it.
      if (!isRounding(node) && node.op !== "Shape") plain.set(portOf(input), node.name);
    }
  }
  const raw = nodes.filter(isRounding).flatMap(({ name, inputs: [input] }): [string, string][] => {
    const reader = input && plain.get(portOf(input));
    return reader === undefined ? [] : [[name, reader]];
  });
  return { rounded, raw: new Map(raw) };
}

function isInTail(passed: Graph, name: string): boolean {
  const value = valuesOf(passed).find((each) => each.name === name);
  const tail = floatTail(passed);
  return value !== undefined && (consumers(passed).get(value) ?? []).every((reader) => tail.has(reader));
}

function textOf({ quantizer: { bits, scale, zeroPoint } }: FakeQuantized): string {
  return `${bits} bits of scale ${scale.join()} around ${zeroPoint?.join() ?? 0}`;
}

function fail(where: string, what: string): never {
  throw new QdgError("unsupported-op", where, `${what}; ${REMEDY}`);
}
