// A file against the float network on samples: the error of its outputs, and how often the two agree. Quicker than what a
// result reports of its cost, since it looks at no value within.

import { expectDType, type Tensor } from "../../base/tensor.js";
import type { Graph } from "../../graph/graph.js";
import { DEFAULT_OPSET } from "../../onnx/opset.js";
import { cpuRuntime } from "../../runtime/cpu.js";
import type { Session } from "../../runtime/runtime.js";
import type { Feeds } from "../arrays.js";
import { largest } from "../cost.js";
import { floatFile } from "../float-file.js";
import { THREADS } from "../reconstruction/walk.js";
import type { Samples } from "../samples.js";
import { type Judged, RelativeError } from "./sensitivities.js";

export interface Judgement {
  /** Of all outputs, see {@link RelativeError}. */
  readonly error: number;
  /** Share of samples with the same largest value of the first output. */
  readonly agreement: number;
}

export async function judgeFile(float: Graph, file: Uint8Array, samples: Samples): Promise<Judgement> {
  const reference = await cpuRuntime.open({ bytes: floatFile(float, DEFAULT_OPSET) }, { threads: THREADS });
  const candidate = await cpuRuntime.open({ bytes: file }, { threads: THREADS });
  const error = new RelativeError();
  let [agreeing, count] = [0, 0];
  try {
    for await (const feeds of samples.read()) {
      const [expected, got] = [await outputsOf(reference, feeds), await outputsOf(candidate, feeds)];
      error.add(expected, got);
      const [first, other] = [expected["0"], got["0"]];
      if (first && other && largest(first) === largest(other)) agreeing++;
      count++;
    }
  } finally {
    await reference.dispose();
    await candidate.dispose();
  }
  return { error: error.value, agreement: count === 0 ? 0 : agreeing / count };
}

/** By place: outputs of a file may have names of their own. */
async function outputsOf(session: Session, feeds: Feeds): Promise<Judged> {
  const results = await session.run(feeds);
  return Object.fromEntries(
    session.outputs.map(({ name }, i) => [
      String(i),
      expectDType(results[name] as Tensor, "float32", name).data,
    ]),
  );
}
