// Several models that answer as one: the mean of their probabilities. Nothing is averaged before that, so
// each model keeps the integers it was checked with.

import { QdgError } from "../base/error.js";
import type { Classification } from "../model/classification.js";
import { classificationOf } from "../model/classification.js";
import { callsOf } from "./calls.js";
import { shown } from "./check-json.js";
import { checkAddress, checkLoadOptions } from "./check-options.js";
import type { ImageLike } from "./decode-image.js";
import { decodeBrowserImage } from "./decode-image.js";
import type { LoadOptions, LoadProgress } from "./load.js";
import { load } from "./load.js";
import type { Model } from "./model.js";

export interface Ensemble {
  readonly models: readonly Model[];
  readonly labels: readonly string[];
  /** `p[k] = (1/n) sum_i p_i[k]`, decoded once; latencyMs is that of all models together. */
  classify(image: ImageLike): Promise<Classification>;
  /** Frees the memory of all models, after the calls that were made before. A second call does nothing. */
  dispose(): Promise<void>;
}

/**
 * Loads each model as `load` does, all at once. If one fails, the others are disposed of.
 *
 * @throws QdgError `usage` for no address, or models whose labels differ; what `load` throws
 */
export function loadEnsemble(urls: readonly (string | URL)[], options: LoadOptions = {}): Promise<Ensemble> {
  return loadEnsembleWith(load, urls, options);
}

/** loadEnsemble with another load. */
export async function loadEnsembleWith(
  loadOne: typeof load,
  urls: readonly (string | URL)[],
  options: LoadOptions,
): Promise<Ensemble> {
  if (!Array.isArray(urls)) {
    throw new QdgError("usage", "urls", `got ${shown(urls)}, expected a list of addresses`);
  }
  urls.forEach((url, i) => checkAddress(url, `urls[${i}]`));
  checkLoadOptions(options);
  if (urls.length === 0) throw new QdgError("usage", "urls", "got none, expected at least one");
  const progress = urls.map((): LoadProgress => ({ loadedBytes: 0, totalBytes: null }));
  const settled = await Promise.allSettled(
    urls.map((url, i) =>
      loadOne(url, { ...options, ...(options.onProgress && { onProgress: (now) => report(i, now) }) }),
    ),
  );
  function report(i: number, now: LoadProgress): void {
    progress[i] = now;
    options.onProgress?.({
      loadedBytes: progress.reduce((sum, { loadedBytes }) => sum + loadedBytes, 0),
      totalBytes: progress.reduce<number | null>(
        (sum, { totalBytes }) => (sum === null || totalBytes === null ? null : sum + totalBytes),
        0,
      ),
    });
  }
  const models = settled.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  const disposeAll = async (): Promise<void> => {
    await Promise.all(models.map((model) => model.dispose()));
  };
  const failed = settled.find((result) => result.status === "rejected");
  if (failed !== undefined) {
    await disposeAll();
    throw failed.reason;
  }
  const { labels } = models[0] as Model;
  const other = models.find((model) => JSON.stringify(model.labels) !== JSON.stringify(labels));
  if (other !== undefined) {
    await disposeAll();
    throw new QdgError(
      "usage",
      other.url,
      `labels: got ${other.labels.join(", ")}, expected ${labels.join(", ")} as in ${models[0]?.url}; probabilities of other classes cannot be averaged`,
    );
  }
  const calls = callsOf(models.map(({ url }) => url).join(", "));
  return {
    models,
    labels,
    classify: (source) =>
      calls.begin(async () => {
        const image = await decodeBrowserImage(source);
        const started = performance.now();
        const answers: Classification[] = [];
        for (const model of models) answers.push(await model.classify(image));
        const mean = labels.map(
          (_, k) =>
            answers.reduce((sum, { probabilities }) => sum + (probabilities[k] as number), 0) / models.length,
        );
        return classificationOf(mean, labels, performance.now() - started);
      }),
    dispose: () => calls.end(disposeAll),
  };
}
