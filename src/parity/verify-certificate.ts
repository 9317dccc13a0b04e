// Says whether a certificate is of these files and whether a rerun finds what it states. Hashes first: nothing is run for
// a certificate of other files.

import { stat } from "node:fs/promises";
import { join } from "node:path";
import { QdgError } from "../base/error.js";
import { readBytes, readError } from "../base/read-bytes.js";
import { openModel } from "../open/open-model.js";
import { type Certificate, hasPassed, type TargetResult } from "./certificate.js";
import { certifySources, type CertifyOptions, readSources } from "./certify.js";
import { type HashedBytes, readHashed } from "./exported-files.js";
import { parseCertificate } from "./read-certificate.js";

/** Far more than layers and differences of any network fill. */
const MOST_BYTES = 64 * 2 ** 20;

/** Where things lie now, where that is not what the certificate says. */
export interface VerifyOptions extends Pick<
  CertifyOptions,
  "onSkipped" | "progress" | "runtimeOptions" | "runtimeOf"
> {
  readonly model?: string;
  readonly folder?: string;
  readonly data?: readonly string[];
}

export interface Verification {
  /** What the rerun found. */
  readonly rerun: Certificate;
  /** Places where the certificate states something else; empty when it holds. */
  readonly differences: readonly string[];
  /** Versions that are others than then. */
  readonly notes: readonly string[];
}

/**
 * @param path of the certificate's JSON
 * @throws QdgError `not-found`, `invalid-json`, `invalid-data` naming the file or the data that the certificate is not of;
 * what certifying throws
 */
export async function verifyCertificate(path: string, options: VerifyOptions = {}): Promise<Verification> {
  const stated = parseCertificate(await certificateText(path), path);
  const { seed, count, skipBroken, sources, preprocessing, inputSize, labels, engineAfter } = stated.data;
  const given: CertifyOptions = {
    ...options,
    model: options.model ?? stated.model.path,
    folder: options.folder ?? stated.folder,
    data: options.data ?? sources,
    targets: stated.targets.map(({ target }) => target),
    seed,
    count,
    skipBroken,
    ...(preprocessing && { preprocessing }),
    ...(inputSize && { inputSize }),
    ...(labels && { labels }),
    engineAfter,
  };
  const { sourceHash } = await openModel(given.model);
  checkHash("another model", given.model, sourceHash, stated.model.sha256, path);
  checkFiles(await readHashed(given.folder), stated, given.folder, path);
  const found = await readSources(given);
  checkHash("other data", found.data.description, found.data.sha256, stated.data.sha256, path);
  const rerun = await certifySources(given, found);
  return {
    rerun,
    differences: differencesOf("", comparable(stated), comparable(rerun)),
    notes: versionNotes(stated, rerun),
  };
}

async function certificateText(path: string): Promise<string> {
  const file = await stat(path).catch((thrown: unknown) => {
    throw readError(path, thrown);
  });
  // What is no file may have no end.
  if (!file.isFile() || file.size > MOST_BYTES) {
    const got = file.isFile() ? `a file of ${file.size} bytes` : "what is no file";
    throw new QdgError(
      "invalid-data",
      path,
      `got ${got}, expected a certificate of at most ${MOST_BYTES} bytes`,
    );
  }
  return (await readBytes(path)).toString("utf8");
}

function checkHash(kind: string, what: string, got: string, expected: string, certificate: string): void {
  if (got === expected) return;
  throw new QdgError(
    "invalid-data",
    certificate,
    `is a certificate for ${kind}: ${what} has SHA-256 ${got}, expected ${expected}; give what was certified, or certify anew`,
  );
}

function checkFiles(files: readonly HashedBytes[], stated: Certificate, folder: string, path: string): void {
  for (const { name, sha256 } of stated.files) {
    const file = files.find((each) => each.name === name);
    if (!file) {
      throw new QdgError(
        "not-found",
        path,
        `is a certificate for ${name}, which is not in ${folder}; give the folder that was certified`,
      );
    }
    checkHash("other files", join(folder, name), file.sha256, sha256, path);
  }
  const strange = files.find(({ name }) => !stated.files.some((each) => each.name === name));
  if (strange) {
    throw new QdgError(
      "invalid-data",
      path,
      `is a certificate for other files: ${strange.name} in ${folder} is not among them; certify anew`,
    );
  }
}

/** What must be the same in every rerun: counts, not the words of runtimes, nor the last bits of real numbers. */
function comparable(certificate: Certificate): unknown {
  const { files, session, data, reference, targets, exactness } = certificate;
  return {
    passed: hasPassed(certificate),
    files,
    session,
    data: { inputs: data.inputs },
    reference,
    targets: Object.fromEntries(targets.map((result) => [result.target, comparableTarget(result)])),
    exactness,
  };
}

function comparableTarget(result: TargetResult): unknown {
  const { runtime: _, firstDifference: __, outputs, ...counts } = result;
  return { ...counts, outputs: outputs.map(({ name }) => name) };
}

/** Places where two JSON values differ, as "targets.cpu.elements: got 1, expected 2". */
function differencesOf(where: string, stated: unknown, found: unknown): string[] {
  if (isObject(stated) && isObject(found)) {
    const keys = new Set([...Object.keys(stated), ...Object.keys(found)]);
    return [...keys].flatMap((key) =>
      differencesOf(where === "" ? key : `${where}.${key}`, stated[key], found[key]),
    );
  }
  if (Object.is(stated, found)) return [];
  return [`${where}: the certificate states ${textFor(stated)}, the rerun found ${textFor(found)}`];
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function textFor(value: unknown): string {
  const text = value === undefined ? "nothing" : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

function versionNotes(stated: Certificate, found: Certificate): string[] {
  const pairs: (readonly [string, string | undefined, string])[] = [
    ...(["qdg", "node", "platform"] as const).map(
      (name) => [name, stated.versions[name], found.versions[name]] as const,
    ),
    ...found.targets.map(
      ({ target, runtime }) =>
        [target, stated.targets.find((each) => each.target === target)?.runtime, runtime] as const,
    ),
  ];
  return pairs.flatMap(([name, then, now]) => (then === now ? [] : [`${name}: ${then} then, ${now} now`]));
}
