// Values of many samples, by name: in memory while they are few, else in a temporary folder, so that memory does not grow
// with the number of samples. float32 only: that is what networks compute between quantizers.

import { open, type FileHandle, rm } from "node:fs/promises";
import { join } from "node:path";
import { QdgError } from "../../base/error.js";
import { expectDType, float32, sizeOf, type Tensor } from "../../base/tensor.js";
import { temporaryFolder } from "../../base/temporaries.js";

/** Bytes that stay in memory. */
const IN_MEMORY = 400e6;

export class ValueStore {
  readonly #inMemory: number;
  readonly #kept = new Map<string, Map<number, Tensor>>();
  readonly #written = new Map<
    string,
    Map<number, { readonly shape: readonly number[]; readonly at: number }>
  >();
  readonly #files = new Map<string, { readonly handle: FileHandle; readonly path: string; end: number }>();
  #bytes = 0;
  #folder: Awaited<ReturnType<typeof temporaryFolder>> | null = null;
  #count = 0;

  constructor(inMemory: number = IN_MEMORY) {
    this.#inMemory = inMemory;
  }

  async set(sample: number, name: string, value: Tensor): Promise<void> {
    if (value.dtype !== "float32" || this.#bytes + value.data.byteLength <= this.#inMemory) {
      this.#bytes += value.data.byteLength;
      into(this.#kept, name).set(sample, value);
      return;
    }
    const { data, shape } = expectDType(value, "float32", name);
    const file = await this.#file(name);
    await file.handle.write(
      new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
      0,
      data.byteLength,
      file.end,
    );
    into(this.#written, name).set(sample, { shape, at: file.end });
    file.end += data.byteLength;
  }

  /** @throws QdgError `internal` for a value that is not there */
  async get(sample: number, name: string): Promise<Tensor> {
    const kept = this.#kept.get(name)?.get(sample);
    if (kept) return kept;
    const written = this.#written.get(name)?.get(sample);
    const file = this.#files.get(name);
    if (!written || !file)
      throw new QdgError("internal", name, "is not at hand in this piece of the network");
    const bytes = new Uint8Array(4 * sizeOf(written.shape));
    await file.handle.read(bytes, 0, bytes.length, written.at);
    return float32(written.shape, new Float32Array(bytes.buffer));
  }

  get names(): readonly string[] {
    return [...new Set([...this.#kept.keys(), ...this.#written.keys()])];
  }

  async drop(name: string): Promise<void> {
    for (const { data } of this.#kept.get(name)?.values() ?? []) this.#bytes -= data.byteLength;
    this.#kept.delete(name);
    this.#written.delete(name);
    const file = this.#files.get(name);
    this.#files.delete(name);
    if (!file) return;
    await file.handle.close();
    await rm(file.path, { force: true });
  }

  async dispose(): Promise<void> {
    for (const name of this.names) await this.drop(name);
    await this.#folder?.remove();
    this.#folder = null;
  }

  async #file(name: string): Promise<{ readonly handle: FileHandle; readonly path: string; end: number }> {
    let file = this.#files.get(name);
    if (!file) {
      this.#folder ??= await temporaryFolder("qdg-values-");
      const path = join(this.#folder.path, String(this.#count++));
      file = { handle: await open(path, "wx+"), path, end: 0 };
      this.#files.set(name, file);
    }
    return file;
  }
}

function into<T>(maps: Map<string, Map<number, T>>, name: string): Map<number, T> {
  let map = maps.get(name);
  if (!map) maps.set(name, (map = new Map<number, T>()));
  return map;
}
