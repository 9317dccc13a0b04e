// What the classifier's page shows beside what both pages do: the paper, probabilities.

import { element, percent } from "./view.js";

/** Elements by id, of index.html. */
export const page = {
  drop: element("drop", HTMLElement),
  picture: element("picture", HTMLCanvasElement),
  penMark: element("pen-mark", HTMLElement),
  file: element("file", HTMLInputElement),
  pen: element("pen", HTMLInputElement),
  camera: element("camera", HTMLButtonElement),
  clear: element("clear", HTMLButtonElement),
  answer: element("answer", HTMLElement),
  bars: element("bars", HTMLElement),
  comparison: element("comparison", HTMLElement),
  compare: element("compare", HTMLButtonElement),
  compared: element("compared", HTMLTableSectionElement),
  compareState: element("compare-state", HTMLElement),
} as const;

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
