// Loads a model and classifies one picture, in a worker.

import { load } from "../../../src/web.js";

interface Scope {
  onmessage: (event: { data: { url: string; image: Blob } }) => Promise<void>;
  postMessage(message: unknown): void;
}
const scope = globalThis as unknown as Scope;

scope.onmessage = async ({ data: { url, image } }) => {
  try {
    const model = await load(url);
    const { label, probabilities } = await model.classify(image);
    scope.postMessage({ label, probabilities, device: model.device, threads: model.threads });
    await model.dispose();
  } catch (thrown) {
    scope.postMessage({ error: String(thrown) });
  }
};
