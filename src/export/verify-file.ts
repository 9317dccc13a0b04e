// Whether ONNX Runtime computes the integers that a file says, before it is written: every quantized tensor of a few
// samples on `cpu` against the reference interpreter, both raised from the bytes. Decides what is an error and what a
// tie; writes nothing, and warns of nothing itself.

import { QdgError } from "../base/error.js";
import { noProgress, type Progress } from "../base/progress.js";
import type { Tensor } from "../base/tensor.js";
import type { Graph, Value } from "../graph/graph.js";
import type { Preprocessing } from "../image/preprocessing.js";
import { decodeModel, encodeModel } from "../onnx/codec.js";
import type { ModelProto } from "../onnx/model-proto.js";
import { modelToGraph } from "../onnx/to-graph.js";
import { withOutputs } from "../onnx/with-outputs.js";
import { type StepDifference, stepDifference } from "../quant/step-difference.js";
import { cpuRuntime } from "../runtime/cpu.js";
import { type Plan, planOf, runPlan } from "../runtime/reference/plan.js";
import { requireAvailable } from "../runtime/registry.js";
import type { Session } from "../runtime/runtime.js";
import type { Feeds } from "./arrays.js";
import { layerExactness } from "./exactness/layers.js";
import type { CompleteExportOptions } from "./options.js";
import { type QuantizedTensor, quantizedTensors } from "./quantized-tensors.js";
import { randomFeeds } from "./random-feeds.js";
import type { Samples, SampleSplit } from "./samples.js";

/** Samples that a file is verified on, where the reference is not slow. */
const SAMPLES = 2;
/** After a sample that took more of the processor's time than this, there is no other: the plain interpreter is slow. */
const LONG_SAMPLE_MS = 3000;

export interface Verified {
  /** Of each file. */
  readonly samples: number;
  /** Held-out samples, those of calibration where none were held out, random ones where there are no data. */
  readonly source: "held-out" | "calibration" | "random";
  /** Quantized tensors of all files, and their integers over all samples. */
  readonly tensors: number;
  readonly integers: number;
  /** Integers one step from the reference's, behind layers in float: their values lie next to a tie. */
  readonly ties: number;
  /** Layers with ties. */
  readonly tieLayers: readonly string[];
}

/** Why nothing was compared. */
export interface NotVerified {
  readonly skipped: string;
}

export type FileVerification = Verified | NotVerified;

/** What is fed, and where it comes from. */
export interface VerificationInputs {
  readonly source: Verified["source"];
  readonly samples: Samples;
}

/** Held-out samples, else those of calibration, else {@link randomFeeds} of seeds 1 and 2. */
export function verificationInputs(
  split: SampleSplit | null,
  graph: Graph,
  preprocessing: Preprocessing | null,
  options: Pick<CompleteExportOptions, "inputSize" | "layout">,
): VerificationInputs {
  if (split && split.heldOut.count > 0) return { source: "held-out", samples: split.heldOut };
  if (split) return { source: "calibration", samples: split.calibration };
  return {
    source: "random",
    samples: {
      count: SAMPLES,
      async *read() {
        for (let seed = 1; seed <= SAMPLES; seed++) yield randomFeeds(graph, preprocessing, options, seed);
      },
    },
  };
}

/**
 * Each tensor is judged by itself: the reference computes it from the integers that `cpu` had before it. So a tie in one
 * layer is no difference in those after it.
 *
 * @throws QdgError `runtime` for a difference of more than one step, or of any size where the file's own numbers prove
 * that there can be none; `unavailable` without onnxruntime-node
 */
export async function verifyFile(
  path: string,
  bytes: Uint8Array,
  { source, samples }: VerificationInputs,
  progress: Progress = noProgress,
): Promise<FileVerification> {
  const model = decodeModel(bytes, path);
  const tensors = quantizedTensors(model);
  if (tensors.length === 0) return { skipped: "the file has no quantized tensors" };
  await requireCpu();
  const differences = new Differences(tensors);
  let done = 0;
  try {
    const graph = modelToGraph(model);
    const plan = planOf(graph);
    const session = await cpuRuntime.open({ bytes: encodeModel(withOutputs(model, tensors)) });
    try {
      const count = Math.min(SAMPLES, samples.count);
      for await (const feeds of samples.read()) {
        const { user } = process.cpuUsage();
        await compareOnce(graph, plan, session, feeds, differences);
        progress.report("verifying", ++done, count);
        if (done === SAMPLES || process.cpuUsage().user - user > 1000 * LONG_SAMPLE_MS) break;
      }
    } finally {
      await session.dispose();
    }
  } catch (thrown) {
    const reason = reasonToSkip(thrown, source);
    if (reason === null) throw thrown;
    return { skipped: reason };
  }
  const ties = judge(path, model, differences);
  return {
    samples: done,
    source,
    tensors: tensors.length,
    integers: differences.integers,
    ties: ties.reduce((sum, { count }) => sum + count, 0),
    tieLayers: [...new Set(ties.map(({ layer }) => layer))],
  };
}

