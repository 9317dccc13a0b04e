import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { checkWritable, writeFileAtomic, writeFilesAtomic } from "../../src/base/atomic-file.js";
import type { QdgError } from "../../src/base/error.js";
import { thisProcess } from "../../src/base/process-identity.js";
import { removeTemporaries, watchTemporaries } from "../../src/base/temporaries.js";
import { ORDINARY_USER } from "../support/needs.js";

/** What the next write to a file does instead, and what the next link does. */
const fault = vi.hoisted(() => ({
  write: null as null | ((file: FileHandle) => Promise<void>),
  link: null as null | (() => Promise<void>),
}));

vi.mock("node:fs/promises", async (load) => {
  const real = await load<typeof import("node:fs/promises")>();
  return {
    ...real,
    open: async (...args: Parameters<typeof real.open>) => {
      const file = await real.open(...args);
      const replacement = fault.write;
      if (replacement) file.writeFile = () => replacement(file);
      return file;
    },
    link: (...args: Parameters<typeof real.link>) => (fault.link ?? (() => real.link(...args)))(),
  };
});

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: made up`), { code });
}

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "qdg-atomic-"));
});
afterEach(async () => {
  fault.write = null;
  fault.link = null;
  await rm(folder, { recursive: true, force: true });
});

async function refusal(promise: Promise<unknown>): Promise<QdgError> {
  return promise.then(
    () => Promise.reject(new Error("nothing was refused")),
    (thrown: QdgError) => thrown,
  );
}

describe("writeFileAtomic", () => {
  test("writes bytes and text, makes the folder, and leaves nothing else there", async () => {
    const path = join(folder, "new", "deep", "m.onnx");
    await writeFileAtomic(path, Uint8Array.of(1, 2, 255));
    await writeFileAtomic(join(folder, "new", "deep", "report.json"), "{}\n");
    expect([...(await readFile(path))]).toEqual([1, 2, 255]);
    expect((await readdir(join(folder, "new", "deep"))).toSorted()).toEqual(["m.onnx", "report.json"]);
  });

  test("leaves an existing file alone without force, and replaces it whole with force", async () => {
    const path = join(folder, "m.onnx");
    await writeFile(path, "the old and longer text");
    const error = await refusal(writeFileAtomic(path, "new"));
    expect(error.message).toBe(`${path}: the file exists already; give another name or --force [exists]`);
    expect(await readFile(path, "utf8")).toBe("the old and longer text");
    await writeFileAtomic(path, "new", { force: true });
    expect(await readFile(path, "utf8")).toBe("new");
    expect(await readdir(folder)).toEqual(["m.onnx"]);
  });

  test("does not replace a file that appears while it writes", async () => {
    const path = join(folder, "m.onnx");
    fault.write = () => writeFile(path, "somebody else's");
    const error = await refusal(writeFileAtomic(path, "ours"));
    expect(error.code).toBe("exists");
    expect(await readFile(path, "utf8")).toBe("somebody else's");
    expect(await readdir(folder)).toEqual(["m.onnx"]);
  });

  test("of several writes to one name at once lets exactly one win, whole", async () => {
    const path = join(folder, "m.onnx");
    const texts = Array.from({ length: 8 }, (_, i) => String(i).repeat(100_000));
    const results = await Promise.allSettled(texts.map((text) => writeFileAtomic(path, text)));
    expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(1);
    expect(texts).toContain(await readFile(path, "utf8"));
    expect(await readdir(folder)).toEqual(["m.onnx"]);
  });

  test("with force lets one of several win, whole", async () => {
    const path = join(folder, "m.onnx");
    const texts = Array.from({ length: 8 }, (_, i) => String(i).repeat(100_000));
    await Promise.all(texts.map((text) => writeFileAtomic(path, text, { force: true })));
    expect(texts).toContain(await readFile(path, "utf8"));
    expect(await readdir(folder)).toEqual(["m.onnx"]);
  });

  test.each([false, true])("on a full disk changes nothing and says so (force: %s)", async (force) => {
    const path = join(folder, "m.onnx");
    if (force) await writeFile(path, "old");
    fault.write = async (file) => {
      await file.write("half of i");
      throw systemError("ENOSPC");
    };
    const error = await refusal(writeFileAtomic(path, "half of it", { force }));
    expect(error.message).toBe(`${path}: cannot be written: ENOSPC: made up; nothing was changed [io]`);
    expect(await readdir(folder)).toEqual(force ? ["m.onnx"] : []);
    expect(force ? await readFile(path, "utf8") : "old").toBe("old");
  });

  test("renames where the file system has no links", async () => {
    for (const code of ["EPERM", "ENOTSUP", "ENOSYS"]) {
      fault.link = () => Promise.reject(systemError(code));
      await writeFileAtomic(join(folder, code), "text");
    }
    expect((await readdir(folder)).toSorted()).toEqual(["ENOSYS", "ENOTSUP", "EPERM"]);
  });

  test("removes its temporary file when the last step fails", async () => {
    fault.link = () => Promise.reject(systemError("EIO"));
    const error = await refusal(writeFileAtomic(join(folder, "m.onnx"), "text"));
    expect(error.message).toContain("EIO: made up; nothing was changed [io]");
    expect(await readdir(folder)).toEqual([]);
  });

  test("refuses a folder that is a file, and a file that is a folder", async () => {
    await writeFile(join(folder, "file"), "");
    expect((await refusal(writeFileAtomic(join(folder, "file", "m.onnx"), ""))).code).toBe("io");
    expect((await refusal(writeFileAtomic(folder, "", { force: true }))).code).toBe("io");
    expect(await readdir(folder)).toEqual(["file"]);
  });

  test("refuses a folder that is not writable", ORDINARY_USER, async () => {
    await chmod(folder, 0o555);
    const error = await refusal(writeFileAtomic(join(folder, "m.onnx"), ""));
    await chmod(folder, 0o755);
    expect(error.code).toBe("io");
    expect(error.message).toContain("permission denied; change the permissions");
  });

  test("takes a link to nowhere for a file that exists", async () => {
    const path = join(folder, "m.onnx");
    await symlink(join(folder, "nowhere"), path);
    expect((await refusal(writeFileAtomic(path, ""))).code).toBe("exists");
    expect(await readdir(folder)).toEqual(["m.onnx"]);
  });
});

describe("removeTemporaries", () => {
  test("is told of a file before it is there, and once it has its name", async () => {
    const told: [string, boolean][] = [];
    watchTemporaries((path, exists) => told.push([path, exists]));
    await writeFileAtomic(join(folder, "m.onnx"), "text");
    watchTemporaries(null);
    const [temporary] = told[0] as [string, boolean];
    expect(temporary).toMatch(/\.m\.onnx\.[\w.-]+\.tmp$/);
    expect(told).toEqual([
      [temporary, true],
      [temporary, false],
    ]);
  });

  test("leaves no temporary file of an interrupted write, and no finished file is touched", async () => {
    await writeFileAtomic(join(folder, "done"), "done");
    const stuck = new Promise<void>((reached) => {
      fault.write = () => {
        reached();
        return new Promise(() => undefined);
      };
    });
    void writeFileAtomic(join(folder, "m.onnx"), "text");
    await stuck;
    expect(await readdir(folder)).toHaveLength(2);
    removeTemporaries();
    expect(await readdir(folder)).toEqual(["done"]);
    removeTemporaries();
  });
});

function twoFiles(): { path: string; bytes: string }[] {
  return ["a", "b"].map((name) => ({ path: join(folder, name), bytes: `new ${name}` }));
}

describe("writeFilesAtomic", () => {
  test("writes every file whole before the first one gets its name", async () => {
    const seen: string[][] = [];
    fault.link = () => {
      seen.push(readdirSync(folder).toSorted());
      return Promise.reject(systemError("EPERM"));
    };
    await writeFilesAtomic(twoFiles());
    const temporaries = [/^\.a\..*\.tmp$/, /^\.b\..*\.tmp$/].map(
      (name) => expect.stringMatching(name) as string,
    );
    expect(seen[0]).toEqual(temporaries);
    expect(await readdir(folder)).toEqual(["a", "b"]);
  });

  test.each([false, true])("changes none when the disk is full at the second (force: %s)", async (force) => {
    if (force) await writeFile(join(folder, "a"), "old");
    let count = 0;
    fault.write = (file) =>
      count++ === 0 ? file.appendFile("new a") : Promise.reject(systemError("ENOSPC"));
    const error = await refusal(writeFilesAtomic(twoFiles(), { force }));
    expect(error.message).toBe(
      `${join(folder, "b")}: cannot be written: ENOSPC: made up; nothing was changed [io]`,
    );
    expect(await readdir(folder)).toEqual(force ? ["a"] : []);
    expect(force ? await readFile(join(folder, "a"), "utf8") : "old").toBe("old");
  });

  test("takes the first back when the name of the second has been taken meanwhile", async () => {
    fault.write = async (file) => {
      await file.appendFile("text");
      await writeFile(join(folder, "b"), "somebody else's");
    };
    expect((await refusal(writeFilesAtomic(twoFiles()))).code).toBe("exists");
    expect(await readdir(folder)).toEqual(["b"]);
    expect(await readFile(join(folder, "b"), "utf8")).toBe("somebody else's");
  });
});

describe("what a killed process has left", () => {
  test("goes with the next write beside it, and nothing of a process that may still run", async () => {
    const { place, pid, started } = thisProcess();
    const ended = spawnSync(process.execPath, ["-e", "0"]).pid;
    const random = "0123456789ab";
    const kept = [
      `.m.onnx.${place}-${pid}-${started}.${random}.tmp`,
      `.m.onnx.00000000-${ended}-1.${random}.tmp`,
      ".m.onnx.tmp",
      `m.onnx.${place}-${ended}-1.${random}.tmp`,
    ];
    const gone = [`.m.onnx.${place}-${ended}-1.${random}.tmp`, `.x.${place}-${ended}-1.${random}.tmp`];
    // The number is used again: this process did not start then.
    if (started !== "0") gone.push(`.m.onnx.${place}-${pid}-1.${random}.tmp`);
    for (const name of [...kept, ...gone.slice(1)]) await writeFile(join(folder, name), "half");
    await mkdir(join(folder, gone[0] as string, "deep"), { recursive: true });
    await writeFileAtomic(join(folder, "n.onnx"), "new");
    expect((await readdir(folder)).toSorted()).toEqual([...kept, "n.onnx"].toSorted());
  });
});

describe("checkWritable", () => {
  test("refuses a file that is there unless it may be replaced, and changes nothing", async () => {
    const path = join(folder, "m.onnx");
    await expect(checkWritable(path, false)).resolves.toBeUndefined();
    await writeFile(path, "");
    await expect(checkWritable(path, true)).resolves.toBeUndefined();
    expect((await refusal(checkWritable(path, false))).code).toBe("exists");
    expect(await readdir(folder)).toEqual(["m.onnx"]);
  });

  test("accepts folders that are yet to be made, but not below a file", async () => {
    await expect(checkWritable(join(folder, "a", "b", "m.onnx"), false)).resolves.toBeUndefined();
    const file = join(folder, "file");
    await writeFile(file, "");
    const error = await refusal(checkWritable(join(file, "a", "m.onnx"), false));
    expect(error.message).toBe(`${file}: is a file, expected a folder [io]`);
    expect(await readdir(folder)).toEqual(["file"]);
  });

  test("refuses a folder and a pipe, with force too", async () => {
    const pipe = join(folder, "pipe");
    execFileSync("mkfifo", [pipe]);
    for (const path of [folder, pipe]) {
      expect((await refusal(checkWritable(path, true))).code).toBe("io");
      expect((await refusal(writeFileAtomic(path, "", { force: true }))).code).toBe("io");
    }
    expect((await stat(pipe)).isFIFO()).toBe(true);
  });

  test("refuses a folder that is not writable", ORDINARY_USER, async () => {
    await chmod(folder, 0o555);
    const error = await refusal(checkWritable(join(folder, "new", "m.onnx"), false));
    await chmod(folder, 0o755);
    expect(error.message).toContain("not writable (permission denied; change the permissions");
  });
});
