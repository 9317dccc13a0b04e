// A certificate as one page of HTML that people read: it loads nothing and its own policy forbids it to. Every name out of
// files and runtimes is escaped. No numbers are made here but sums of the certificate's own.

import { type Markup, markup } from "../base/page/markup.js";
import { staticPage } from "../base/page/static-page.js";
import type { LayerExactness } from "../export/exactness/layers.js";
import {
  type Certificate,
  type CertifiedData,
  hasPassed,
  type StepCounts,
  type TargetResult,
} from "./certificate.js";
import type { GroupAccuracy } from "./metrics/accuracy.js";

const STYLE = `
.verdict{display:inline-block;padding:4px 14px;border-radius:8px;border:2px solid currentColor;font-weight:700;letter-spacing:.04em}
.verdict.passed{color:var(--series-2)}
.verdict.failed{color:var(--series-6)}
code{font-size:13px;overflow-wrap:anywhere}
.measured{color:var(--muted)}
`;

/** @returns the whole page */
export function certificatePage(certificate: Certificate): string {
  const { reasons, notes, targets, reference, uncertified } = certificate;
  const passed = hasPassed(certificate);
  const title = `Certificate of ${certificate.model.path}`;
  const proven = certificate.exactness.map(({ file, layers }) => {
    const count = layers.filter(({ exactness }) => exactness === "proven").length;
    return `${file} ${count} of ${layers.length}`;
  });
  const header = markup`<p><span class="verdict ${passed ? "passed" : "failed"}">${passed ? "PASSED" : "NOT PASSED"}</span></p>
<p>${targets.length} target(s) compared with the reference interpreter on ${certificate.data.inputs} input(s): ${
    passed ? "each computes what it promises" : "not every one computes what it promises"
  }. Proven by the bytes of the file alone: ${proven.join(", ")}.</p>
${bullets(reasons)}${bullets(notes)}${notCertified(uncertified)}`;
  const main = markup`<section id="targets"><h2>Targets</h2>
${targetsTable(targets)}
<p class="muted">A step is one integer of a quantized tensor. Outputs are those of the file as it is deployed, relative to the largest element of one input (to 1 at least where the output is bounded, as a softmax is); integers are read from the same file with its quantized tensors given out.</p>
<h3>Elements by difference in steps</h3>
${histogramTable(targets)}${targets.map(differences)}</section>
<section id="accuracy"><h2>Accuracy</h2>
${accuracyTable(reference.accuracy, targets)}</section>
<section id="exactness"><h2>Proven or measured</h2>
<p>Proven: given the same integers before a layer, no runtime that follows IEEE 754 can compute others after it. No partial sum leaves the numbers that its kernel holds exactly, in any order of addition, and at most one correctly rounded operation follows. Numbers after the last integer are proven when nothing is rounded at all. Measured: equal on the inputs of this certificate.</p>
${certificate.exactness.map(({ file, layers }) => exactnessTable(file, layers))}</section>
<section id="life"><h2>Life</h2>
<p>Equality says nothing of a network that is dead: each quantized tensor takes three levels at least, and inputs that differ get more than one class, unless the float model does no better on the same inputs.</p>
${lifeTable(certificate)}</section>
<section id="subject"><h2>What was certified</h2>
${subjectTable(certificate)}</section>
`;
  return staticPage(title, STYLE, header, main);
}

function bullets(lines: readonly string[]): Markup | null {
  if (lines.length === 0) return null;
  return markup`<ul class="notes">${lines.map((line) => markup`<li>${line}</li>`)}</ul>
`;
}

/** Who reads that the folder passed must not take it for a word on these. */
function notCertified(files: readonly string[]): Markup | null {
  if (files.length === 0) return null;
  return markup`<p><strong>Not certified:</strong> ${files.join(", ")}. No target ran what is in these files of the folder.</p>
`;
}

type Cell = Markup | string | number;

function table(
  kind: "numbers" | "texts",
  head: readonly string[],
  rows: readonly (readonly Cell[])[],
): Markup {
  const body = rows.map(([first = "", ...rest]) => {
    const cells = rest.map((cell) => markup`<td>${cell}</td>`);
    return markup`<tr><th scope="row">${first}</th>${cells}</tr>
`;
  });
  return markup`<div class="scroll"><table class="${kind}"><thead><tr>${head.map((name) => markup`<th scope="col">${name}</th>`)}</tr></thead>
<tbody>${body}</tbody></table></div>
`;
}

function targetsTable(targets: readonly TargetResult[]): Markup {
  return table(
    "numbers",
    ["target", "elements", "differing", "outputs, relative", "predictions differing", "file", "promise"],
    targets.map(({ target, file, elements, histogram, outputs, predictions, promise }) => [
      target,
      grouped(elements),
      grouped(elements - countAt(histogram, 0)),
      outputs.map(({ relativeDifference: each }) => each?.toExponential(1) ?? "not finite").join(", "),
      predictions ? `${predictions.differing} of ${predictions.compared}` : "-",
      file,
      `${promise.steps} steps, ${promise.relative} relative, ${promise.predictions} predictions`,
    ]),
  );
}

