// What runs inside the page of the bench: opens files on the runtimes that are there and runs them against each other.
// Nothing passes between the page and Node while it measures.

import type { Session, Tensor } from "qdg";
import { feedsOf, interleavedTimesMs, type Rounds } from "../interleaved.js";
import { openLiteRt } from "./litert.js";
import { type MemoryHarness, memoryHarness } from "./memory.js";
import { type PackedHarness, packedHarness } from "./packed.js";

export type PageRuntime = "engine" | "onnxruntime" | "litert";

export interface PageFile {
  readonly runtime: PageRuntime;
  /** From the page. */
  readonly path: string;
}

/** What Node may call, one at a time. */
export interface PageHarness extends MemoryHarness, PackedHarness {
  /** "engine 0.1.0, relaxed SIMD saturating" */
  engineVersion(request: object): Promise<string>;
  /** Times of each file, by round. @throws Error on a page whose clock is coarse */
  times(request: { readonly files: readonly PageFile[] } & Rounds): Promise<number[][]>;
  /** The first output of each file, on the same numbers. */
  outputs(request: { readonly files: readonly PageFile[] }): Promise<number[][]>;
}

/** Modules of the built package that its public API has no need of, by the names that the page's import map gives. */
type EngineSession = typeof import("../../dist/runtime/engine-session.js");
type EngineModule = typeof import("../../dist/engine/module.js");
type Wasm = typeof import("../../dist/runtime/wasm.js");
type Version = typeof import("../../dist/base/version.js");

export const harness: PageHarness = {
  ...memoryHarness,
  ...packedHarness,

  async engineVersion() {
    const { relaxedClass } = (await import(named("dist/engine/module.js"))) as EngineModule;
    const { VERSION } = (await import(named("dist/base/version.js"))) as Version;
    return `engine ${VERSION}, relaxed SIMD ${await relaxedClass(await kernels())}`;
  },

  async times({ files, ...rounds }) {
    const { crossOriginIsolated } = globalThis as { readonly crossOriginIsolated?: boolean };
    if (!crossOriginIsolated) throw new Error("the page is not isolated: its clock has steps of 0.1 ms");
    return onSessions(files, (sessions) => interleavedTimesMs(sessions, rounds));
  },

  outputs: ({ files }) =>
    onSessions(files, async (sessions) => {
      const outputs: number[][] = [];
      for (const session of sessions) {
        const [first] = Object.values(await session.run(feedsOf(session)));
        outputs.push([...(first as Tensor<"float32">).data]);
      }
      return outputs;
    }),
};

async function onSessions<T>(
  files: readonly PageFile[],
  use: (sessions: readonly Session[]) => Promise<T>,
): Promise<T> {
  const sessions: Session[] = [];
  try {
    for (const { runtime, path } of files) sessions.push(await open(runtime, await bytesAt(path)));
    return await use(sessions);
  } finally {
    for (const session of sessions) await session.dispose();
  }
}

async function open(runtime: PageRuntime, bytes: Uint8Array): Promise<Session> {
  switch (runtime) {
    case "engine": {
      const { openEngine } = (await import(named("dist/runtime/engine-session.js"))) as EngineSession;
      return openEngine(await kernels(), bytes, "model");
    }
    case "onnxruntime": {
      const { wasmRuntime } = (await import(named("dist/runtime/wasm.js"))) as Wasm;
      return wasmRuntime.open({ bytes }, { threads: 1 });
    }
    case "litert":
      return openLiteRt(bytes);
    default:
      return runtime satisfies never;
  }
}

/** Compiled once, as by whoever loads several models. */
let compiled: ReturnType<EngineModule["compileModules"]> | null = null;

function kernels(): ReturnType<EngineModule["compileModules"]> {
  return (compiled ??= compile());
}

async function compile(): ReturnType<EngineModule["compileModules"]> {
  const { compileModules } = (await import(named("dist/engine/module.js"))) as EngineModule;
  return compileModules(await bytesAt("dist/engine/simd.wasm"), await bytesAt("dist/engine/relaxed.wasm"));
}

async function bytesAt(path: string): Promise<Uint8Array> {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`GET ${response.status} for ${path}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** What TypeScript would look for here is only in the page. */
function named(module: string): string {
  return module;
}
