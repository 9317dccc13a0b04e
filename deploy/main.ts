// The page: loads the model beside it, and classifies what a visitor drops, pastes, chooses or draws. Says what
// it computes with and whether that was tested. Computes nothing itself; that is qdg/web's.

import { type Classification, load, type Manifest, type Model, parseManifest } from "../src/web.js";
import { keepOffline } from "./offline.js";
import { pictureInput } from "./picture-input.js";
import { sketchOn } from "./sketch.js";
import {
  megabytes,
  page,
  percent,
  showFact,
  showLoaded,
  showNoResult,
  showPaper,
  showPen,
  showProbabilities,
  showProblem,
  showProgress,
} from "./view.js";

type Source = File | HTMLCanvasElement;

/** load() fetches the same small file; where that went well, this does or never will. */
const MANIFEST_LIMIT_MS = 30_000;

/** Of this page's own version: `qdg deploy` puts the hash into the name. */
const MANIFEST_URL = new URL(
  document.querySelector<HTMLMetaElement>('meta[name="qdg-manifest"]')?.content ?? "./manifest.json",
  document.baseURI,
).href;

let model: Model | null = null;
/** The latest picture that nobody has classified yet: older ones are not worth the wait. */
let waiting: Source | null = null;
let busy = false;
/** Counts what was on the paper: a result for what has gone since is not shown. */
let paper = 0;

const sketch = sketchOn(
  page.picture,
  () => Number(page.pen.value),
  (empty) => {
    if (empty) forget();
    else take(page.picture, "a drawing");
  },
  showPen,
);
page.clear.addEventListener("click", () => {
  sketch.clear();
  forget();
});
pictureInput(page.drop, page.file, {
  picture(file, bitmap) {
    sketch.show(bitmap);
    bitmap.close();
    // The file itself: what the canvas shows of it has been scaled by the browser.
    take(file, `image ${file.name}`);
  },
  problem: showProblem,
});
void start();

async function start(): Promise<void> {
  try {
    const asked = new URLSearchParams(location.search).get("device");
    const device = asked === "wasm" || asked === "webgpu" ? asked : "auto";
    const sizes = readManifest();
    // Its error is that of load too, which is waited for first.
    sizes.catch(() => undefined);
    model = await load(MANIFEST_URL, {
      device,
      // The service worker keeps the files; a second copy would take the space twice.
      cache: false,
      onProgress: ({ loadedBytes, totalBytes }) => showProgress(loadedBytes, totalBytes),
    });
    showModel(model, await sizes);
    showLoaded("Ready: draw, or drop an image.");
    await classifyWaiting();
    await keepOffline(model.device, {
      state: (text, ready) => showFact(page.offline, text, ready ? "good" : "plain"),
      update(use) {
        page.update.hidden = false;
        page.update.addEventListener("click", use, { once: true });
      },
    });
  } catch (thrown) {
    showLoaded("The model could not be loaded.");
    showProblem(textOf(thrown));
  }
}

async function readManifest(): Promise<Manifest> {
  const response = await fetch(MANIFEST_URL, {
    cache: "no-cache",
    signal: AbortSignal.timeout(MANIFEST_LIMIT_MS),
  });
  if (!response.ok)
    throw new Error(`${MANIFEST_URL}: got status ${response.status}, expected the model's manifest`);
  return parseManifest(await response.text(), MANIFEST_URL);
}

function showModel({ device, adapter, threads, fallbacks, selfTest }: Model, manifest: Manifest): void {
  showFact(page.device, device === "webgpu" ? "WebGPU" : `WebAssembly, ${count(threads, "thread")}`);
  const refused = fallbacks.find((each) => each.device === "webgpu");
  const gpu = refused
    ? `not used: ${refused.reason}`
    : device === "webgpu"
      ? `in use: ${adapter ?? "GPU"}`
      : "not asked for";
  showFact(page.webgpu, gpu);
  if (refused && /self-test/.test(refused.reason)) {
    showProblem(
      "This device's GPU did not compute what the trained model computes. WebAssembly is used instead, and was tested too.",
    );
  }
  const { sizeBytes = 0 } = manifest.models.find((each) => each.device === device) ?? {};
  showFact(page.modelSize, `${megabytes(sizeBytes)}, ${count(manifest.labels.length, "class", "es")}`);
  const used = manifest.runtime.files.filter(
    ({ name }) => name.includes("asyncify") === (device === "webgpu"),
  );
  showFact(page.runtimeSize, megabytes(used.reduce((sum, file) => sum + file.sizeBytes, 0)));
  if (!selfTest) return;
  const integers = selfTest.integers > 0 ? `, ${selfTest.integers.toLocaleString("en")} integers equal` : "";
  showFact(page.selfTest, `passed: ${count(selfTest.cases, "picture")}${integers}`, "good");
}

/** Classifies what is on the paper now, or once the model is there. */
function take(source: Source, what: string): void {
  showPaper(what);
  paper++;
  waiting = source;
  if (model) void classifyWaiting();
  else page.answer.textContent = "Waits for the model";
}

function forget(): void {
  paper++;
  waiting = null;
  showPaper(null);
  showNoResult("\u2013");
}

async function classifyWaiting(): Promise<void> {
  if (busy || !model) return;
  busy = true;
  try {
    for (let source = next(); source; source = next()) {
      showProblem("");
      const asked = paper;
      const result = await model.classify(source);
      if (asked === paper) showResult(result, model);
    }
  } catch (thrown) {
    showNoResult("\u2013");
    showProblem(textOf(thrown));
  } finally {
    busy = false;
  }
}

function next(): Source | null {
  const source = waiting;
  waiting = null;
  return source;
}

function showResult({ label, index, probabilities, latencyMs }: Classification, { labels }: Model): void {
  showProbabilities(labels, probabilities);
  page.answer.textContent = `${label}, ${percent(probabilities[index] ?? 0)}`;
  showFact(page.latency, `${latencyMs.toFixed(1)} ms`);
}

function count(n: number, noun: string, plural = "s"): string {
  return `${n} ${noun}${n === 1 ? "" : plural}`;
}

function textOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
