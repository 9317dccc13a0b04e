// Visits a page in the system's browser as somebody would who has never been there, and says when the first result
// was shown. Every wait has a limit.

import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { PACKAGE_FOLDER } from "./environment.js";

const LIMIT_MS = 120_000;
const FLAGS: readonly string[] = [
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** A part of the package that its public API has no need of. */
type Finder = typeof import("../dist/runtime/browser/find-browser.js");

/** The program of Chromium, Chrome or Edge; null when there is none. */
export async function browserProgram(): Promise<string | null> {
  const module = join(PACKAGE_FOLDER, "dist", "runtime", "browser", "find-browser.js");
  const { findBrowser } = (await import(pathToFileURL(module).href)) as Finder;
  return findBrowser(undefined)?.path ?? null;
}

export interface Visitor {
  readonly version: string;
  readonly context: BrowserContext;
  close(): Promise<void>;
}

/**
 * A browser in a process and with a profile of its own.
 *
 * @param program path of Chromium, Chrome or Edge
 * @param flags of its command line, beside those of every visit
 */
export async function newVisitor(program: string, flags: readonly string[] = []): Promise<Visitor> {
  const browser: Browser = await chromium.launch({
    executablePath: program,
    args: [...FLAGS, ...flags],
    // Chromium refuses its sandbox to root, and only to root may it be switched off.
    chromiumSandbox: process.getuid?.() !== 0,
    timeout: LIMIT_MS,
  });
  const context = await browser.newContext();
  context.setDefaultTimeout(LIMIT_MS);
  return { version: browser.version(), context, close: () => browser.close() };
}

/**
 * Opens `url` and gives it a picture as soon as its script runs.
 *
 * @param picture a PNG, dropped on the element `#picture` where the page has one
 * @returns ms from the start of the navigation, by the page's clock, to the frame after a share of a class stood in
 * `#answer`
 */
export async function firstResultMs(
  context: BrowserContext,
  url: string,
  picture: Uint8Array,
): Promise<{ readonly page: Page; readonly elapsedMs: number }> {
  const page = await context.newPage();
  await page.addInitScript(watchScript(picture));
  let limit: NodeJS.Timeout | undefined;
  const said = await new Promise<unknown>((resolve, reject) => {
    limit = setTimeout(() => resolve(`no result within ${LIMIT_MS / 1000} s`), LIMIT_MS);
    page
      .exposeFunction("benchSays", resolve)
      .then(() => page.goto(url))
      .catch(reject);
  }).finally(() => clearTimeout(limit));
  if (typeof said !== "number") throw new Error(`${url}: ${String(said)}`);
  return { page, elapsedMs: said };
}

function watchScript(picture: Uint8Array): string {
  return `
    addEventListener("DOMContentLoaded", () => {
      const base64 = "${Buffer.from(picture).toString("base64")}";
      const data = new DataTransfer();
      data.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], "a.png", { type: "image/png" }));
      document.querySelector("#picture")?.dispatchEvent(
        new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }),
      );
    });
    const observer = new MutationObserver(() => {
      const problem = document.querySelector("#problem")?.textContent;
      if (problem) window.benchSays(problem);
      if (!document.querySelector("#answer")?.textContent.includes("%")) return;
      observer.disconnect();
      requestAnimationFrame(() => window.benchSays(performance.now()));
    });
    observer.observe(document, { subtree: true, childList: true, characterData: true });`;
}
