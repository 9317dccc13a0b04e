// The page of the browser tests: hands qdg/web to the test, and a worker that has it too.

import * as web from "../../../src/web.js";

declare const document: object;
interface WorkerLike {
  onmessage: ((event: { data: unknown }) => void) | null;
  postMessage(message: unknown): void;
  terminate(): void;
}
declare const Worker: new (url: URL, options: object) => WorkerLike;

function classifyInWorker(url: string, image: unknown): Promise<unknown> {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  return new Promise((resolve) => {
    worker.onmessage = ({ data }) => {
      worker.terminate();
      resolve(data);
    };
    worker.postMessage({ url: new URL(url, (document as { baseURI: string }).baseURI).href, image });
  });
}

Object.assign(globalThis, { qdg: web, classifyInWorker });
