// The files of one run: what they are called, lines appended to them, and cutting them back to a checkpoint. What
// the lines say is the trainer's business.

import { appendFile, mkdir, open, rm, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { checkWritable, writeFileAtomic } from "../../base/atomic-file.js";
import { errorText, QdgError } from "../../base/error.js";
import { type ProcessLock, takeLock } from "../../base/process-lock.js";

/** Files of one JSON object a line; they only grow, but for a resumed run that cuts them back. */
export const LINE_FILES = ["log", "results", "freezing"] as const;
export type LineFile = (typeof LINE_FILES)[number];

/** Bytes of each. */
export type LineSizes = Readonly<Record<LineFile, number>>;

/** Everything that a run writes; --force removes these and nothing else. */
export const RUN_FILES: readonly string[] = [
  "checkpoint.bin",
  "run.json",
  "model.json",
  "weights.bin",
  "weights-2.bin",
  "model.onnx",
  ...LINE_FILES.map((name) => `${name}.jsonl`),
];

export class RunFolder {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /**
   * Looks, before long work, whether a new run can be written to `path`. Changes nothing.
   *
   * @throws QdgError `exists` when a run, or a model, is there and `force` is not set; `io`
   */
  static async check(path: string, force: boolean): Promise<void> {
    for (const name of RUN_FILES) {
      const file = join(path, name);
      if (force || !(await exists(file))) continue;
      throw new QdgError(
        "exists",
        path,
        `there is a ${name} in this folder already; go on with it by --resume, replace it by --force, or give another --out`,
      );
    }
    await checkWritable(join(path, "checkpoint.bin"), true);
  }

  /**
   * Makes this process the only one that trains in `path`, making the folder.
   *
   * @param onNote told where a process has ended without giving the folder back
   * @throws QdgError `unavailable` where another process trains there; `io`
   */
  static async lock(path: string, onNote: (note: string) => void): Promise<ProcessLock> {
    const lock = await takeLock(join(path, "run.lock"), path);
    if (lock.takenFrom) {
      const { pid, since } = lock.takenFrom;
      onNote(
        `took over ${path} from process ${pid}, which began at ${since} and has ended without giving it back`,
      );
    }
    return lock;
  }

  /**
   * A folder for a new run; makes it.
   *
   * @param force remove the files of a run that is there
   * @throws QdgError as {@link check}
   */
  static async create(path: string, force: boolean): Promise<RunFolder> {
    await RunFolder.check(path, force);
    return attempt(path, async () => {
      await mkdir(path, { recursive: true });
      for (const name of RUN_FILES) await rm(join(path, name), { force: true });
      return new RunFolder(path);
    });
  }

  /** The folder of a run that is to go on. @throws QdgError `not-found` when it has no checkpoint */
  static async open(path: string): Promise<RunFolder> {
    const folder = new RunFolder(path);
    if (await exists(folder.checkpoint)) return folder;
    throw new QdgError(
      "not-found",
      folder.checkpoint,
      "there is no checkpoint to go on from; give the --out of a run, or start one without --resume",
    );
  }

  get checkpoint(): string {
    return join(this.path, "checkpoint.bin");
  }

  /** Whether the weights of the kept model stand under the second of their two names. */
  hasSecondWeights(): Promise<boolean> {
    return exists(join(this.path, "weights-2.bin"));
  }

  /** Writes `run.json`, replacing it. */
  async writeRun(run: object): Promise<void> {
    const path = join(this.path, "run.json");
    await writeFileAtomic(path, `${JSON.stringify(run, null, 2)}\n`, { force: true });
  }

  async append(file: LineFile, line: object): Promise<void> {
    const path = this.#lines(file);
    await attempt(path, () => appendFile(path, `${JSON.stringify(line)}\n`));
  }

  /** Sizes as they stand, on the disk itself: a checkpoint that names them must not outlive them. */
  async lineSizes(): Promise<LineSizes> {
    const sizes = { log: 0, results: 0, freezing: 0 };
    for (const name of LINE_FILES) {
      const path = this.#lines(name);
      sizes[name] = await attempt(path, async () => {
        const file = await open(path, "a");
        try {
          await file.datasync();
          return (await file.stat()).size;
        } finally {
          await file.close();
        }
      });
    }
    return sizes;
  }

  /**
   * Takes away what was appended after a checkpoint, so that nothing is told twice.
   *
   * @throws QdgError `invalid-data` when a file is shorter than at the checkpoint
   */
  async cutBack(sizes: LineSizes): Promise<void> {
    for (const name of LINE_FILES) {
      const path = this.#lines(name);
      const found = await attempt(path, async () => ((await exists(path)) ? (await stat(path)).size : 0));
      if (found < sizes[name]) {
        throw new QdgError(
          "invalid-data",
          path,
          `got ${found} bytes, expected at least ${sizes[name]}, as at the checkpoint; bring the file back, or start anew with --force`,
        );
      }
      if (found > sizes[name]) await attempt(path, () => truncate(path, sizes[name]));
    }
  }

  #lines(file: LineFile): string {
    return join(this.path, `${file}.jsonl`);
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return false;
    throw new QdgError("io", path, `cannot be looked at: ${errorText(thrown)}`, { cause: thrown });
  }
}

async function attempt<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    if (thrown instanceof QdgError) throw thrown;
    throw new QdgError("io", path, `cannot be written: ${errorText(thrown)}`, { cause: thrown });
  }
}
