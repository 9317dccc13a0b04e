// A model loaded in a page, in the shape of a session of onnxruntime, so that the checks of OnnxSession hold for
// it as they do in Node. Tensors travel as bytes over the loopback server; calls go through the harness.

import { decodeFrame, encodeFrame } from "./frame.js";
import type { OpenRequest, PageMetadata } from "./page-harness.js";
import type { HarnessPage } from "./shared-browser.js";

/** As the tensor of onnxruntime-common, for what OnnxSession does with it. */
export class RemoteTensor {
  readonly type: string;
  readonly data: ArrayBufferView;
  readonly dims: readonly number[];

  constructor(type: string, data: ArrayBufferView, dims: readonly number[]) {
    this.type = type;
    this.data = data;
    this.dims = dims;
  }

  dispose(): void {}
}

export class RemoteSession {
  readonly inputMetadata: readonly PageMetadata[];
  readonly outputMetadata: readonly PageMetadata[];
  readonly #page: HarnessPage;

  private constructor(page: HarnessPage, inputs: readonly PageMetadata[], outputs: readonly PageMetadata[]) {
    this.#page = page;
    this.inputMetadata = inputs;
    this.outputMetadata = outputs;
  }

  /** @throws QdgError `runtime` or `unavailable`, with the page's words */
  static async open(
    page: HarnessPage,
    model: Uint8Array,
    request: Omit<OpenRequest, "modelPath">,
  ): Promise<RemoteSession> {
    const offered = page.server.offer(model);
    try {
      const { inputs, outputs } = await page.call(
        "open",
        { ...request, modelPath: offered.path },
        "loading the model",
      );
      return new RemoteSession(page, inputs, outputs);
    } finally {
      offered.withdraw();
    }
  }

  async run(feeds: Readonly<Record<string, RemoteTensor>>): Promise<Record<string, RemoteTensor>> {
    const { server } = this.#page;
    const offered = server.offer(
      encodeFrame(Object.entries(feeds).map(([name, { type, data, dims }]) => ({ name, type, data, dims }))),
    );
    const expected = server.expect();
    try {
      await this.#page.call(
        "run",
        { feedsPath: offered.path, resultsPath: expected.path },
        "running the model",
      );
      const body = expected.received();
      if (body === null) throw new Error("the page sent no results");
      const entries = decodeFrame(body).map(
        ({ name, type, data, dims }) => [name, new RemoteTensor(type, data, dims)] as const,
      );
      return Object.fromEntries(entries);
    } finally {
      offered.withdraw();
      expected.withdraw();
    }
  }

  release(): Promise<void> {
    return this.#page.close();
  }
}
