// The page of a network that classifies no images: runs it on numbers that follow from a seed, and shows what comes out.
// Computes nothing itself; that is qdg/web's.

import type { Manifest, Model, SeededNumbers, Tensor } from "../src/web.js";
import { seededTensor } from "../src/web/self-test-case.js";
import { keepOffline } from "./offline.js";
import { openModel } from "./open-model.js";
import { roleOf } from "./runtime-names.js";
import { short, showTensors } from "./tensor-view.js";
import {
  count,
  element,
  facts,
  showFact,
  showLoaded,
  showProblem,
  showRows,
  showRuntime,
  textOf,
} from "./view.js";

const page = {
  inputs: element("inputs", HTMLTableSectionElement),
  outputs: element("outputs", HTMLElement),
  run: element("run", HTMLButtonElement),
} as const;

type Inputs = Readonly<Record<string, SeededNumbers>>;

void start();

async function start(): Promise<void> {
  try {
    const { model, manifest } = await openModel();
    showRuntime(model, manifest, count(model.outputs.length, "output"), "input");
    const inputs = inputsOf(manifest);
    showRows(
      page.inputs,
      Object.entries(inputs).map(([name, { dtype, shape, low, high }]) => [
        name,
        dtype,
        `[${shape.join(", ")}]`,
        `${short(low)} to ${short(high)}`,
      ]),
    );
    let seed = 0;
    await run(model, inputs, seed);
    page.run.disabled = false;
    page.run.addEventListener("click", () => {
      seed++;
      void run(model, inputs, seed);
    });
    showLoaded("Ready");
    await keepOffline(roleOf(model));
  } catch (thrown) {
    showLoaded("The model could not be loaded.");
    showProblem(textOf(thrown));
  }
}

/** Those of the self-test's first case. */
function inputsOf({ selfTest }: Manifest): Inputs {
  const [first] = selfTest.cases;
  if (first?.kind !== "numbers") throw new Error("the manifest has no numbers for the inputs");
  return first.inputs;
}

async function run(model: Model, inputs: Inputs, turn: number): Promise<void> {
  page.run.disabled = true;
  try {
    const feeds: Record<string, Tensor> = {};
    for (const [name, numbers] of Object.entries(inputs)) {
      feeds[name] = seededTensor({ ...numbers, seed: numbers.seed + turn });
    }
    const started = performance.now();
    const outputs = await model.run(feeds);
    showFact(facts.latency, `${(performance.now() - started).toFixed(1)} ms`);
    showTensors(page.outputs, outputs);
  } catch (thrown) {
    showProblem(textOf(thrown));
  } finally {
    page.run.disabled = false;
  }
}