async function requireCpu(): Promise<void> {
  try {
    await requireAvailable(cpuRuntime);
  } catch (thrown) {
    if (!(thrown instanceof QdgError)) throw thrown;
    throw new QdgError("unavailable", "--verify", `${thrown.message}; or give --no-verify`, {
      cause: thrown,
    });
  }
}

/** What the reference does not compute cannot be compared; and made-up inputs may be none that a network runs on. */
function reasonToSkip(thrown: unknown, source: Verified["source"]): string | null {
  if (!(thrown instanceof QdgError)) return null;
  if (thrown.code === "unsupported-op") return thrown.message;
  const ran = thrown.code === "runtime" || thrown.code === "invalid-graph";
  return ran && source === "random" ? `the network does not run on random inputs: ${thrown.message}` : null;
}

class Differences {
  readonly tensors: ReadonlyMap<string, QuantizedTensor>;
  readonly found = new Map<string, StepDifference>();
  integers = 0;

  constructor(tensors: readonly QuantizedTensor[]) {
    this.tensors = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  }

  add(name: string, expected: Tensor, got: Tensor): void {
    // Quantized tensors hold bytes, or float32 in the forms of floats.
    const difference = stepDifference(expected.data as ArrayLike<number>, got.data as ArrayLike<number>);
    this.integers += expected.data.length;
    if (difference.count === 0) return;
    const { count, largestSteps } = this.found.get(name) ?? { count: 0, largestSteps: 0 };
    this.found.set(name, {
      count: count + difference.count,
      largestSteps: Math.max(largestSteps, difference.largestSteps),
    });
  }
}

async function compareOnce(
  graph: Graph,
  plan: Plan,
  session: Session,
  feeds: Feeds,
  differences: Differences,
): Promise<void> {
  const results = await session.run(feeds);
  const inputs = new Map<Value, Tensor>(graph.inputs.map((input) => [input, feeds[input.name] as Tensor]));
  await runPlan(plan, inputs, ({ name }, expected) => {
    if (!differences.tensors.has(name)) return expected;
    const got = results[name];
    if (got?.dtype !== expected.dtype || got.shape.join() !== expected.shape.join()) {
      throw new QdgError("internal", name, `got ${typeText(got)} on cpu, expected ${typeText(expected)}`);
    }
    differences.add(name, expected, got);
    return got;
  });
}

function typeText(tensor: Tensor | undefined): string {
  return tensor ? `${tensor.dtype} [${tensor.shape.join(", ")}]` : "nothing";
}

interface Tie {
  readonly layer: string;
  readonly count: number;
}

/** Single steps behind what is computed in real numbers; whatever else differs is thrown. */
function judge(path: string, model: ModelProto, { tensors, found }: Differences): Tie[] {
  if (found.size === 0) return [];
  const rows = layerExactness(model).filter(({ exactness }) => exactness === "measured");
  const measured = new Set(rows.map(({ tensor }) => tensor));
  return [...found].map(([name, { count, largestSteps }]) => {
    const layer = tensors.get(name)?.layer ?? name;
    if (largestSteps <= 1 && measured.has(name)) return { layer, count };
    const steps = `${largestSteps} step${largestSteps === 1 ? "" : "s"}`;
    const why = measured.has(name)
      ? "more than the one of a tie"
      : "though the file's own numbers prove that there can be none";
    throw new QdgError(
      "runtime",
      `${path}, layer ${layer}`,
      `${count} integers of tensor ${name} differ from the reference's on cpu, by up to ${steps}, ${why}; nothing is written. Try --form float; --no-verify writes the file as it is`,
    );
  });
}

/** Of several files as one; the first that was not verified tells why. */
export function together(verifications: readonly FileVerification[]): FileVerification {
  const verified: Verified[] = [];
  for (const each of verifications) {
    if ("skipped" in each) return each;
    verified.push(each);
  }
  const [first] = verified as [Verified];
  const sum = (of: (each: Verified) => number): number =>
    verified.reduce((total, each) => total + of(each), 0);
  return {
    samples: Math.min(...verified.map(({ samples }) => samples)),
    source: first.source,
    tensors: sum(({ tensors }) => tensors),
    integers: sum(({ integers }) => integers),
    ties: sum(({ ties }) => ties),
    tieLayers: [...new Set(verified.flatMap(({ tieLayers }) => tieLayers))],
  };
}
