// The one browser process a program holds: started for the first page, shared by all, closed with the last. A
// page is one model's. Every wait ends: by an answer, by a limit, or at once when the page or browser dies.

import { stripVTControlCharacters } from "node:util";
import { errorText, QdgError } from "../../base/error.js";
import { LoopbackServer, type PageKind } from "./loopback-server.js";
import type { Harness, Reply } from "./page-harness.js";
import { within as limited } from "../time-limit.js";

type Playwright = typeof import("playwright-core");
type Browser = Awaited<ReturnType<Playwright["chromium"]["launch"]>>;
type BrowserContext = Awaited<ReturnType<Browser["newContext"]>>;
type Page = Awaited<ReturnType<BrowserContext["newPage"]>>;

/** How long closing may take before the process is killed. */
const CLOSE_LIMIT_MS = 5000;

/**
 * WebGPU on Linux needs Vulkan and is off in a headless browser; where there is no GPU, the same flags give the
 * software adapter. No name is resolved: the page has nothing to look for outside this machine.
 */
const FLAGS: readonly string[] = [
  "--enable-unsafe-webgpu",
  "--enable-features=Vulkan",
  "--disable-quic",
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

interface Running {
  readonly browser: Browser;
  readonly context: BrowserContext;
  readonly server: LoopbackServer;
  readonly processId: number;
}

interface Shared {
  readonly running: Promise<Running>;
  users: number;
}

/** By the path of the program. */
const shared = new Map<string, Shared>();

/** A page with the harness in it, and the server that it loads from. */
export interface HarnessPage {
  readonly server: LoopbackServer;
  readonly browserVersion: string;
  /**
   * Calls the harness.
   *
   * @param what is waited for, for messages: "loading the model"
   * @throws QdgError `runtime` with the page's own words, when the limit is over, or when page or browser end
   */
  call<M extends keyof Harness>(
    method: M,
    request: Parameters<Harness[M]>[0],
    what: string,
  ): Promise<ValueOf<Harness[M]>>;
  /** Closes the page, and the browser if it was the last. Does nothing the second time. */
  close(): Promise<void>;
}

type ValueOf<F> = F extends (...args: never[]) => Promise<Reply<infer T>> ? T : never;

export interface BrowserInUse {
  readonly processId: number;
  readonly pages: number;
  /** Threads of all pages beside their main one. */
  readonly workers: number;
}

/** What is open now, to see what a program left behind. null when no browser runs. */
export async function browserInUse(path: string): Promise<BrowserInUse | null> {
  const running = await shared.get(path)?.running;
  if (running === undefined) return null;
  const pages = running.context.pages();
  const workers = pages.reduce((sum, page) => sum + page.workers().length, 0);
  return { processId: running.processId, pages: pages.length, workers };
}

/**
 * A new page, in the browser that runs already or in one started for it.
 *
 * @param path the browser's program
 * @param limitMs of each wait
 * @throws QdgError `unavailable` when the browser does not start or playwright-core is not installed, `runtime` when
 *   the page does not load
 */
export async function openHarnessPage(
  path: string,
  kind: PageKind,
  where: string,
  limitMs: number,
): Promise<HarnessPage> {
  const { running, release } = await acquire(path, limitMs);
  try {
    const { context, server, browser } = running;
    const page = await within(context.newPage(), limitMs, where, "opening a page");
    return await watchedPage({ page, browser, server, kind, where, limitMs, release });
  } catch (thrown) {
    await release();
    if (thrown instanceof QdgError) throw thrown;
    throw new QdgError("runtime", where, `the page did not open: ${errorText(thrown)}`, { cause: thrown });
  }
}

interface WatchedPage {
  readonly page: Page;
  readonly browser: Browser;
  readonly server: LoopbackServer;
  readonly kind: PageKind;
  readonly where: string;
  readonly limitMs: number;
  readonly release: () => Promise<void>;
}

async function watchedPage(parts: WatchedPage): Promise<HarnessPage> {
  const { page, browser, server, kind, where, limitMs, release } = parts;
  // Aborted when the page is of no more use; the reason says why.
  const loss = new AbortController();
  const losing = new Promise<never>((_, reject) => {
    loss.signal.addEventListener("abort", () => reject(loss.signal.reason as QdgError));
  });
  losing.catch(() => {});
  const end = (what: string): void =>
    loss.abort(new QdgError("runtime", where, `${what}; open the model again, or repeat the command`));
  const onDisconnected = (): void => end("the browser ended");
  browser.on("disconnected", onDisconnected);
  page.on("crash", () => end("the page crashed, perhaps for want of memory"));
  // Pages close before the event that the browser has ended, which is what is to be said then.
  page.on("close", () => void setTimeout(() => end("the page was closed"), 200).unref());
  page.on("pageerror", (error) => end(`error in the page: ${errorText(error)}`));

  async function attempt<T>(work: Promise<T>, what: string): Promise<T> {
    try {
      return await within(Promise.race([work, losing]), limitMs, where, what);
    } catch (thrown) {
      // playwright's own words for an end ("Target closed") come before the event that tells which.
      if (!(thrown instanceof QdgError)) await Promise.race([losing, pause(500)]);
      const error = thrown instanceof QdgError ? thrown : new QdgError("runtime", where, errorText(thrown));
      loss.abort(error);
      // A page that may still be busy with the work would keep the processor from others.
      page.close().catch(() => {});
      throw error;
    }
  }

  let closing: Promise<void> | null = null;
  async function close(): Promise<void> {
    end("the page was closed");
    browser.off("disconnected", onDisconnected);
    try {
      await within(page.close(), CLOSE_LIMIT_MS, where, "closing the page");
    } catch {
      // A page that does not close goes with its browser at the latest.
    }
    await release();
  }
  const closeOnce = (): Promise<void> => (closing ??= close());

  try {
    await attempt(page.goto(server.urlOf(kind), { timeout: 0 }), "loading the page");
  } catch (thrown) {
    await closeOnce();
    throw thrown;
  }
  return {
    server,
    browserVersion: browser.version(),
    async call(method, request, what) {
      loss.signal.throwIfAborted();
      const reply = await attempt(
        page.evaluate(callHarness, { method, request } as { method: keyof Harness; request: unknown }),
        what,
      );
      if (!reply.ok) throw new QdgError("runtime", where, errorText(reply.error));
      return reply.value as never;
    },
    close: closeOnce,
  };
}

/** Runs in the page. */
function callHarness(call: { method: keyof Harness; request: unknown }): Promise<Reply<unknown>> {
  const { qdg } = globalThis as unknown as {
    qdg: Record<keyof Harness, (request: unknown) => Promise<Reply<unknown>>>;
  };
  return qdg[call.method](call.request);
}

async function acquire(
  path: string,
  limitMs: number,
): Promise<{ readonly running: Running; readonly release: () => Promise<void> }> {
  const mine = shared.get(path) ?? share(path, limitMs);
  mine.users++;
  let released = false;
  const release = async (): Promise<void> => {
    if (released) return;
    released = true;
    mine.users--;
    if (mine.users > 0) return;
    if (shared.get(path) === mine) shared.delete(path);
    const running = await mine.running.catch(() => null);
    if (running !== null) await stop(running);
  };
  try {
    return { running: await mine.running, release };
  } catch (thrown) {
    await release();
    throw thrown;
  }
}

function share(path: string, limitMs: number): Shared {
  const entry: Shared = { running: start(path, limitMs), users: 0 };
  shared.set(path, entry);
  // Who comes after the browser's end gets a new one; the sessions of the old one hold on to what is left.
  entry.running.then(
    ({ browser }) =>
      browser.once("disconnected", () => {
        if (shared.get(path) === entry) shared.delete(path);
      }),
    () => {},
  );
  return entry;
}

async function start(path: string, limitMs: number): Promise<Running> {
  const playwright = await loadPlaywright();
  let browser: Browser;
  try {
    browser = await playwright.chromium.launch({
      executablePath: path,
      headless: true,
      args: [...FLAGS],
      // Chromium refuses its sandbox to root, and only to root may it be switched off.
      chromiumSandbox: process.getuid?.() !== 0,
      timeout: limitMs,
      // Ctrl-C is the program's own business. The browser ends with the pipe to it in any case.
      handleSIGINT: false,
      handleSIGTERM: false,
      handleSIGHUP: false,
    });
  } catch (thrown) {
    throw new QdgError(
      "unavailable",
      path,
      `the browser does not start: ${launchErrorText(thrown, limitMs)}`,
      {
        cause: thrown,
      },
    );
  }
  try {
    const session = await browser.newBrowserCDPSession();
    const { processInfo } = await session.send("SystemInfo.getProcessInfo");
    await session.detach();
    const context = await browser.newContext();
    const server = await LoopbackServer.start();
    const processId = processInfo.find(({ type }) => type === "browser")?.id ?? 0;
    return { browser, context, server, processId };
  } catch (thrown) {
    await browser.close().catch(() => {});
    throw new QdgError("unavailable", path, `the browser cannot be used: ${errorText(thrown)}`, {
      cause: thrown,
    });
  }
}

async function loadPlaywright(): Promise<Playwright> {
  try {
    return await import("playwright-core");
  } catch (thrown) {
    throw new QdgError(
      "unavailable",
      "playwright-core",
      `cannot be loaded: ${errorText(thrown)}; install it (npm install playwright-core)`,
      { cause: thrown },
    );
  }
}

async function stop({ browser, server, processId }: Running): Promise<void> {
  try {
    await within(browser.close(), CLOSE_LIMIT_MS, "browser", "closing it");
  } catch {
    if (processId !== 0 && browser.isConnected()) process.kill(processId, "SIGKILL");
  }
  await server.close();
}

/** What the browser wrote before it gave up, which says more than that it did. */
function launchErrorText(thrown: unknown, limitMs: number): string {
  const text = stripVTControlCharacters(thrown instanceof Error ? thrown.message : String(thrown));
  const words = errorText(text).replace(/^browserType\.launch: /, "");
  // playwright names neither of the two.
  if (/^Timeout \d+ms exceeded/.test(words)) {
    return `it gave no answer within ${limitMs / 1000} s (--browser-timeout)`;
  }
  const first = /has been closed/.test(words) ? "the program ended at once" : words;
  const said = new Set([...text.matchAll(/\[err\]\s*(.+)/g)].map((match) => match[1] as string));
  return said.size === 0 ? first : `${first} (${[...said].slice(0, 2).join("; ")})`;
}

/** @throws QdgError `runtime` when `work` is not done after `limitMs` */
function within<T>(work: Promise<T>, limitMs: number, where: string, what: string): Promise<T> {
  return limited(
    limitMs,
    work,
    () => new QdgError("runtime", where, `${what}: no answer within ${limitMs / 1000} s (--browser-timeout)`),
  );
}

function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, durationMs));
}
