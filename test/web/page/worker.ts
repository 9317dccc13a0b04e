// Loads a model and classifies one picture, in a worker.

import { load, type LoadOptions } from "../../../src/web.js";

interface Task {
  readonly url: string;
  readonly image: Blob;
  readonly options: LoadOptions;
}
interface Scope {
  addEventListener(type: "message", listener: (event: { data: Task }) => void): void;
  postMessage(message: unknown): void;
}
const scope = globalThis as unknown as Scope;

async function answer({ url, image, options }: Task): Promise<object> {
  try {
    const model = await load(url, options);
    const { label, probabilities } = await model.classify(image);
    await model.dispose();
    return { label, probabilities, device: model.device, threads: model.threads };
  } catch (thrown) {
    return { error: String(thrown) };
  }
}

scope.addEventListener("message", ({ data }) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker has none
  void answer(data).then((result) => scope.postMessage(result));
});
