// What both pages show: progress, problems, facts, tables. Of a page's own elements others know.

import { formatBytes } from "../src/base/format-bytes.js";
import type { Manifest, Model } from "../src/web.js";
import { nameOf, runtimeBytes } from "./runtime-names.js";

/** Elements that both pages have. */
const page = {
  state: element("state", HTMLElement),
  progress: element("progress", HTMLProgressElement),
  problem: element("problem", HTMLElement),
} as const;

/** What the page says of the runtime in use. */
export const facts = {
  device: element("device", HTMLElement),
  refused: element("refused", HTMLElement),
  latency: element("latency", HTMLElement),
  modelSize: element("model-size", HTMLElement),
  runtimeSize: element("runtime-size", HTMLElement),
  selfTest: element("self-test", HTMLElement),
  offline: element("offline", HTMLElement),
  update: element("update", HTMLButtonElement),
} as const;

export function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (found instanceof type) return found;
  throw new Error(`the page has no #${id} of this kind`);
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
  const total = totalBytes === null ? "" : ` of ${formatBytes(totalBytes)}`;
  showState(
    loadedBytes === totalBytes
      ? `Starting, ${formatBytes(loadedBytes)} loaded`
      : `Loading: ${formatBytes(loadedBytes)}${total}`,
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

/** 1234567 -> "1,234,567". A formatter of the browser's own costs 15 ms when it is first asked. */
function grouped(n: number): string {
  return String(n).replaceAll(/\B(?=(\d{3})+$)/g, ",");
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

export function count(n: number, noun: string, plural = "s"): string {
  return `${n} ${noun}${n === 1 ? "" : plural}`;
}

export function textOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/**
 * What computes, what was left and why, sizes, and that it was tested.
 *
 * @param more what the page says of the model beside its size
 * @param input what goes into the model
 */
export function showRuntime(model: Model, manifest: Manifest, more: string, input: string): void {
  const { device, adapter, threads, fallbacks, selfTest } = model;
  const detail = device === "webgpu" ? (adapter ?? "GPU") : count(threads, "thread");
  showFact(facts.device, `${nameOf(model)}, ${detail}`);
  showFact(facts.refused, fallbacks.map((each) => `${nameOf(each)}: ${each.reason}`).join("; ") || "nothing");
  const failed = fallbacks.find((each) => /self-test/.test(each.reason));
  if (failed) {
    showProblem(
      `On this device ${nameOf(failed)} did not compute what the trained model computes. ${nameOf(model)} is used instead, and was tested too.`,
    );
  }
  const { sizeBytes = 0 } = manifest.models.find((each) => each.device === device) ?? {};
  showFact(facts.modelSize, `${formatBytes(sizeBytes)}, ${more}`);
  showFact(facts.runtimeSize, formatBytes(runtimeBytes(manifest, model)));
  if (!selfTest) return;
  const integers = selfTest.integers > 0 ? `, ${grouped(selfTest.integers)} integers equal` : "";
  showFact(facts.selfTest, `passed: ${count(selfTest.cases, input)}${integers}`, "good");
}

/** Rows of texts in place of those that a table's body has; the table is seen from then on. */
export function showRows(body: HTMLTableSectionElement, rows: readonly (readonly string[])[]): void {
  body.replaceChildren(
    ...rows.map((texts) => {
      const row = document.createElement("tr");
      row.append(
        ...texts.map((text, i) => {
          const cell: HTMLTableCellElement = document.createElement(i === 0 ? "th" : "td");
          if (i === 0) cell.scope = "row";
          cell.textContent = text;
          return cell;
        }),
      );
      return row;
    }),
  );
  const holder = body.closest<HTMLElement>(".scroll");
  if (holder) holder.hidden = rows.length === 0;
}
