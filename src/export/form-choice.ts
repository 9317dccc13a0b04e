// Which form of the file a target gets: timed on whole models, or a default that the bench table justifies.

import { noProgress, type Progress } from "../base/progress.js";
import { allocate, boundedSize, type Tensor } from "../base/tensor.js";
import type { Graph } from "../graph/graph.js";
import { isDepthwise } from "../graph/node-kinds.js";
import { HOST_FORMS, type HostForm } from "../lower/form.js";
import type { Session } from "../runtime/runtime.js";
import { runtimeOf } from "../runtime/registry.js";
import { integerFile } from "./integer-file.js";
import type { CompleteExportOptions, HostTarget } from "./options.js";
import { sampleShape } from "./random-feeds.js";

/** WebAssembly needs about this many runs before its times settle. */
const WARM_UP_RUNS = 30;
const TIMED_RUNS = 15;

/** The form asked for, the fastest with `tune`, otherwise the default of the targets and the network. */
export async function chooseForm(
  graph: Graph,
  targets: readonly HostTarget[],
  options: CompleteExportOptions,
  progress: Progress = noProgress,
): Promise<HostForm> {
  if (options.form) return options.form;
  if (options.tune) return fastestForm(graph, targets, options, progress);
  return defaultForm(graph, targets);
}

/**
 * Integer kernels, but integer-valued float for a network with depthwise convolutions that is for
 * WebAssembly alone: the integer depthwise kernel there costs more than all others save.
 */
export function defaultForm(graph: Graph, targets: readonly HostTarget[]): HostForm {
  const wasmOnly = targets.every((target) => target === "wasm");
  return wasmOnly && graph.nodes.some(isDepthwise) ? "float" : "integer";
}

/** The form with the least product of median latencies over the targets. */
async function fastestForm(
  graph: Graph,
  targets: readonly HostTarget[],
  options: CompleteExportOptions,
  progress: Progress,
): Promise<HostForm> {
  const scores = new Map<HostForm, number>();
  let done = 0;
  for (const form of HOST_FORMS) {
    const { bytes } = integerFile(graph, options.opset, { form, weights: options.weights }, () => ({}));
    let score = 0;
    for (const target of targets) {
      const session = await (await runtimeOf(target)).open({ bytes });
      try {
        score += Math.log(await medianLatencyMs(session, graph, options));
      } finally {
        await session.dispose();
      }
      progress.report("timing", ++done, HOST_FORMS.length * targets.length);
    }
    scores.set(form, score);
  }
  return [...scores].sort((a, b) => a[1] - b[1])[0]?.[0] ?? "integer";
}

async function medianLatencyMs(
  session: Session,
  graph: Graph,
  options: CompleteExportOptions,
): Promise<number> {
  const feeds = zeroFeeds(graph, options);
  for (let i = 0; i < WARM_UP_RUNS; i++) await session.run(feeds);
  const times: number[] = [];
  for (let i = 0; i < TIMED_RUNS; i++) {
    const start = performance.now();
    await session.run(feeds);
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)] as number;
}

function zeroFeeds(graph: Graph, options: CompleteExportOptions): Record<string, Tensor> {
  return Object.fromEntries(
    graph.inputs.map((input) => {
      const shape = sampleShape(input, options);
      const { dtype } = input;
      return [
        input.name,
        { dtype, shape, data: allocate(dtype, boundedSize(shape, "usage", input.name, "shape")) },
      ];
    }),
  );
}
