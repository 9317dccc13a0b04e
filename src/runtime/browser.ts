// The runtimes of a real browser: onnxruntime-web, or the engine, in a page of the system's Chromium, Chrome or Edge, driven
// through playwright-core. What a visitor's machine would compute; never another runtime in its place.

import { errorText, QdgError } from "../base/error.js";
import { findBrowser, type FoundBrowser } from "./browser/find-browser.js";
import type { PageKind } from "./browser/loopback-server.js";
import type { AdapterFacts, PageFacts } from "./browser/page-harness.js";
import { RemoteSession, RemoteTensor } from "./browser/remote-session.js";
import { type HarnessPage, openHarnessPage } from "./browser/shared-browser.js";
import { readWholeModel } from "../onnx/whole-model.js";
import { nameOf, OnnxSession, ortOptions } from "./onnx-session.js";
import type { Availability, ModelSource, Runtime, RuntimeName, RuntimeOptions, Session } from "./runtime.js";
import { explainedFallback } from "./webgpu/cpu-fallback.js";

/** Limit of each wait: the start, loading a model, a run. A software adapter compiles shaders for minutes. */
const DEFAULT_TIMEOUT_MS = 300_000;

/** The oldest with everything that page and runtime use; `GPUAdapter.info` was the last to come. */
const OLDEST_VERSION = 128;

const NO_BROWSER = "no Chromium, Chrome or Edge in the usual places or in PATH";
const INSTALL =
  "install Chromium (Debian, Ubuntu: apt-get install chromium; macOS: brew install --cask chromium), Chrome or " +
  "Edge, or name its program by --browser or QDG_BROWSER";
const NAME_ANOTHER = "name one that is there, or none, so that it is looked for in the usual places";
const OTHER_BROWSER = "see whether it runs by hand, or name another program by --browser or QDG_BROWSER";
const NO_ADAPTER = "it offers no WebGPU adapter, neither hardware nor software";
const ADAPTER = "update the browser and the graphics driver (Linux: Vulkan), or use browser-wasm";

/** `browser-wasm`: onnxruntime-web on WebAssembly in a page, cross-origin isolated, so that threads work. */
export const browserWasmRuntime: Runtime = browserRuntime("browser-wasm", "wasm");

/**
 * `browser-webgpu`: onnxruntime-web on the browser's WebGPU adapter: the GPU where there is one, else the software
 * adapter, which `probe` says. A node without a kernel for WebGPU is an error, never a detour by the CPU.
 */
export const browserWebgpuRuntime: Runtime = browserRuntime("browser-webgpu", "webgpu");

/** `browser-engine`: the engine in a page, one thread. */
export const browserEngineRuntime: Runtime = browserRuntime("browser-engine", "engine");

function browserRuntime(name: RuntimeName & `browser-${PageKind}`, kind: PageKind): Runtime {
  const where = `runtime ${name}`;
  return {
    name,

    async probe(options: RuntimeOptions = {}): Promise<Availability> {
      try {
        const browser = findBrowser(options.browser);
        if (browser === null) return { available: false, reason: NO_BROWSER, remedy: INSTALL };
        const page = await openPage(browser, kind, where, options);
        try {
          const facts = await page.call("facts", { adapter: kind === "webgpu" }, "asking for versions");
          return availability(versionOf(browser, page), kind, facts);
        } finally {
          await page.close();
        }
      } catch (thrown) {
        // The code of the error is that of whoever asks.
        const reason = errorText(thrown).replace(/ \[[a-z-]+\]$/, "");
        const missing = thrown instanceof QdgError && thrown.code === "not-found";
        return { available: false, reason, remedy: missing ? NAME_ANOTHER : OTHER_BROWSER };
      }
    },

    async open(model: ModelSource, options: RuntimeOptions = {}): Promise<Session> {
      const sessionOptions = kind === "engine" ? {} : ortOptions(kind, options);
      if (options.optimizedModelPath !== undefined) {
        throw new QdgError("usage", "optimizedModelPath", `the ${name} runtime cannot write files; use cpu`);
      }
      const browser = findBrowser(options.browser);
      if (browser === null) throw new QdgError("unavailable", where, `${NO_BROWSER}; ${INSTALL}`);
      const at = `${nameOf(model)} (${name})`;
      const bytes = "path" in model ? await readWholeModel(model.path) : model.bytes;
      const page = await openPage(browser, kind, at, options);
      try {
        if (kind === "webgpu") {
          const facts = await page.call("facts", { adapter: true }, "asking for the WebGPU adapter");
          if (facts.adapter === null) {
            throw new QdgError(
              "unavailable",
              where,
              `${versionOf(browser, page)}: ${NO_ADAPTER}; ${ADAPTER}`,
            );
          }
        }
        const session = await RemoteSession.open(page, bytes, {
          threads: options.threads ?? 1,
          webgpu: kind === "webgpu",
          options: sessionOptions,
        });
        return new OnnxSession(at, session, RemoteTensor);
      } catch (thrown) {
        await page.close();
        throw explainedFallback(thrown, at);
      }
    },
  };
}

function availability(version: string, kind: PageKind, facts: PageFacts): Availability {
  const runtime = kind === "engine" ? "engine" : "onnxruntime-web";
  const versions = `${runtime} ${facts.ortVersion}, ${version}`;
  if (kind !== "webgpu") return { available: true, version: versions };
  if (facts.adapter === null) {
    return { available: false, reason: `${version}: ${NO_ADAPTER}`, remedy: ADAPTER };
  }
  return { available: true, version: `${versions}, ${adapterText(facts.adapter)}` };
}

/** "software adapter google swiftshader": a software one by its name, or because the browser calls it a fallback. */
export function adapterText(adapter: AdapterFacts): string {
  const { vendor, architecture, device, description, isFallback } = adapter;
  const names = [vendor, architecture, device, description].filter((name) => name !== "").join(" ");
  const isSoftware = isFallback || /swiftshader|llvmpipe|lavapipe|basic render|warp/i.test(names);
  return `${isSoftware ? "software" : "hardware"} adapter ${names === "" ? "without a name" : names}`;
}

function versionOf(browser: FoundBrowser, page: HarnessPage): string {
  return `${browser.product} ${page.browserVersion}`;
}

async function openPage(
  browser: FoundBrowser,
  kind: PageKind,
  where: string,
  options: RuntimeOptions,
): Promise<HarnessPage> {
  const limitMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  if (!(limitMs > 0 && limitMs < 2 ** 31)) {
    throw new QdgError(
      "usage",
      "timeoutMs",
      `got ${limitMs}, expected a number of milliseconds from 1 to 2^31 - 1`,
    );
  }
  const page = await openHarnessPage(browser.path, kind, where, limitMs);
  if (isTooOld(page.browserVersion)) {
    await page.close();
    throw new QdgError(
      "unavailable",
      where,
      `${versionOf(browser, page)} is too old, expected ${OLDEST_VERSION} or later; update it`,
    );
  }
  return page;
}

/** "156.0.8078.79" against the oldest that will do. */
export function isTooOld(version: string): boolean {
  return !(Number.parseInt(version, 10) >= OLDEST_VERSION);
}
