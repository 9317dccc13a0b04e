import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { QdgError } from "../../../src/base/error.js";
import {
  type CheckpointContent,
  encodeCheckpoint,
  loadCheckpoint,
  saveCheckpoint,
} from "../../../src/train/run/checkpoint-file.js";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "qdg-checkpoint-"));
});
afterAll(() => rm(folder, { recursive: true }));

const CONTENT: CheckpointContent = {
  values: { step: 3, nested: { text: "ä\n", list: [1, 2.5, null] } },
  arrays: new Map<string, Float32Array | Int8Array>([
    ["conv/kernel", Float32Array.of(1, -0, 1e-45, 3.4e38)],
    ["integers", Int8Array.of(-128, 0, 127)],
    ["empty", new Float32Array(0)],
    ["__proto__", Float32Array.of(7)],
  ]),
};

describe("a checkpoint file", () => {
  test("gives back what was saved, to the bit", async () => {
    const path = join(folder, "a.bin");
    await saveCheckpoint(path, CONTENT);
    const loaded = await loadCheckpoint(path);
    expect(loaded).toEqual(CONTENT);
    expect(Object.is(loaded.arrays.get("conv/kernel")?.[1], -0)).toBe(true);
  });

  test("gives back any content", async () => {
    const path = join(folder, "any.bin");
    const array = fc.oneof(fc.float32Array({ maxLength: 9 }), fc.int8Array({ maxLength: 9 }));
    const values = fc.dictionary(
      fc.string(),
      fc.oneof(
        fc.string(),
        fc.integer(),
        fc.double({ noNaN: true, noDefaultInfinity: true }).filter((x) => !Object.is(x, -0)),
      ),
    );
    await fc.assert(
      fc.asyncProperty(values, fc.array(fc.tuple(fc.string(), array)), async (record, entries) => {
        const content = { values: { ...record }, arrays: new Map(entries) };
        await saveCheckpoint(path, content);
        expect(await loadCheckpoint(path)).toEqual(content);
      }),
      { numRuns: 40 },
    );
  });

  test("replaces the one before, and leaves no other file", async () => {
    const place = await mkdtemp(join(folder, "replace-"));
    const path = join(place, "c.bin");
    await saveCheckpoint(path, CONTENT);
    await saveCheckpoint(path, { ...CONTENT, values: { step: 4 } });
    expect((await loadCheckpoint(path)).values).toEqual({ step: 4 });
    expect(await readdir(place)).toEqual(["c.bin"]);
  });

  test("stays as it was when the next cannot be written", async () => {
    const path = join(folder, "full.bin");
    await saveCheckpoint(path, CONTENT);
    const full = (): Promise<void> =>
      Promise.reject(
        new QdgError("io", path, "cannot be written: ENOSPC: no space left on device; nothing was changed"),
      );
    await expect(saveCheckpoint(path, { ...CONTENT, values: {} }, full)).rejects.toMatchObject({
      code: "io",
    });
    expect(await loadCheckpoint(path)).toEqual(CONTENT);
  });

  test("never holds a number that JSON has no word for", () => {
    expect(() => encodeCheckpoint({ values: { loss: Number.NaN }, arrays: new Map() })).toThrow(
      /loss is NaN/,
    );
  });
});

describe("a file that is not whole", () => {
  const whole = encodeCheckpoint(CONTENT);
  const changed = (at: number, ...values: number[]): Uint8Array => {
    const bytes = whole.slice();
    bytes.set(values, at);
    return bytes;
  };

  test("is refused wherever it is cut", async () => {
    for (let length = 0; length < whole.length; length++) {
      await expect(load(whole.subarray(0, length)), `${length} bytes`).rejects.toMatchObject({
        code: "invalid-data",
      });
    }
  });

  test("is refused whichever of its bytes is another", async () => {
    for (let at = 0; at < whole.length; at++) {
      const bytes = changed(at, (whole[at] as number) ^ 0x41);
      await expect(load(bytes), `byte ${at}`).rejects.toMatchObject({ code: "invalid-data" });
    }
  });

  test.each([
    ["another file", Buffer.from("{}"), /is no checkpoint of qdg/],
    ["one with more behind it", Buffer.concat([whole, Buffer.of(0)]), /bytes, expected \d+; it is damaged/],
    [
      "another version",
      changed(8, 2),
      /got a checkpoint of version 2, expected 1; go on with the qdg that wrote it/,
    ],
    ["a header of 4 GB", changed(12, 255, 255, 255, 255), /is cut short: the header says 4294967295 bytes/],
    ["one that is cut", whole.subarray(0, whole.length - 4), /got \d+ bytes, expected \d+; it is damaged/],
    ["another number", changed(whole.length - 4, 9), /does not match its SHA-256/],
  ])("%s is refused with the reason", async (_, bytes, says) => {
    await expect(load(bytes)).rejects.toThrow(says);
  });

  test("that claims terabytes is refused before memory is taken", async () => {
    const header = Buffer.from(
      '{"values":{},"arrays":[{"name":"a","dtype":"float32","length":4000000000000}]}',
    );
    const prelude = Buffer.alloc(48);
    prelude.write("qdg-run\n", "latin1");
    prelude.writeUInt32LE(1, 8);
    prelude.writeUInt32LE(header.length, 12);
    await expect(load(Buffer.concat([prelude, header]))).rejects.toThrow(
      /expected 16000000000\d+; it is damaged/,
    );
  });

  test("that is not there is not found", async () => {
    await expect(loadCheckpoint(join(folder, "none.bin"))).rejects.toMatchObject({ code: "not-found" });
    expect(await readFile(join(folder, "a.bin"))).toBeDefined();
  });
});

async function load(bytes: Uint8Array): Promise<unknown> {
  const path = join(folder, "broken.bin");
  await writeFile(path, bytes);
  return loadCheckpoint(path);
}
