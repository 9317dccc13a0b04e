// What an export did to each layer, as data: for the page of `--report` and for `--json`. Measures and counts; how it looks
// is the page's. Bounded: a few numbers a layer, and two histograms of at most 64 bins.

import { noProgress, type Progress } from "../../base/progress.js";
import { expectDType } from "../../base/tensor.js";
import { consumers, type Graph, type Node, outputOf, type Value } from "../../graph/graph.js";
import { kindOf, onlyRectifier } from "../../graph/node-kinds.js";
import type { Placement } from "../../graph/place-quantizers.js";
import { weightIntegers } from "../../lower/quantized-weights.js";
import type { FormName } from "../../model/onnx-metadata.js";
import { forEachChannel } from "../../quant/affine.js";
import { type Inspection, inspectBytes } from "../inspect.js";
import type { QuantizedGraph } from "../quantize.js";
import type { Samples } from "../samples.js";
import { bitsByLayer } from "../metadata.js";
import type { BitsFrontier } from "../budget/frontier.js";
import { isForWebgpu, type PlannedFile } from "../file-plan.js";
import { GridCounts, type GridHistogram } from "./grid-histogram.js";
import { type LayerErrors, measureLayers } from "./layer-errors.js";

/** One layer of the network as it is quantized, in the order of the graph. */
export interface LayerReport {
  readonly layer: string;
  /** ONNX operators that it is computed by, before lowering. */
  readonly operators: readonly string[];
  /** null where there is no quantized weight. */
  readonly weightBits: number | null;
  /** Of what the layer gives; null where it stays real. */
  readonly activationBits: number | null;
  /** Of the weight as it is stored, scales apart. */
  readonly weightBytes: number | null;
  /**
   * SQNR of what the layer gives (after the rectifier that alone reads it) in the network as it is quantized, and with its
   * weights rounded to nearest: of all layers up to this one. null where it was not measured.
   */
  readonly sqnrDb: number | null;
  readonly nearestSqnrDb: number | null;
  /** The integer kernel that ONNX Runtime takes on the CPU; null for none. */
  readonly kernel: string | null;
}

export interface FilePart {
  readonly part: string;
  readonly bytes: number;
}

/** What a runtime makes of a file. */
export interface FileKernels {
  readonly path: string;
  readonly targets: readonly string[];
  readonly form: FormName;
  /** Operator -> nodes, as ONNX Runtime optimizes the file for the CPU; as written where that says nothing of the target. */
  readonly operators: Readonly<Record<string, number>>;
  readonly nodesWritten: number;
  /** null where the target optimizes by itself, in a browser. */
  readonly nodesOptimized: number | null;
}

/** Of the output on held-out samples. */
export interface NearestCost {
  readonly sqnrDb: number;
  readonly agreement: number | null;
}

export interface ExportReport {
  /** The page. */
  readonly path: string;
  /** Of the same network in float32. */
  readonly floatBytes: number;
  /** Bytes of the first file, by what they are for; they add up to its size. */
  readonly parts: readonly FilePart[];
  readonly layers: readonly LayerReport[];
  readonly histograms: readonly GridHistogram[];
  /** Samples that layers and activations were measured on; 0 without data. */
  readonly samples: number;
  /** What rounding every weight to its nearest would have cost; null where that is what was done, or unknown. */
  readonly nearest: NearestCost | null;
  readonly files: readonly FileKernels[];
  /** null where the bits were not searched for. */
  readonly frontier: BitsFrontier | null;
}

export interface ReportSubject {
  readonly path: string;
  readonly floatBytes: number;
  readonly quantized: QuantizedGraph;
  /** The same with weights rounded to nearest; null where that is `quantized`. */
  readonly nearest: Graph | null;
  /** Samples that calibration has not seen; null without any. */
  readonly samples: Samples | null;
  readonly files: readonly (PlannedFile & { readonly bytes: Uint8Array; readonly form: FormName })[];
  readonly frontier: BitsFrontier | null;
}

export async function exportReport(
  subject: ReportSubject,
  progress: Progress = noProgress,
): Promise<ExportReport> {
  const { path, floatBytes, quantized, nearest, samples, files, frontier } = subject;
  const { graph, float, placements } = quantized;
  const points = errorPoints(graph);
  const errors =
    samples &&
    (await measureLayers(
      float,
      [...(nearest ? [nearest] : []), graph],
      [...new Set(points.values())],
      placements,
      samples,
      progress,
    ));
  const inspections: Inspection[] = [];
  for (const { bytes, path: file, targets } of files) {
    inspections.push(await inspectBytes(bytes, file, { runtime: !isForWebgpu(targets) }));
  }
  const [first] = inspections as [Inspection, ...Inspection[]];
  return {
    path,
    floatBytes,
    parts: partsOf(first),
    layers: layersOf(graph, points, errors, nearest !== null, first),
    histograms: [...weightHistograms(placements), ...(errors?.activations ?? [])],
    samples: errors?.samples ?? 0,
    nearest: nearest && nearestCost(errors),
    files: inspections.map((inspection, i) => kernelsOf(inspection, files[i] as (typeof files)[number])),
    frontier,
  };
}

