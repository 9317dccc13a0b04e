// What goes through the queue: a job on its way to a worker, and what the worker gives back. Whoever can write to Redis
// can write this, so every field is checked before it is used.

import { QdgError } from "../../base/error.js";
import { VERSION } from "../../base/version.js";
import { countOf, listOf, objectOf, textOf } from "../../train/report/fields.js";
import { RUN_FILES } from "../../train/run/run-folder.js";
import type { AskedTrainOptions, TrainOptionName } from "../../train/run/train-options.js";
import { identityOf, JOB_NAME, MACHINE_OPTIONS, type SweepJob } from "../job.js";
import { OUTPUT } from "../run-job.js";
import { checkOptions } from "../sweep-file.js";

/** A job on its way. */
export interface JobMessage {
  readonly sweep: string;
  readonly job: SweepJob;
  /** What relative paths are relative to on the machine that the sweep was started on. */
  readonly base: string;
}

/** Files of a run folder as they lie in Redis. */
export interface StoredFiles {
  /** Part of their keys. */
  readonly upload: string;
  readonly files: readonly StoredFile[];
}

export interface StoredFile {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}

const FORMAT = 1;
/** Of all files of a job: a checkpoint of ResNet-18 has a third of it. */
export const MOST_BYTES: number = 2 ** 30;
export const CHUNK_BYTES: number = 4 * 2 ** 20;

/** What may lie in a run folder that comes from elsewhere, and under no other name. */
export const STORED_NAMES: readonly string[] = [...RUN_FILES, OUTPUT];

/** Of BullMQ. Names of jobs hold no slash. */
export function jobId(sweep: string, job: string): string {
  return `${sweep}/${job}`;
}

/** Plain JSON. Options of the machine stay with the machine. */
export function messageOf({ sweep, job, base }: JobMessage): object {
  const { name, identity, options } = job;
  const shared = Object.entries(options).filter(
    ([option]) => option === "checkpointEvery" || !MACHINE_OPTIONS.includes(option as TrainOptionName),
  );
  return { format: FORMAT, qdg: VERSION, sweep, name, identity, options: Object.fromEntries(shared), base };
}

/** @throws QdgError `invalid-data` for what is no job of this version of qdg, or whose options are not those it names */
export function parseMessage(value: unknown, where: string): JobMessage {
  const message = checkedVersion(value, where);
  const options = objectOf(message["options"], `${where}: options`) as AskedTrainOptions;
  const identity = textOf(message["identity"], `${where}: identity`);
  const [sweep, name] = ["sweep", "name"].map((key) => {
    const text = textOf(message[key], `${where}: ${key}`);
    if (!JOB_NAME.test(text))
      throw new QdgError("invalid-data", where, `${key}: "${text}" is no name of a folder`);
    return text;
  }) as [string, string];
  if (identityOf(options) !== identity)
    throw new QdgError(
      "invalid-data",
      where,
      "its options are not those that it was made with; it was changed",
    );
  checkOptions(options, where);
  return {
    sweep,
    base: textOf(message["base"], `${where}: base`),
    job: { index: 0, name, options, identity },
  };
}

/** Whether a job that waits in the queue is the same. @throws QdgError `exists` where it is another one of that name */
export function checkSame(value: unknown, job: SweepJob, queue: string): void {
  const there = (value ?? {}) as Readonly<Record<string, unknown>>;
  if (there["qdg"] === VERSION && there["identity"] === job.identity) return;
  const other = there["qdg"] === VERSION ? "other options" : "another version of qdg";
  throw new QdgError(
    "exists",
    `queue ${queue}`,
    `has a job ${job.name} with ${other}, of a sweep of the same name; wait until that is done, or give another --queue`,
  );
}

/** What a worker gives back, or leaves for another one. */
export function storedOf(job: SweepJob, { upload, files }: StoredFiles): object {
  return { format: FORMAT, qdg: VERSION, identity: job.identity, upload, files };
}

/** @throws QdgError `invalid-data` for files of another version, of other options, of names that no run has, or too large */
export function parseStored(value: unknown, job: SweepJob, where: string): StoredFiles {
  const stored = checkedVersion(value, where);
  if (stored["identity"] !== job.identity)
    throw new QdgError("invalid-data", where, `is of other options than ${job.name} has in this sweep`);
  const upload = textOf(stored["upload"], `${where}: upload`);
  if (!/^[0-9a-f]{16}$/.test(upload)) throw new QdgError("invalid-data", where, "upload is no key of qdg");
  let total = 0;
  const files = listOf(stored["files"], `${where}: files`).map((each, i) => {
    const at = `${where}: files[${i}]`;
    const file = objectOf(each, at);
    const name = textOf(file["name"], `${at}.name`);
    if (!STORED_NAMES.includes(name))
      throw new QdgError("invalid-data", at, `"${name}" is no file of a run folder`);
    const sha256 = textOf(file["sha256"], `${at}.sha256`);
    if (!/^[0-9a-f]{64}$/.test(sha256)) throw new QdgError("invalid-data", at, "sha256 is no SHA-256");
    const bytes = countOf(file["bytes"], `${at}.bytes`);
    total += bytes;
    return { name, bytes, sha256 };
  });
  if (total > MOST_BYTES)
    throw new QdgError("invalid-data", where, `got ${total} bytes, expected at most ${MOST_BYTES}`);
  if (new Set(files.map(({ name }) => name)).size < files.length)
    throw new QdgError("invalid-data", where, "a file is listed twice");
  return { upload, files };
}

function checkedVersion(value: unknown, where: string): Readonly<Record<string, unknown>> {
  const found = objectOf(value, where);
  const version = textOf(found["qdg"], `${where}: qdg`);
  if (version !== VERSION)
    throw new QdgError(
      "invalid-data",
      where,
      `is of qdg ${version}, and this is ${VERSION}; use one version everywhere`,
    );
  if (found["format"] !== FORMAT) throw new QdgError("invalid-data", where, "is of another format");
  return found;
}
