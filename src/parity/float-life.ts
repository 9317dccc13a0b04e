// What the float model does on the inputs of a comparison, looked at for its own sake: which classes it predicts, and how
// many values its inner tensors take. Runs only where a file looks dead, since the data is read once more for it.

import { noProgress, type Progress } from "../base/progress.js";
import type { Layout } from "../image/to-tensor.js";
import type { FloatEngine } from "../runtime/float.js";
import type { OpenedNetwork } from "./float-network.js";
import { FloatRun } from "./float-run.js";
import type { InputSource } from "./inputs.js";
import type { FloatLife } from "./verdict.js";

export interface FloatLifeOptions {
  readonly model: { readonly name: string; readonly runtime: FloatEngine | "reference" };
  readonly network: OpenedNetwork;
  /** Of the file. */
  readonly outputs: readonly string[];
  /** Of the inputs. */
  readonly layout: Layout | null;
  readonly inputs: InputSource;
  readonly progress?: Progress;
}

/** Disposes of the network's session. @throws QdgError as FloatRun and the runtime */
export async function floatLife(options: FloatLifeOptions): Promise<FloatLife> {
  const { model, network, outputs, layout, inputs, progress = noProgress } = options;
  const { session, inner } = network;
  try {
    const run = new FloatRun(model, session, outputs, layout, { inner });
    let done = 0;
    for await (const input of inputs.read()) {
      await run.observe(input);
      progress.report("looking into the float model", ++done, inputs.count);
    }
    return { classes: run.classes(), values: run.values() };
  } finally {
    await session.dispose();
  }
}