function nearestCost(errors: LayerErrors | null): NearestCost | null {
  const [found] = errors?.networks ?? [];
  return found ? { sqnrDb: found.sqnrDb, agreement: found.agreement } : null;
}

/** Layer -> the value whose error it is judged by: of weighted layers, and of others that give a quantized value; each value once. */
function errorPoints(graph: Graph): Map<string, string> {
  const uses = consumers(graph);
  const points = new Map<string, string>();
  const judged = new Set<Value>();
  for (const node of graph.nodes) {
    const weighted = kindOf(node) === "weighted" || kindOf(node) === "lookup";
    const value = outputOf(node);
    if (value.dtype !== "float32" || !(weighted || value.quantization) || judged.has(value)) continue;
    const given = outputOf((weighted && onlyRectifier(graph, uses, value)) || node);
    judged.add(given);
    points.set(node.origin, given.name);
  }
  return points;
}

function layersOf(
  graph: Graph,
  points: ReadonlyMap<string, string>,
  errors: LayerErrors | null,
  comparesNearest: boolean,
  inspection: Inspection,
): LayerReport[] {
  const byOrigin = new Map<string, Node[]>();
  for (const node of graph.nodes) byOrigin.set(node.origin, [...(byOrigin.get(node.origin) ?? []), node]);
  const bits = new Map(Object.entries(bitsByLayer(graph)));
  const inspected = new Map(inspection.layers.map((layer) => [layer.layer, layer]));
  const networks = errors?.networks ?? [];
  const measured = networks.at(-1);
  const nearest = comparesNearest ? networks[0] : undefined;
  return [...byOrigin].map(([layer, nodes]) => {
    const [weightBits, activationBits] = bits.get(layer) ?? [0, outputBits(nodes, graph)];
    const point = points.get(layer) ?? "";
    return {
      layer,
      operators: nodes.map(({ op }) => op),
      weightBits: weightBits || null,
      activationBits: activationBits || null,
      weightBytes: inspected.get(layer)?.weightBytes ?? null,
      sqnrDb: decibels(measured?.values.get(point)),
      nearestSqnrDb: decibels(nearest?.values.get(point)),
      kernel: inspected.get(layer)?.kernel ?? null,
    };
  });
}

/** Of the last quantized value of a layer: what comes after it only moves the integers, as it does for an input. */
function outputBits(nodes: readonly Node[], { inputs }: Graph): number {
  const input = inputs.find(({ name }) => name === nodes[0]?.origin);
  const values = [...(input ? [input] : []), ...nodes.map(outputOf)];
  return values.findLast(({ quantization }) => quantization)?.quantization?.spec.bits ?? 0;
}

/** JSON has no infinity: what is equal has no error to show. */
function decibels(value: number | undefined): number | null {
  return value === undefined || !Number.isFinite(value) ? null : Number(value.toPrecision(4));
}

function partsOf({ layers, sizeBytes, initializerBytes }: Inspection): FilePart[] {
  const weights = layers.map(({ layer, weightBytes }) => ({ part: layer, bytes: weightBytes }));
  const total = weights.reduce((sum, { bytes }) => sum + bytes, 0);
  return [
    ...weights,
    { part: "scales, biases, other constants", bytes: initializerBytes - total },
    { part: "graph and metadata", bytes: sizeBytes - initializerBytes },
  ];
}

function weightHistograms(placements: readonly Placement[]): GridHistogram[] {
  return placements.flatMap(({ role, layer, values }): GridHistogram[] => {
    const [value] = values;
    if (role !== "weight" || !value?.constant || !value.quantization) return [];
    const { spec, params } = value.quantization;
    const { data, shape } = expectDType(value.constant, "float32", layer);
    const integers = weightIntegers(value, layer);
    const counts = new GridCounts(spec);
    forEachChannel(shape, spec.axis, params, data.length, (start, end, k) => {
      const step = params.scale[k] as number;
      for (let i = start; i < end; i++) counts.add((data[i] as number) / step, integers[i]);
    });
    const shares = counts.shares();
    const scales = [...params.scale];
    const scale = [Math.min(...scales), Math.max(...scales)] as const;
    return shares ? [{ layer, what: "weights", bits: spec.bits, scale, ...shares }] : [];
  });
}

function kernelsOf(
  { operators, optimizedOperators }: Inspection,
  { path, targets, form }: PlannedFile & { readonly form: FormName },
): FileKernels {
  return {
    path,
    targets,
    form,
    operators: optimizedOperators ?? operators,
    nodesWritten: nodeCount(operators),
    nodesOptimized: optimizedOperators && nodeCount(optimizedOperators),
  };
}

function nodeCount(operators: Readonly<Record<string, number>>): number {
  return Object.values(operators).reduce((sum, count) => sum + count, 0);
}
