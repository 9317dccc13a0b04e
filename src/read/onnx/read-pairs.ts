// A network in real numbers with quantizers in it (QDQ) as a graph and learned scales: where its quantizers stand where ours do, the
// file computes what an export of these computes. What does not fit is an error, by name.

import { QdgError } from "../../base/error.js";
import { consumers, type Graph, valuesOf } from "../../graph/graph.js";
import { floatTail, REQUANTIZE } from "../../graph/node-kinds.js";
import { QUANTIZED_PASSES, runPasses } from "../../graph/passes/pipelines.js";
import { type QuantizerSite, quantizerSites } from "../../graph/place-quantizers.js";
import type { ModelProto } from "../../onnx/model-proto.js";
import type { LearnedQuantizer, LearnedQuantizers } from "../../quant/learned.js";
import { foldConstants } from "../normalize/fold-constants.js";
import { type ConstantPair, type Pair, withoutPairs, type WithoutPairs } from "./pairs.js";
import { asRead, raise } from "./read-onnx.js";
import { checkSupported } from "./unsupported.js";

const DEQUANTIZE: ReadonlySet<string> = new Set(["DequantizeLinear"]);

const REMEDY = "give the float model that the file was made from, with --bits";

export interface ReadPairs {
  readonly graph: Graph;
  readonly learned: LearnedQuantizers;
  /** What of the file's quantizers ours cannot be, so that scales have to be found anew; null where all are learned. */
  readonly note: string | null;
}

/**
 * Reads a model whose quantized numbers are those of QuantizeLinear and DequantizeLinear.
 *
 * - Weights: signed around 0, a scale an output channel or one; with as many bits as their integers need.
 * - Activations: one scale and zero point, at the values that `placeQuantizers` places quantizers at. Where values share a quantizer
 *   there and have several here (operands of a sum, as `quantize_static` writes them), none is learned, and that is noted.
 * - After the last weighted layer, which stays in real numbers, rounding is spelled out in float operators.
 *
 * @throws QdgError what reading a float model throws; `unsupported-op` naming the node of a quantizer that does not fit, and the layer
 * of a weight in real numbers
 */
export function readPairs(model: ModelProto, where: string): ReadPairs {
  checkSupported(model, where, true);
  const folded = foldConstants(raise(model), DEQUANTIZE);
  const first = fitted(withoutPairs(folded, new Set()), where);
  const after = first.pairs.activations.filter(({ name }) => !first.ids.has(name));
  if (after.length === 0) return { graph: first.graph, ...learnedOf(first) };
  for (const pair of after) checkInTail(pair, first);
  const second = fitted(withoutPairs(folded, new Set(after.map(({ name }) => name))), where);
  return { graph: second.graph, ...learnedOf(second) };
}

interface Fitted {
  readonly graph: Graph;
  /** As quantizers are placed in it. */
  readonly passed: Graph;
  readonly pairs: WithoutPairs;
  readonly sites: readonly QuantizerSite[];
  /** All names that a quantizer may be known by. */
  readonly ids: ReadonlySet<string>;
}

function fitted(pairs: WithoutPairs, where: string): Fitted {
  const graph = asRead(pairs.graph, where);
  const passed = runPasses(graph, QUANTIZED_PASSES);
  const sites = quantizerSites(passed);
  return { graph, passed, pairs, sites, ids: new Set(sites.flatMap(({ ids }) => ids)) };
}

/** @throws QdgError for a pair at a value that no quantizer stands at although integers are computed from it */
function checkInTail({ name, origin }: Pair, { passed }: Fitted): void {
  const tail = floatTail(passed);
  const value = valuesOf(passed).find((each) => each.name === name);
  const readers = (value && consumers(passed).get(value)) ?? [];
  if (value && readers.every((reader) => tail.has(reader))) return;
  fail(
    origin,
    `rounds ${name}, where qdg has no quantizer: expected after ReLU and not before it, at what layers read and not within what is one layer`,
  );
}

function learnedOf({ pairs, sites }: Fitted): Omit<ReadPairs, "graph"> {
  const constants = new Map(pairs.constants.map((pair) => [pair.name, pair]));
  const activations = new Map(pairs.activations.map((pair) => [pair.name, pair]));
  const quantizers = new Map<string, LearnedQuantizer>();
  const apart: string[] = [];
  for (const site of sites) {
    if (site.role === "weight") {
      const [id = ""] = site.ids;
      quantizers.set(id, weightOf(site, id, constants).quantizer);
    } else if (!isCopy(site)) {
      const shared = sharedOf(site, activations);
      if (typeof shared === "string") apart.push(shared);
      else for (const pair of shared) quantizers.set(pair.name, pair.quantizer);
    }
  }
  return { learned: { quantizers }, note: noteOf(apart) };
}

/** Of fewer bits where these are asked for; else it has the quantizer of what it copies. */
function isCopy({ values }: QuantizerSite): boolean {
  return values[0]?.producer?.op === REQUANTIZE;
}

function noteOf(places: readonly string[]): string | null {
  const [first] = places;
  if (first === undefined) return null;
  const more = places.length > 1 ? `, and so at ${places.length - 1} more` : "";
  return `has two scales where qdg has one quantizer: ${first}${more}; these scales have to be found anew with --calibration, or learned by qdg train`;
}

/** The transposed weight of a MatMul has the scales of the file's, in their order. */
function weightOf(
  site: QuantizerSite,
  id: string,
  constants: ReadonlyMap<string, ConstantPair>,
): ConstantPair {
  const turned = id.endsWith("/transposed") ? constants.get(id.slice(0, -"/transposed".length)) : undefined;
  const pair = constants.get(id) ?? turned;
  if (!pair) {
    return fail(
      site.layer,
      `its weight ${id} is in real numbers, or was changed, expected constant integers before DequantizeLinear`,
    );
  }
  const { quantizer, axis, origin } = pair;
  if (quantizer.zeroPoint) {
    const got = quantizer.zeroPoint.find((zero) => zero !== 0);
    fail(
      origin,
      `integers of a weight around ${got}, expected around 0: signed ones with zero point 0, or bytes with 128`,
    );
  }
  const own = turned && axis !== null ? 1 - axis : axis;
  if (own !== null && own !== site.axis) {
    const expected = site.axis === null ? "one scale" : `output channels, axis ${site.axis}, or one scale`;
    fail(origin, `scales of a weight along axis ${own}, expected ${expected}`);
  }
  return pair;
}

/** What is known of the values that one quantizer is for: the same of all, where anything is; a note where it is not the same. */
function sharedOf(site: QuantizerSite, activations: ReadonlyMap<string, Pair>): readonly Pair[] | string {
  const found = site.ids.flatMap((id) => activations.get(id) ?? []);
  const [first, ...others] = found;
  const other = first && others.find(({ quantizer }) => textOf(quantizer) !== textOf(first.quantizer));
  if (first && other) {
    return `${other.name} (${textOf(other.quantizer)}) and ${first.name} (${textOf(first.quantizer)})`;
  }
  if (!first) {
    fail(
      site.layer,
      `${site.ids[0]} is in real numbers, expected QuantizeLinear and DequantizeLinear after it`,
    );
  }
  return found;
}

function textOf({ bits, signed, scale, zeroPoint }: LearnedQuantizer): string {
  return `${bits} bits${signed ? ", signed" : ""}, scale ${scale.join()}, zero point ${zeroPoint?.join() ?? 0}`;
}

function fail(where: string, what: string): never {
  throw new QdgError("unsupported-op", where, `${what}; ${REMEDY}`);
}
