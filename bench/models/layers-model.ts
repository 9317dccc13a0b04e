// Writes a layers-model, as tfjs saves it, from a list of layers and their weights. Plain JSON and bytes: no
// tfjs, so that making a model costs neither its memory nor its start.

import { mkdir, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

export interface Weight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array<ArrayBuffer>;
}

interface LayerJson {
  readonly name: string;
  readonly class_name: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly inbound_nodes: readonly unknown[];
}

/** A model in memory: {@link saveLayersModel} writes it, tests can feed it to tfjs as it is. */
export interface LayersModel {
  readonly name: string;
  readonly layers: readonly LayerJson[];
  readonly weights: readonly Weight[];
  readonly input: string;
  readonly output: string;
}

/** tfjs splits weights at 4 MB. */
const SHARD_BYTES = 4 * 1024 * 1024;

/** Collects layers in order; each `add` names the layers it reads and returns its own name. */
export class LayersModelBuilder {
  readonly #layers: LayerJson[] = [];
  readonly #weights: Weight[] = [];

  /** @param shape of one example, channels last; null for a size that is not fixed */
  input(name: string, shape: readonly (number | null)[]): string {
    const config = { batch_input_shape: [null, ...shape], dtype: "float32", sparse: false };
    return this.add("InputLayer", name, [], config);
  }

  /** @param weights by the name within the layer, in tfjs's order */
  add(
    className: string,
    name: string,
    inputs: readonly string[],
    config: Readonly<Record<string, unknown>> = {},
    weights: Readonly<Record<string, Omit<Weight, "name">>> = {},
  ): string {
    this.#layers.push({
      name,
      class_name: className,
      config: { name, trainable: true, ...config },
      inbound_nodes: inputs.length === 0 ? [] : [inputs.map((input) => [input, 0, 0, {}])],
    });
    for (const [weight, { shape, data }] of Object.entries(weights)) {
      this.#weights.push({ name: `${name}/${weight}`, shape, data });
    }
    return name;
  }

  build(name: string, input: string, output: string): LayersModel {
    return { name, layers: this.#layers, weights: this.#weights, input, output };
  }
}

/** The `modelTopology` and the list of weights, as in model.json. */
export function topologyOf(model: LayersModel): {
  readonly modelTopology: Record<string, unknown>;
  readonly weightSpecs: readonly { name: string; shape: readonly number[]; dtype: "float32" }[];
} {
  return {
    modelTopology: {
      class_name: "Model",
      config: {
        name: model.name,
        layers: model.layers,
        input_layers: [[model.input, 0, 0]],
        output_layers: [[model.output, 0, 0]],
      },
      keras_version: "tfjs-layers 4.22.0",
      backend: "tensor_flow.js",
    },
    weightSpecs: model.weights.map(({ name, shape }) => ({ name, shape, dtype: "float32" })),
  };
}

/**
 * Writes `path` (a model.json) and its shards beside it, replacing what is there.
 *
 * @returns number of weights
 */
export async function saveLayersModel(
  path: string,
  model: LayersModel,
  extra: Readonly<Record<string, unknown>> = {},
): Promise<number> {
  const count = model.weights.reduce((sum, weight) => sum + weight.data.length, 0);
  const bytes = new Uint8Array(4 * count);
  let at = 0;
  for (const { data } of model.weights) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  const shards = Math.max(1, Math.ceil(bytes.length / SHARD_BYTES));
  const paths = Array.from({ length: shards }, (_, i) => `group1-shard${i + 1}of${shards}.bin`);
  const { modelTopology, weightSpecs } = topologyOf(model);
  const json = {
    format: "layers-model",
    generatedBy: "qdg bench",
    convertedBy: null,
    modelTopology,
    weightsManifest: [{ paths, weights: weightSpecs }],
    ...extra,
  };
  const folder = dirname(path);
  await mkdir(folder, { recursive: true });
  for (const [i, name] of paths.entries()) {
    await writeFile(join(folder, name), bytes.subarray(i * SHARD_BYTES, (i + 1) * SHARD_BYTES));
  }
  await writeFile(join(folder, basename(path)), JSON.stringify(json));
  return count;
}
