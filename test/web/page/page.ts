// The page of the browser tests: hands qdg/web to the test, and a worker that has it too.

import { imageToTensor } from "../../../src/image/to-tensor.js";
import * as web from "../../../src/web.js";
import { decodeBrowserImage } from "../../../src/web/decode-image.js";

declare const document: object;
interface WorkerLike {
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
  postMessage(message: unknown): void;
  terminate(): void;
}
declare const Worker: new (url: URL, options: object) => WorkerLike;

function classifyInWorker(url: string, image: unknown, options: object): Promise<unknown> {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  return new Promise((resolve) => {
    worker.addEventListener("message", ({ data }) => {
      worker.terminate();
      resolve(data);
    });
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker has none
    worker.postMessage({ url: new URL(url, (document as { baseURI: string }).baseURI).href, image, options });
  });
}

Object.assign(globalThis, { qdg: web, classifyInWorker, decodeBrowserImage, imageToTensor });
