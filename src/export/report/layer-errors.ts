// Runs a float network beside quantized ones: how far each layer's values are from the float network's, and how those lie
// on the grids of the activations' quantizers. One sample at a time; no value outlives it.

import { noProgress, type Progress } from "../../base/progress.js";
import { expectDType } from "../../base/tensor.js";
import type { Graph, Value } from "../../graph/graph.js";
import type { Placement } from "../../graph/place-quantizers.js";
import { DEFAULT_OPSET } from "../../onnx/opset.js";
import { Sqnr } from "../../quant/sqnr.js";
import { cpuRuntime } from "../../runtime/cpu.js";
import type { Session } from "../../runtime/runtime.js";
import { largest } from "../cost.js";
import { floatFile } from "../float-file.js";
import { withFakeQuantizers } from "../reconstruction/fake-quantizers.js";
import type { Samples } from "../samples.js";
import { GridCounts, type GridHistogram } from "./grid-histogram.js";

export interface NetworkErrors {
  /** SQNR of each value in dB, by its name; of what all layers before it have done together. */
  readonly values: ReadonlyMap<string, number>;
  /** Of the first output. */
  readonly sqnrDb: number;
  /** Share of samples with the same largest output; null unless the output is [N, classes]. */
  readonly agreement: number | null;
}

export interface LayerErrors {
  readonly samples: number;
  /** In the order of the networks. */
  readonly networks: readonly NetworkErrors[];
  /** Of the float network's values, in the order of the placements. */
  readonly activations: readonly GridHistogram[];
}

/**
 * @param float the network that is the measure
 * @param networks the same with annotations, values named as in `float`
 * @param points names of the values to compare: outputs of nodes
 * @param placements of the last network
 */
export async function measureLayers(
  float: Graph,
  networks: readonly Graph[],
  points: readonly string[],
  placements: readonly Placement[],
  samples: Samples,
  progress: Progress = noProgress,
): Promise<LayerErrors> {
  const output = outputName(float);
  const grids = activationGrids(placements);
  const watched = grids.flatMap(({ values }) => values.map(({ name }) => name));
  const sessions: Session[] = [];
  const measures = networks.map(() => ({ values: new Map<string, Sqnr>(), output: new Sqnr(), agreeing: 0 }));
  let done = 0;
  try {
    sessions.push(await openFloat(float, [...new Set([...points, ...watched])]));
    for (const network of networks) sessions.push(await openFloat(withFakeQuantizers(network), points));
    for await (const feeds of samples.read()) {
      const [floatSession, ...others] = sessions as [Session, ...Session[]];
      const expected: Results = { ...feeds, ...(await floatSession.run(feeds)) };
      for (const { values, counts } of grids) for (const value of values) count(counts, value, expected);
      for (const [index, session] of others.entries()) {
        const got: Results = { ...feeds, ...(await session.run(feeds)) };
        const measure = measures[index] as (typeof measures)[number];
        for (const name of points) {
          const sqnr = measure.values.get(name) ?? new Sqnr();
          measure.values.set(name, sqnr);
          sqnr.add(floats(expected, name), floats(got, name));
        }
        const [reference, candidate] = [floats(expected, output), floats(got, output)];
        measure.output.add(reference, candidate);
        if (largest(reference) === largest(candidate)) measure.agreeing++;
      }
      progress.report("comparing layers", ++done, samples.count);
    }
  } finally {
    for (const session of sessions) await session.dispose();
  }
  const classifies = float.outputs[0]?.shape.length === 2;
  return {
    samples: done,
    networks: measures.map(({ values, output: total, agreeing }) => ({
      values: new Map([...values].map(([name, sqnr]) => [name, sqnr.decibels])),
      sqnrDb: total.decibels,
      agreement: classifies && done > 0 ? agreeing / done : null,
    })),
    activations: grids.flatMap(({ layer, bits, scale, counts }): GridHistogram[] => {
      const shares = counts.shares();
      return shares ? [{ layer, what: "activations", bits, scale: [scale, scale], ...shares }] : [];
    }),
  };
}

type Results = Readonly<Record<string, unknown>>;

function floats(results: Results, name: string): Float32Array {
  return expectDType(results[name] as never, "float32", name).data;
}

function outputName(graph: Graph): string {
  return graph.outputs[0]?.name ?? "";
}

async function openFloat(graph: Graph, names: readonly string[]): Promise<Session> {
  return cpuRuntime.open({ bytes: floatFile(graph, DEFAULT_OPSET, {}, names) });
}

interface ActivationGrid {
  readonly layer: string;
  readonly values: readonly Value[];
  readonly bits: number;
  readonly scale: number;
  readonly counts: GridCounts;
}

function activationGrids(placements: readonly Placement[]): ActivationGrid[] {
  return placements.flatMap(({ role, layer, values }): ActivationGrid[] => {
    const quantization = values[0]?.quantization;
    if (role !== "activation" || !quantization) return [];
    const { spec, params } = quantization;
    return [
      { layer, values, bits: spec.bits, scale: params.scale[0] as number, counts: new GridCounts(spec) },
    ];
  });
}

function count(counts: GridCounts, { name, quantization }: Value, results: Results): void {
  const scale = quantization?.params.scale[0] ?? 1;
  const zeroPoint = quantization?.params.zeroPoint[0] ?? 0;
  for (const x of floats(results, name)) counts.add(x / scale + zeroPoint);
}
