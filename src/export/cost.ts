// What quantization cost: the exported file against the float network, on samples that calibration did not
// see. Says which quantizers lose most, so that a warning can name the layers at fault.

import { noProgress, type Progress } from "../base/progress.js";
import { expectDType } from "../base/tensor.js";
import type { Graph } from "../graph/graph.js";
import type { Placement } from "../graph/place-quantizers.js";
import { roundedWeights } from "../lower/quantized-weights.js";
import { DEFAULT_OPSET } from "../onnx/opset.js";
import { fakeQuantize } from "../quant/affine.js";
import { Sqnr } from "../quant/sqnr.js";
import { cpuRuntime } from "../runtime/cpu.js";
import { activationsAfter } from "./around-activations.js";
import { floatFile } from "./float-file.js";
import type { Samples } from "./samples.js";

/** Below this the output is more noise than a classifier can stand. */
export const LOW_SQNR_DB = 10;

export interface QuantizerLoss {
  readonly layer: string;
  readonly what: "weights" | "activations";
  readonly bits: number;
  /**
   * Signal to noise of this quantizer alone, on the float network's own values; where only activation functions read
   * them, of what those give: a saturating tanh does not see what clipping took.
   */
  readonly sqnrDb: number;
}

export interface Cost {
  readonly samples: number;
  /** Whether they are drawn images: what they cost says little of what real ones do. */
  readonly drawn: boolean;
  /** Of the first output against the float network's. */
  readonly sqnrDb: number;
  /** Share of samples with the same largest output; null unless the output is [N, classes]. */
  readonly agreement: number | null;
  /** Different classes that the file predicts over the samples. */
  readonly classesPredicted: number | null;
  readonly classesPredictedByFloat: number | null;
  /** The quantizers that lose most, worst first. */
  readonly worst: readonly QuantizerLoss[];
}

/**
 * @param graph the float network, its values named as those of `placements`
 */
export async function measureCost(
  graph: Graph,
  placements: readonly Placement[],
  file: Uint8Array,
  samples: Samples,
  progress: Progress = noProgress,
): Promise<Cost> {
  const watched = placements.filter(
    (placement) => placement.role === "activation" && placement.values[0]?.quantization,
  );
  const names = watched.flatMap((placement) => placement.values.map((value) => value.name));
  const after = activationsAfter(graph);
  const output = graph.outputs[0];
  const floatSession = await cpuRuntime.open({ bytes: floatFile(graph, DEFAULT_OPSET, {}, names) });
  const session = await cpuRuntime.open({ bytes: file });
  const total = new Sqnr();
  const local = new Map(watched.map((placement) => [placement, new Sqnr()]));
  const classes = new Set<number>();
  const floatClasses = new Set<number>();
  let agreeing = 0;
  let done = 0;
  const classifies = output?.shape.length === 2;
  try {
    for await (const feeds of samples.read()) {
      const expected: Record<string, (typeof feeds)[string]> = {
        ...feeds,
        ...(await floatSession.run(feeds)),
      };
      const got = await session.run(feeds);
      const floatValues = expectDType(expected[output?.name ?? ""] as never, "float32", "output").data;
      const values = expectDType(got[session.outputs[0]?.name ?? ""] as never, "float32", "output").data;
      total.add(floatValues, values);
      const [floatClass, fileClass] = [largest(floatValues), largest(values)];
      floatClasses.add(floatClass);
      classes.add(fileClass);
      if (floatClass === fileClass) agreeing++;
      for (const [placement, sqnr] of local) {
        for (const value of placement.values) {
          const x = expectDType(expected[value.name] as never, "float32", value.name);
          if (!value.quantization) continue;
          const rounded = fakeQuantize(x.data, x.shape, value.quantization);
          const tables = after.get(value.name);
          if (!tables) sqnr.add(x.data, rounded);
          for (const f of tables ?? []) sqnr.add(x.data.map(f), rounded.map(f));
        }
      }
      progress.report("measuring", ++done, samples.count);
    }
  } finally {
    await floatSession.dispose();
    await session.dispose();
  }
  const losses = [...weightLosses(placements), ...activationLosses(local)];
  return {
    samples: done,
    drawn: samples.drawn ?? false,
    sqnrDb: total.decibels,
    agreement: classifies && done > 0 ? agreeing / done : null,
    classesPredicted: classifies ? classes.size : null,
    classesPredictedByFloat: classifies ? floatClasses.size : null,
    worst: losses.sort((a, b) => a.sqnrDb - b.sqnrDb).slice(0, 5),
  };
}

function weightLosses(placements: readonly Placement[]): QuantizerLoss[] {
  return placements.flatMap(({ role, values, layer }) => {
    const [value] = values;
    if (role !== "weight" || !value?.constant || !value.quantization) return [];
    const { data } = expectDType(value.constant, "float32", layer);
    const sqnr = new Sqnr();
    sqnr.add(data, roundedWeights(value, layer).data);
    return [{ layer, what: "weights", bits: value.quantization.spec.bits, sqnrDb: sqnr.decibels }];
  });
}

function activationLosses(local: ReadonlyMap<Placement, Sqnr>): QuantizerLoss[] {
  return [...local].flatMap(([{ layer, values }, sqnr]) => {
    const bits = values[0]?.quantization?.spec.bits ?? 8;
    return Number.isNaN(sqnr.decibels) ? [] : [{ layer, what: "activations", bits, sqnrDb: sqnr.decibels }];
  });
}

/** Index of the largest element, the first of equal ones. */
export function largest(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if ((values[i] as number) > (values[best] as number)) best = i;
  return best;
}

/**
 * Why the result should not be used as it is, and what to do; null when it is good enough.
 *
 * @param advice a sentence; what to do without knowing more when absent
 */
export function costWarning(
  cost: Cost,
  advice = "Give those layers more bits (--layer-bits), or train the model at these bits.",
): string | null {
  const { sqnrDb, classesPredicted, classesPredictedByFloat } = cost;
  const collapsed = classesPredicted !== null && classesPredicted < 2 && (classesPredictedByFloat ?? 0) >= 2;
  if (sqnrDb >= LOW_SQNR_DB && !collapsed) return null;
  const reason = collapsed
    ? `the file predicts one class for all ${cost.samples} held-out samples`
    : `output SQNR is ${sqnrDb.toFixed(1)} dB, below ${LOW_SQNR_DB} dB`;
  const layers = cost.worst
    .slice(0, 3)
    .map(({ layer, what, bits, sqnrDb: local }) => `${layer} (${what}, ${bits} bits, ${local.toFixed(1)} dB)`)
    .join(", ");
  return `${reason}. Most is lost in ${layers}. ${advice}`;
}
