// The strict way back from JSON to a certificate: a key too many, one missing, a value of another kind is an error that
// names the place. It takes nothing on trust but the numbers themselves, which only a rerun can check.

import { errorText, QdgError } from "../base/error.js";
import { EXACTNESS } from "../export/exactness/layers.js";
import { preprocessingFromJson, preprocessingToJson } from "../image/preprocessing.js";
import {
  countOf,
  listOf,
  numberOf,
  numberOrNull,
  objectOf,
  oneOf,
  shareOf,
  textOf,
} from "../train/report/fields.js";
import {
  type Certificate,
  CERTIFICATE_VERSION,
  CERTIFIED_TARGETS,
  type CertifiedTarget,
} from "./certificate.js";
import { refuseContradictions } from "./certificate-contradictions.js";
import type { GroupAccuracy } from "./metrics/accuracy.js";

type Read<T> = (value: unknown, where: string) => T;

/** An object with these keys and no others. */
function object<T>(fields: { readonly [Key in keyof T]: Read<T[Key]> }): Read<T> {
  const readers = Object.entries<Read<unknown>>(fields);
  return (value, where) => {
    const given = objectOf(value, where);
    const strange = Object.keys(given).find((key) => !Object.hasOwn(fields, key));
    if (strange !== undefined) {
      const known = readers.map(([key]) => key).join(", ");
      throw new QdgError("invalid-data", where, `got the key "${strange}", expected only ${known}`);
    }
    return Object.fromEntries(readers.map(([key, read]) => [key, read(given[key], `${where}.${key}`)])) as T;
  };
}

function list<T>(read: Read<T>): Read<T[]> {
  return (value, where) => listOf(value, where).map((each, i) => read(each, `${where}[${i}]`));
}

/** null must be there as such: a field that is missing is an error. */
function nullable<T>(read: Read<T>): Read<T | null> {
  return (value, where) => (value === null ? null : read(value, where));
}

const flag: Read<boolean> = (value, where) => {
  if (typeof value === "boolean") return value;
  throw new QdgError("invalid-data", where, "expected true or false");
};

const sha256: Read<string> = (value, where) => {
  const text = textOf(value, where);
  if (/^[0-9a-f]{64}$/.test(text)) return text;
  throw new QdgError("invalid-data", where, `got "${text.slice(0, 80)}", expected a SHA-256 in hexadecimal`);
};

/** A name within a folder, no path out of it. */
const fileName: Read<string> = (value, where) => {
  const text = textOf(value, where);
  if (text !== "" && !/[/\\\0]/.test(text) && text !== "..") return text;
  throw new QdgError("invalid-path", where, `got "${text}", expected the name of a file`);
};

const target: Read<CertifiedTarget> = (value, where) => oneOf(value, CERTIFIED_TARGETS, where);

const version: Read<typeof CERTIFICATE_VERSION> = (value, where) => {
  if (value === CERTIFICATE_VERSION) return value;
  throw new QdgError(
    "invalid-data",
    where,
    `got ${JSON.stringify(value) ?? "nothing"}, expected ${CERTIFICATE_VERSION}; give a certificate of this version, or certify anew`,
  );
};

const accuracy: Read<GroupAccuracy[]> = list(
  object<GroupAccuracy>({ group: textOf, inputs: countOf, accuracy: shareOf }),
);

const counts: Read<Record<string, number>> = (value, where) =>
  Object.fromEntries(
    Object.entries(objectOf(value, where)).map(([key, count]) => [key, countOf(count, `${where}.${key}`)]),
  );

const stepCount: Read<[number, number]> = (value, where) => {
  const [steps, count, ...rest] = listOf(value, where);
  if (rest.length > 0) throw new QdgError("invalid-data", where, "expected [steps, elements]");
  return [numberOf(steps, where), countOf(count, where)];
};

const imageSize: Read<[number, number]> = (value, where) => {
  const [height, width, ...rest] = listOf(value, where).map((side) => countOf(side, where));
  if (height && width && rest.length === 0) return [height, width];
  throw new QdgError("invalid-data", where, "expected [height, width], both > 0");
};

const difference: Read<NonNullable<Certificate["targets"][number]["firstDifference"]>> = object({
  tensor: textOf,
  layer: textOf,
  input: textOf,
  index: list(countOf),
  expected: numberOf,
  // JSON has no NaN.
  got: (value, where) => numberOrNull(value, where) ?? Number.NaN,
});

const certificate: Read<Certificate> = object<Certificate>({
  qdgCertificate: version,
  reasons: list(textOf),
  notes: list(textOf),
  model: object({ path: textOf, sha256 }),
  folder: textOf,
  files: list(
    object({
      name: fileName,
      sha256,
      sizeBytes: countOf,
      form: nullable(textOf),
      scales: nullable(textOf),
      targets: list(target),
    }),
  ),
  uncertified: list(fileName),
  versions: object({ qdg: textOf, node: textOf, platform: textOf }),
  session: object({ threads: countOf, optimization: textOf }),
  data: object({
    sources: list(textOf),
    count: nullable(countOf),
    seed: countOf,
    skipBroken: flag,
    preprocessing: nullable((value: unknown, where: string) =>
      preprocessingToJson(preprocessingFromJson(value, where)),
    ),
    inputSize: nullable(imageSize),
    labels: nullable(list(textOf)),
    engineAfter: nullable(countOf),
    description: textOf,
    inputs: countOf,
    sha256,
  }),
  reference: object({
    file: fileName,
    inputs: object({ reference: countOf, engine: countOf }),
    tensors: list(object({ name: textOf, layer: textOf, bits: countOf, levelsUsed: countOf })),
    classesPredicted: counts,
    accuracy,
  }),
  targets: list(
    object({
      target,
      runtime: textOf,
      file: fileName,
      promise: object({ steps: countOf, relative: numberOf, predictions: countOf }),
      tensors: countOf,
      elements: countOf,
      histogram: list(stepCount),
      notFinite: countOf,
      differing: list(object({ name: textOf, layer: textOf, count: countOf })),
      firstDifference: nullable(difference),
      outputs: list(object({ name: textOf, relativeDifference: nullable(numberOf) })),
      predictions: nullable(object({ compared: countOf, differing: countOf })),
      accuracy,
    }),
  ),
  exactness: list(
    object({
      file: fileName,
      layers: list(
        object({
          layer: textOf,
          tensor: textOf,
          kernel: nullable((value: unknown, where: string) => oneOf(value, ["integer", "float"], where)),
          accumulatorBound: nullable(numberOf),
          limit: nullable(numberOf),
          exactness: (value, where) => oneOf(value, EXACTNESS, where),
          reason: textOf,
        }),
      ),
    }),
  ),
});

/**
 * The certificate that a JSON text holds.
 *
 * @param where what messages call it: its path
 * @throws QdgError `invalid-json`; `invalid-data` or `invalid-path` naming the field that is not as expected, or that
 * contradicts another
 */
export function parseCertificate(text: string, where: string): Certificate {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (thrown) {
    throw new QdgError(
      "invalid-json",
      where,
      `is not JSON (${errorText(thrown)}); give a file that qdg certify has written`,
      { cause: thrown },
    );
  }
  // Before all the rest, so that another version is called that.
  version(objectOf(json, where)["qdgCertificate"], `${where}, qdgCertificate`);
  const read = certificate(json, where);
  refuseContradictions(read, where);
  return read;
}
