// Loads the model beside the page, which shows how far that is; what both pages begin with.

import { load, type Manifest, type Model } from "../src/web.js";
import { askedFor, MANIFEST_URL, readManifest } from "./manifest.js";
import { showProgress } from "./view.js";

export async function openModel(): Promise<{ readonly model: Model; readonly manifest: Manifest }> {
  const reading = readManifest();
  // Its error is that of load too, which is waited for first.
  reading.catch(() => undefined);
  const model = await load(MANIFEST_URL, {
    ...askedFor(),
    // The service worker keeps the files; a second copy would take the space twice.
    cache: false,
    onProgress: ({ loadedBytes, totalBytes }) => showProgress(loadedBytes, totalBytes),
  });
  return { model, manifest: await reading };
}
