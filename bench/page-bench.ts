// A site of the bench's own, served on loopback, whose page measures inside the browser (in-page/harness.ts): the built
// package, ONNX Runtime and, where asked for, a peer from npm. The page itself is empty until it is called.

import { copyFile, cp, mkdir, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { newVisitor, type Visitor } from "./browser-visit.js";
import { CACHE_FOLDER, PACKAGE_FOLDER } from "./environment.js";
import type { PageHarness } from "./in-page/harness.js";
import { serveSite } from "./served-site.js";

const ONNX_RUNTIME = dirname(createRequire(import.meta.url).resolve("onnxruntime-web"));
const ONNX_RUNTIME_FILES = [
  "ort.wasm.bundle.min.mjs",
  "ort-wasm-simd-threaded.mjs",
  "ort-wasm-simd-threaded.wasm",
] as const;
/** Where this runs. */
const COMPILED = dirname(fileURLToPath(import.meta.url));
/** Scripts of the bench that the page imports, from the folder that tsc writes to. */
const SCRIPTS = [
  "in-page/harness.js",
  "in-page/litert.js",
  "in-page/memory.js",
  "in-page/packed.js",
  "interleaved.js",
  "models/random.js",
] as const;
const IMPORTS = {
  "bench/": "./bench/",
  "dist/": "./dist/",
  "web/": "./web/",
  "onnxruntime-web": `./onnxruntime/${ONNX_RUNTIME_FILES[0]}`,
  "onnxruntime-web/wasm": `./onnxruntime/${ONNX_RUNTIME_FILES[0]}`,
  "@litertjs/core": "./npm/@litertjs/core/dist/index.js",
  "@litertjs/wasm-utils": "./npm/@litertjs/wasm-utils/dist/index.js",
};
const HTML = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Bench</title>
<script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script></head><body></body></html>
`;
/** Isolation makes the page's clock fine. */
const HEADERS = `/*
  Cross-Origin-Opener-Policy: same-origin
  Cross-Origin-Embedder-Policy: require-corp
  Cache-Control: no-store
`;
/** A call may take thousands of runs of a slow network. */
const LIMIT_MS = 1_200_000;

export interface PageBench {
  /** What is served. */
  readonly folder: string;
  /** Lays a file out for pages. @returns its path from the page */
  put(file: string): Promise<string>;
  /** An empty page in a browser in a process of its own. @param flags of the browser's command line */
  open(flags?: readonly string[]): Promise<BenchPage>;
  stop(): Promise<void>;
}

export interface BenchPage {
  readonly page: Page;
  /** "156.0.8078.114" */
  readonly browserVersion: string;
  /** @throws Error in the page's own words, or when it takes longer than 20 minutes */
  call<M extends keyof PageHarness>(
    method: M,
    request: Parameters<PageHarness[M]>[0],
  ): Promise<Awaited<ReturnType<PageHarness[M]>>>;
  close(): Promise<void>;
}

/**
 * @param program path of Chromium, Chrome or Edge
 * @param name of the site's folder
 * @param packages a folder of npm packages, served as npm/
 */
export async function startPageBench(program: string, name: string, packages?: string): Promise<PageBench> {
  const folder = join(CACHE_FOLDER, "page-bench", name);
  await writeSite(folder, packages);
  const site = await serveSite(folder);
  const paths = new Map<string, string>();
  return {
    folder,
    async put(file) {
      const known = paths.get(file);
      if (known !== undefined) return known;
      const path = `models/${paths.size}${extname(file)}`;
      await copyFile(file, join(folder, path));
      paths.set(file, path);
      return path;
    },
    open: async (flags) => openPage(await newVisitor(program, flags), site.url),
    stop: () => site.stop(),
  };
}

async function openPage(visitor: Visitor, url: string): Promise<BenchPage> {
  try {
    const page = await visitor.context.newPage();
    await page.goto(url);
    return {
      page,
      browserVersion: visitor.version,
      close: () => visitor.close(),
      call: (method, request) =>
        within(
          page.evaluate(
            async ({ module, name, argument }) => {
              const { harness } = (await import(module)) as {
                harness: Record<string, (request: unknown) => Promise<unknown>>;
              };
              return harness[name]?.(argument);
            },
            { module: "bench/in-page/harness.js", name: method, argument: request },
          ) as Promise<never>,
          method,
        ),
    };
  } catch (thrown) {
    await visitor.close();
    throw thrown;
  }
}

async function writeSite(folder: string, packages: string | undefined): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(join(folder, "models"), { recursive: true });
  await writeFile(join(folder, "index.html"), HTML);
  await writeFile(join(folder, "_headers"), HEADERS);
  for (const script of SCRIPTS) await cp(join(COMPILED, script), join(folder, "bench", script));
  for (const file of ONNX_RUNTIME_FILES)
    await cp(join(ONNX_RUNTIME, file), join(folder, "onnxruntime", file));
  await cp(join(PACKAGE_FOLDER, "dist"), join(folder, "dist"), { recursive: true });
  if (packages !== undefined) await cp(packages, join(folder, "npm"), { recursive: true });
}

async function within<T>(work: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    const late = (): void =>
      reject(new Error(`the page: ${what} takes longer than ${LIMIT_MS / 60_000} min`));
    timer = setTimeout(late, LIMIT_MS);
  });
  return Promise.race([work, limit]).finally(() => clearTimeout(timer));
}
