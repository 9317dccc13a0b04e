// What runs inside the page: loads a model with onnxruntime-web and runs it when Node says so. The page gets
// the text of this function, so it must stand alone: types may be imported, nothing else.

import type { decodeFrame, encodeFrame, FrameTensor } from "./frame.js";

/** What came of a call: its value, or the error in the runtime's own words. */
export type Reply<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: string };

/** What the browser tells of its adapter; empty where it keeps silent. */
export interface AdapterFacts {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  /** The browser's own word that the adapter is software, or slow by design. */
  readonly isFallback: boolean;
}

export interface PageFacts {
  readonly ortVersion: string;
  readonly crossOriginIsolated: boolean;
  /** null where there is no WebGPU or no adapter, and where it was not asked for. */
  readonly adapter: AdapterFacts | null;
}

export interface PageMetadata {
  readonly name: string;
  readonly isTensor: boolean;
  readonly type?: string;
  readonly shape?: readonly (number | string)[];
}

export interface OpenRequest {
  /** Where the page fetches the model, from the origin's root. */
  readonly modelPath: string;
  readonly threads: number;
  /** Errors that the GPU reports make the run fail. */
  readonly webgpu: boolean;
  /** For InferenceSession.create. */
  readonly options: object;
}

export interface Harness {
  facts(request: { readonly adapter: boolean }): Promise<Reply<PageFacts>>;
  open(request: OpenRequest): Promise<Reply<{ inputs: PageMetadata[]; outputs: PageMetadata[] }>>;
  /** Fetches the feeds at one path and posts the results to the other, both as frames. */
  run(request: { readonly feedsPath: string; readonly resultsPath: string }): Promise<Reply<null>>;
}

interface GpuDevice {
  addEventListener(type: "uncapturederror", listener: (event: { error: Error }) => void): void;
  readonly lost: Promise<{ readonly message: string }>;
}

export interface PageTensor extends Omit<FrameTensor, "name"> {
  dispose(): void;
}

/** What the harness uses of onnxruntime-web. */
export interface PageOrt {
  readonly env: {
    logLevel: string;
    readonly versions: { readonly web?: string | Promise<string> };
    readonly wasm: { numThreads?: number };
    readonly webgpu: { readonly device?: GpuDevice | Promise<GpuDevice> };
  };
  readonly InferenceSession: {
    create(model: Uint8Array, options: object): Promise<OrtSession>;
  };
  readonly Tensor: new (type: string, data: ArrayBufferView, dims: readonly number[]) => PageTensor;
}

interface OrtSession {
  readonly inputMetadata: readonly PageMetadata[];
  readonly outputMetadata: readonly PageMetadata[];
  run(feeds: Record<string, PageTensor>): Promise<Record<string, PageTensor>>;
}

interface PageScope {
  readonly crossOriginIsolated: boolean;
  readonly navigator: {
    readonly gpu?: { requestAdapter(): Promise<{ readonly info: AdapterInfo } | null> };
  };
}

interface AdapterInfo extends Omit<AdapterFacts, "isFallback"> {
  readonly isFallbackAdapter?: boolean;
}

/** The harness of a page around its onnxruntime-web, which only this page's model uses. */
export function makeHarness(ort: PageOrt, encode: typeof encodeFrame, decode: typeof decodeFrame): Harness {
  const scope = globalThis as unknown as PageScope;
  let session: OrtSession | null = null;
  let gpuError: string | null = null;
  ort.env.logLevel = "fatal";

  // oxlint-disable-next-line unicorn/consistent-function-scoping -- the page gets this function alone
  const textOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));

  async function replyOf<T>(work: () => Promise<T>): Promise<Reply<T>> {
    try {
      return { ok: true, value: await work() };
    } catch (thrown) {
      return { ok: false, error: textOf(thrown) };
    }
  }

  async function adapterFacts(): Promise<AdapterFacts | null> {
    const adapter = (await scope.navigator.gpu?.requestAdapter()) ?? null;
    if (adapter === null) return null;
    const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info;
    return { vendor, architecture, device, description, isFallback: isFallbackAdapter ?? false };
  }

  // oxlint-disable-next-line unicorn/consistent-function-scoping -- the page gets this function alone
  async function bytesAt(path: string): Promise<Uint8Array> {
    const response = await fetch(path);
    if (!response.ok) throw new Error(`GET ${response.status} for the bytes that Node offered`);
    return new Uint8Array(await response.arrayBuffer());
  }

  // The GPU reports what it refuses apart from the call that asked for it; a result computed meanwhile is
  // not to be trusted.
  async function watchGpu(): Promise<void> {
    const device = await ort.env.webgpu.device;
    if (device === undefined) throw new Error("no WebGPU device after the model was loaded");
    device.addEventListener("uncapturederror", (event) => (gpuError ??= event.error.message));
    void device.lost.then((info) => (gpuError ??= `the GPU device was lost: ${info.message}`));
  }

  return {
    facts: (request) =>
      replyOf(async () => ({
        ortVersion: (await ort.env.versions.web) ?? "unknown",
        crossOriginIsolated: scope.crossOriginIsolated,
        adapter: request.adapter ? await adapterFacts() : null,
      })),

    open: ({ modelPath, threads, webgpu, options }) =>
      replyOf(async () => {
        if (threads > 1 && !scope.crossOriginIsolated) {
          throw new Error("the page is not cross-origin isolated, so it has no threads");
        }
        ort.env.wasm.numThreads = threads;
        session = await ort.InferenceSession.create(await bytesAt(modelPath), options);
        if (webgpu) await watchGpu();
        return { inputs: [...session.inputMetadata], outputs: [...session.outputMetadata] };
      }),

    run: ({ feedsPath, resultsPath }) =>
      replyOf(async () => {
        if (session === null) throw new Error("no model is loaded in the page");
        const feeds: Record<string, PageTensor> = {};
        for (const { name, type, data, dims } of decode(await bytesAt(feedsPath))) {
          feeds[name] = new ort.Tensor(type, data, dims);
        }
        const results = await session.run(feeds);
        if (gpuError !== null) throw new Error(gpuError);
        const body = encode(
          Object.entries(results).map(([name, { type, dims, data }]) => ({ name, type, dims, data })),
        );
        for (const result of Object.values(results)) result.dispose();
        const response = await fetch(resultsPath, { method: "POST", body });
        if (!response.ok) throw new Error(`POST ${response.status} for results of ${body.length} bytes`);
        return null;
      }),
  };
}
