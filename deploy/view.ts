// What the page shows. The only file that writes into the document.

/** Elements by id, all in index.html. */
export const page = {
  state: element("state", HTMLElement),
  progress: element("progress", HTMLProgressElement),
  problem: element("problem", HTMLElement),
  drop: element("drop", HTMLElement),
  picture: element("picture", HTMLCanvasElement),
  penMark: element("pen-mark", HTMLElement),
  file: element("file", HTMLInputElement),
  pen: element("pen", HTMLInputElement),
  clear: element("clear", HTMLButtonElement),
  answer: element("answer", HTMLElement),
  bars: element("bars", HTMLElement),
  device: element("device", HTMLElement),
  webgpu: element("webgpu", HTMLElement),
  latency: element("latency", HTMLElement),
  modelSize: element("model-size", HTMLElement),
  runtimeSize: element("runtime-size", HTMLElement),
  selfTest: element("self-test", HTMLElement),
  offline: element("offline", HTMLElement),
  update: element("update", HTMLButtonElement),
} as const;

function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (found instanceof type) return found;
  throw new Error(`index.html has no #${id} of this kind`);
}

export function showState(text: string): void {
  page.state.textContent = text;
}

/** An empty text takes the last problem away. */
export function showProblem(text: string): void {
  if (page.problem.textContent !== text) page.problem.textContent = text;
}

/** Shows how far loading is, until showLoaded: files that still come after an error do not hide it. */
export function showProgress(loadedBytes: number, totalBytes: number | null): void {
  if (page.progress.classList.contains("done")) return;
  page.progress.max = Math.max(1, totalBytes ?? loadedBytes);
  page.progress.value = loadedBytes;
  const total = totalBytes === null ? "" : ` of ${megabytes(totalBytes)}`;
  showState(
    loadedBytes === totalBytes
      ? `Starting, ${megabytes(loadedBytes)} loaded`
      : `Loading: ${megabytes(loadedBytes)}${total}`,
  );
}

/** Loading has ended, well or not. */
export function showLoaded(text: string): void {
  page.progress.classList.add("done");
  // While it is busy a screen reader does not read out every megabyte.
  page.state.removeAttribute("aria-busy");
  showState(text);
}

/** @param state what colours the words; the words say the same */
export function showFact(place: HTMLElement, text: string, state: "good" | "bad" | "plain" = "plain"): void {
  place.textContent = text;
  const cell = place.closest("dd") ?? place;
  cell.classList.toggle("good", state === "good");
  cell.classList.toggle("bad", state === "bad");
}

/** Bars in the order of the labels, or the most probable ones where there are fewer rows than labels. */
export function showProbabilities(labels: readonly string[], probabilities: ArrayLike<number>): void {
  const rows = [...page.bars.children];
  const order = labels.map((_, i) => i);
  const best = [...order].sort((a, b) => (probabilities[b] ?? 0) - (probabilities[a] ?? 0));
  const shown = rows.length < labels.length ? best : order;
  for (const [i, row] of rows.entries()) {
    const k = shown[i] ?? 0;
    const [name, bar, share] = row.children;
    const fill = bar?.firstElementChild;
    if (!(name instanceof HTMLElement && fill instanceof HTMLElement && share)) continue;
    name.textContent = labels[k] ?? "";
    name.title = labels[k] ?? "";
    fill.style.transform = `scaleX(${probabilities[k] ?? 0})`;
    share.textContent = percent(probabilities[k] ?? 0);
    row.classList.toggle("best", k === best[0]);
  }
}

/** What is on the paper, for those who do not see it; null when it is empty. */
export function showPaper(what: string | null): void {
  page.picture.setAttribute("aria-label", `Drawing area, ${what ?? "empty"}`);
  page.drop.classList.toggle("filled", what !== null);
}

/** Where keys draw, for those who see it; shares of the paper. */
export function showPen(x: number, y: number, down: boolean): void {
  page.penMark.style.left = `${100 * x}%`;
  page.penMark.style.top = `${100 * y}%`;
  page.penMark.classList.toggle("down", down);
  page.drop.classList.toggle("drawing", down);
}

export function showNoResult(text: string): void {
  page.answer.textContent = text;
  for (const row of page.bars.children) {
    const [, bar, share] = row.children;
    if (bar?.firstElementChild instanceof HTMLElement) bar.firstElementChild.style.transform = "";
    if (share) share.textContent = "\u2013";
    row.classList.remove("best");
  }
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

export function megabytes(bytes: number): string {
  return bytes < 1e5 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(2)} MB`;
}