/** Steps down, targets across. */
function histogramTable(targets: readonly TargetResult[]): Markup {
  const steps = [...new Set(targets.flatMap(({ histogram }) => histogram.map(([each]) => each)))];
  const rows: Cell[][] = [];
  for (const each of steps.sort((a, b) => a - b)) {
    const counts = targets.map(({ histogram }) => grouped(countAt(histogram, each)));
    rows.push([each > 0 ? `+${each}` : String(each), ...counts]);
  }
  if (targets.some(({ notFinite }) => notFinite > 0)) {
    rows.push(["no finite number", ...targets.map(({ notFinite }) => grouped(notFinite))]);
  }
  return table("numbers", ["steps", ...targets.map(({ target }) => target)], rows);
}

function countAt(histogram: StepCounts, steps: number): number {
  return histogram.find(([each]) => each === steps)?.[1] ?? 0;
}

/** Where a target leaves the reference; nothing where it does not. */
function differences({ target, differing, firstDifference: first }: TargetResult): Markup {
  if (!first) return markup``;
  const rows = differing.map(({ name, layer, count }) => [name, layer, grouped(count)]);
  return markup`<h3>${target}: where it differs</h3>
<p>First in layer ${first.layer}, tensor ${first.tensor}[${first.index.join(", ")}], input ${first.input}: got ${String(first.got)}, expected ${String(first.expected)}, counted from the zero point where the files differ in form.</p>
${table("numbers", ["tensor", "layer", "elements that differ"], rows)}`;
}

function accuracyTable(reference: readonly GroupAccuracy[], targets: readonly TargetResult[]): Markup {
  if (reference.length === 0) {
    return markup`<p>The data carries no labels of the model: folders of images as domain/class/image do.</p>
`;
  }
  return table(
    "numbers",
    ["domain", "inputs", "reference", ...targets.map(({ target }) => target)],
    reference.map(({ group, inputs, accuracy }, i) => [
      group === "" ? "all" : group,
      inputs,
      percent(accuracy),
      ...targets.map((each) => percent(each.accuracy[i]?.accuracy ?? null)),
    ]),
  );
}

function exactnessTable(file: string, layers: readonly LayerExactness[]): Markup {
  const rows = layers.map((each): Cell[] => [
    markup`${each.layer}<br><small>${each.tensor}</small>`,
    each.kernel === null ? "-" : each.kernel === "integer" ? "int32" : "float32",
    each.accumulatorBound === null ? "-" : grouped(each.accumulatorBound),
    each.limit === null ? "-" : `2^${Math.log2(each.limit)}`,
    each.exactness === "proven"
      ? markup`<strong>proven</strong>`
      : markup`<span class="measured">measured: ${each.reason}</span>`,
  ]);
  return markup`<h3>${file}</h3>
${table("texts", ["layer", "sums in", "largest sum", "below", "exactness"], rows)}`;
}

function lifeTable({ reference }: Certificate): Markup {
  const classes = Object.entries(reference.classesPredicted).map(
    ([name, count]) => markup`<p>${name}: ${count} class(es) predicted.</p>
`,
  );
  const rows = reference.tensors.map(({ name, layer, bits, levelsUsed }) => [name, layer, bits, levelsUsed]);
  return markup`${classes}${table("numbers", ["tensor", "layer", "bits", "levels used"], rows)}`;
}

function subjectTable(certificate: Certificate): Markup {
  const { model, folder, files, data, versions, session, reference } = certificate;
  const rows: Cell[][] = [
    [model.path, markup`${hash(model.sha256)} (the model's files)`],
    ...files.map(({ name, sha256, sizeBytes, form, scales, targets }): Cell[] => [
      `${folder}, ${name}`,
      markup`${hash(sha256)}, ${grouped(sizeBytes)} bytes, form ${form ?? "float32"}, scales ${scales ?? "none"}; ${targets.length > 0 ? `run by ${targets.join(", ")}` : "NOT CERTIFIED, no target ran it"}`,
    ]),
    [
      "data",
      markup`${data.description}: ${hash(data.sha256)} (what was fed), seed ${data.seed}${given(data)}`,
    ],
    ["reference", referenceText(reference)],
    ["versions", `qdg ${versions.qdg}, Node ${versions.node}, ${versions.platform}`],
    ...certificate.targets.map(({ target, runtime }): Cell[] => [target, runtime]),
    ["sessions", `${session.threads} thread(s), optimization ${session.optimization}`],
  ];
  return table("texts", ["", "SHA-256 and facts"], rows);
}

/** What of the data's way into the network was said by hand. */
function given({ preprocessing, inputSize, labels }: CertifiedData): string {
  return [
    preprocessing && `, preprocessing ${JSON.stringify(preprocessing)}`,
    inputSize && `, images of ${inputSize.join(" x ")}`,
    labels && `, classes ${labels.join(", ")}`,
  ]
    .filter((part) => part !== null)
    .join("");
}

function grouped(count: number): string {
  return count.toLocaleString("en-US", { maximumFractionDigits: 3 });
}

function percent(share: number | null): string {
  return share === null ? "-" : `${(100 * share).toFixed(2)} %`;
}

function hash(text: string): Markup {
  return markup`<code>${text}</code>`;
}

function referenceText({ file, inputs }: Certificate["reference"]): string {
  const interpreter = `the interpreter of qdg on ${file}`;
  if (inputs.engine === 0) return interpreter;
  return `${interpreter} for ${inputs.reference} input(s); for ${inputs.engine} more qdg's engine, which was equal to it in every integer of these`;
}
