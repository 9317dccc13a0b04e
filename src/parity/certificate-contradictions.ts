// What a certificate that is read may not say at once: numbers, reasons, files and data have to agree with each other.
// Says nothing of whether they are true, which only a rerun can.

import { QdgError } from "../base/error.js";
import { printable } from "../base/printable.js";
import {
  type Certificate,
  type CertifiedTarget,
  hasPassed,
  PROMISES,
  type TargetResult,
  uncertifiedFiles,
} from "./certificate.js";
import { brokenPromises } from "./certified-run.js";
import { randomCount } from "./inputs.js";
import { MOST_STEPS } from "./metrics/step-counts.js";

const REMEDY = "certify anew";

/** @throws QdgError `invalid-data` naming the first place that says another thing than the rest */
export function refuseContradictions(certificate: Certificate, where: string): void {
  const refuse = (place: string, what: string): never => {
    throw new QdgError("invalid-data", `${where}${place}`, `${what}; ${REMEDY}`);
  };
  const { files, reference, targets, exactness, data, reasons } = certificate;
  const names = files.map(({ name }) => name);
  unique(names, "at least one file", (what) => refuse(".files", what));
  unique(
    targets.map(({ target }) => target),
    "at least one target",
    (what) => refuse(".targets", what),
  );
  const known = (name: string, place: string): void => {
    if (!names.includes(name)) refuse(place, `got "${printable(name)}", expected one of the files`);
  };
  known(reference.file, ".reference.file");
  targets.forEach(({ file }, i) => known(file, `.targets[${i}].file`));
  exactness.forEach(({ file }, i) => known(file, `.exactness[${i}].file`));
  files.forEach((file, i) => {
    const ran = targets.filter((result) => result.file === file.name).map(({ target }) => target);
    if (sameTargets(file.targets, ran)) return;
    refuse(
      `.files[${i}].targets`,
      `got ${file.targets.join(", ") || "none"}, expected ${ran.join(", ") || "none"} as in the targets`,
    );
  });
  const left = uncertifiedFiles(files);
  if (left.join("\n") !== certificate.uncertified.join("\n")) {
    refuse(
      ".uncertified",
      `got ${printable(certificate.uncertified.join(", ")) || "none"}, expected ${printable(left.join(", ")) || "none"}, the files that no target ran`,
    );
  }
  targets.forEach((result, i) => {
    const what = targetContradiction(result);
    if (what !== null) refuse(`.targets[${i}]${what[0]}`, what[1]);
    const [broken] = brokenPromises(result);
    if (broken !== undefined && hasPassed(certificate)) {
      refuse(".reasons", `got none, but ${printable(broken)}`);
    }
  });
  if (data.inputs === 0) refuse(".data.inputs", "got 0, expected at least one");
  for (const source of data.sources) {
    const asked = randomCount(source, "invalid-data", `${where}.data.sources`);
    if (asked === null) continue;
    const expected = Math.min(asked, data.count ?? asked);
    if (data.inputs !== expected) {
      refuse(".data.inputs", `got ${data.inputs}, expected ${expected} of ${printable(source)}`);
    }
  }
  if (reasons.includes("")) refuse(".reasons", "got an empty one, expected what falls outside");
}

type Contradiction = readonly [place: string, what: string];

function targetContradiction(result: TargetResult): Contradiction | null {
  const { target, promise, elements, histogram, notFinite, differing, firstDifference, predictions } = result;
  const promised = PROMISES[target];
  if (JSON.stringify(promise) !== JSON.stringify(promised)) {
    return [
      ".promise",
      `got ${JSON.stringify(promise)}, expected ${JSON.stringify(promised)}, what ${target} promises`,
    ];
  }
  const isHistogram = histogram.every(
    ([steps], i) =>
      Number.isInteger(steps) &&
      Math.abs(steps) <= MOST_STEPS &&
      steps > (histogram[i - 1]?.[0] ?? -Infinity),
  );
  if (!isHistogram) {
    return [
      ".histogram",
      `expected each number of steps once, ascending, from -${MOST_STEPS} to ${MOST_STEPS}`,
    ];
  }
  const counted = histogram.reduce((sum, [, count]) => sum + count, notFinite);
  if (counted !== elements) return [".elements", `got ${elements}, but the histogram counts ${counted}`];
  const others = histogram.filter(([steps]) => steps !== 0).reduce((sum, [, count]) => sum + count, 0);
  const named = differing.reduce((sum, { count }) => sum + count, 0);
  // The same infinity on both sides is no finite number and no difference.
  if (named < others || named > others + notFinite) {
    return [".differing", `got ${named} elements, but the histogram has ${others} that differ`];
  }
  if ((firstDifference === null) !== (differing.length === 0)) {
    return [
      ".firstDifference",
      `got ${firstDifference ? "one" : "none"}, but ${differing.length} tensors differ`,
    ];
  }
  if (predictions && predictions.differing > predictions.compared) {
    return [".predictions", `got ${predictions.differing} that differ of ${predictions.compared}`];
  }
  return null;
}

function unique(names: readonly string[], expected: string, refuse: (what: string) => never): void {
  if (names.length > 0 && new Set(names).size === names.length) return;
  refuse(`got ${printable(names.join(", ")) || "none"}, expected ${expected}, each once`);
}

function sameTargets(one: readonly CertifiedTarget[], two: readonly CertifiedTarget[]): boolean {
  return one.length === two.length && one.every((target) => two.includes(target));
}
