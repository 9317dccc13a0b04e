// The page: loads the model beside it, and classifies what a visitor drops, pastes, chooses or draws. Says what
// it computes with and whether that was tested. Computes nothing itself; that is qdg/web's.

import { formatBytes } from "../src/base/format-bytes.js";
import type { Classification, Manifest, Model } from "../src/web.js";
import { type Camera, frameRate, hasCameras, startCamera } from "./camera.js";
import { page, showNoResult, showPaper, showPen, showProbabilities } from "./classifier-view.js";
import { comparableRuntimes, type Compared, compareOn } from "./comparison.js";
import { MANIFEST_URL } from "./manifest.js";
import { keepOffline } from "./offline.js";
import { openModel } from "./open-model.js";
import { pictureInput } from "./picture-input.js";
import { roleOf } from "./runtime-names.js";
import { sketchOn } from "./sketch.js";
import {
  count,
  facts,
  percent,
  showFact,
  showLoaded,
  showProblem,
  showRows,
  showRuntime,
  textOf,
} from "./view.js";

type Source = File | HTMLCanvasElement;

let model: Model | null = null;
/** The latest picture that nobody has classified yet: older ones are not worth the wait. */
let waiting: Source | null = null;
let busy = false;
/** Counts what was on the paper: a result for what has gone since is not shown. */
let paper = 0;
/** What is on the paper, to be compared. */
let shown: Source | null = null;
let camera: Camera | null = null;

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
  stopCamera();
  sketch.clear();
  forget();
});
page.camera.addEventListener("click", () => void (camera ? stopCamera() : watch()));
pictureInput(page.drop, page.file, {
  picture(file, bitmap) {
    stopCamera();
    sketch.show(bitmap, bitmap.width, bitmap.height);
    bitmap.close();
    // The file itself: what the canvas shows of it has been scaled by the browser.
    take(file, `image ${file.name}`);
  },
  problem: showProblem,
});
void start();

async function start(): Promise<void> {
  try {
    const opened = await openModel();
    const { manifest } = opened;
    model = opened.model;
    showRuntime(model, manifest, count(model.labels.length, "class", "es"), "picture");
    offerComparison(manifest);
    page.camera.hidden = !hasCameras();
    showLoaded("Ready: draw, or drop an image.");
    await classifyWaiting();
    await keepOffline(roleOf(model));
  } catch (thrown) {
    showLoaded("The model could not be loaded.");
    showProblem(textOf(thrown));
  }
}

function offerComparison(manifest: Manifest): void {
  const runtimes = comparableRuntimes(manifest);
  page.comparison.hidden = runtimes.length < 2;
  page.compare.addEventListener("click", () => void compareAll(manifest, runtimes));
}

async function compareAll(
  manifest: Manifest,
  runtimes: ReturnType<typeof comparableRuntimes>,
): Promise<void> {
  if (!shown) {
    page.compareState.textContent = "Draw something, or choose an image, first.";
    return;
  }
  const source = shown;
  stopCamera();
  page.compare.disabled = true;
  const rows: Compared[] = [];
  try {
    for (const each of runtimes) {
      page.compareState.textContent = `Loading and running: ${each.name}`;
      rows.push(await compareOn(MANIFEST_URL, manifest, each, source));
      showRows(
        page.compared,
        rows.map((row) => [
          row.name,
          `${row.milliseconds.toFixed(2)} ms`,
          formatBytes(row.modelBytes),
          formatBytes(row.runtimeBytes),
          row.label,
        ]),
      );
    }
    page.compareState.textContent =
      "One thread each, the middle of nine runs, on the picture scaled beforehand.";
  } catch (thrown) {
    page.compareState.textContent = textOf(thrown);
  } finally {
    page.compare.disabled = false;
  }
}

/** Shows what the camera sees, and what it is. */
async function watch(): Promise<void> {
  const rate = frameRate();
  try {
    camera = await startCamera(
      async (video) => {
        if (!model) return;
        sketch.show(video, video.videoWidth, video.videoHeight);
        const asked = ++paper;
        const result = await model.classify(video);
        if (asked !== paper || !camera) return;
        showResult(result, model);
        const perSecond = rate(performance.now());
        if (perSecond !== null) {
          showFact(
            facts.latency,
            `${result.latencyMs.toFixed(1)} ms, ${perSecond.toFixed(0)} pictures a second`,
          );
        }
      },
      (thrown) => {
        stopCamera();
        showProblem(`The camera: ${textOf(thrown)}`);
      },
    );
    shown = page.picture;
    showPaper("the camera's picture");
    page.camera.setAttribute("aria-pressed", "true");
  } catch (thrown) {
    showProblem(`The camera cannot be used: ${textOf(thrown)}`);
  }
}

function stopCamera(): void {
  camera?.stop();
  camera = null;
  page.camera.setAttribute("aria-pressed", "false");
}

/** Classifies what is on the paper now, or once the model is there. */
function take(source: Source, what: string): void {
  stopCamera();
  showPaper(what);
  shown = source;
  paper++;
  waiting = source;
  if (model) void classifyWaiting();
  else page.answer.textContent = "Waits for the model";
}

function forget(): void {
  paper++;
  waiting = null;
  shown = null;
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
  showFact(facts.latency, `${latencyMs.toFixed(1)} ms`);
}
