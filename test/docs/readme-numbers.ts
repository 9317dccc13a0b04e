// The table of measured numbers in README.md, out of bench/results/results.jsonl: the newest value of each row.

import type { RunResult } from "../../bench/results.js";
import { table } from "./markdown.js";

const BEGIN = "<!-- numbers: npm run docs -->";
const END = "<!-- /numbers -->";

/** A line of the table: `{part: row}` in its text is the value of that row without its quartiles. */
const LINES: readonly (readonly [what: string, text: string])[] = [
  [
    "size of a file",
    "MobileNetV2 0.35 at 8, 4 and 3 bits {size: mobilenet-v2-0.35, W8A8}, {size: mobilenet-v2-0.35, W4A4} and {size: mobilenet-v2-0.35, W3A3}: b bits per weight, and up to 30 kB of all else",
  ],
  [
    "speed on CPU against float32",
    "W8A8: ResNet-18 {latency: resnet-18 on cpu, W8A8 (integer form)}, darknet-tiny {latency: darknet-tiny on cpu, W8A8 (integer form)}, MobileNetV2 0.35 {latency: mobilenet-v2-0.35 on cpu, W8A8 (integer form)}",
  ],
  [
    "speed on WebAssembly against float32",
    "W8A8: ResNet-18 {latency: resnet-18 on wasm, W8A8 (integer form)}, darknet-tiny {latency: darknet-tiny on wasm, W8A8 (integer form)}, MobileNetV2 0.35 {latency: mobilenet-v2-0.35 on wasm, W8A8 (float form)}",
  ],
  [
    "the engine against ONNX Runtime there, on float32 and on the same integers",
    "W4A8, no VNNI: MobileNetV2 0.35 {engine: mobilenet-v2-0.35 W4A8 against float32} and {engine: mobilenet-v2-0.35 W4A8 against the same integers}, EfficientNet-Lite0 {engine: efficientnet-lite0 W4A8 against float32} and {engine: efficientnet-lite0 W4A8 against the same integers}, ResNet-18 {engine: resnet-18 W4A8 against float32} and {engine: resnet-18 W4A8 against the same integers}",
  ],
  [
    "same class as float32, calibrated",
    "MobileNetV2 0.35, 64 images: W8A8 {lowbits-mobilenet-v2-0.35: mobilenet-v2-0.35, W8A8}, W4A8 {lowbits-mobilenet-v2-0.35: mobilenet-v2-0.35, W4A8}, by layer {lowbits-mobilenet-v2-0.35: mobilenet-v2-0.35, W4A8 mixed}, W3A8 by layer {lowbits-mobilenet-v2-0.35: mobilenet-v2-0.35, W3A8 mixed}, W4A4 {lowbits-mobilenet-v2-0.35: mobilenet-v2-0.35, W4A4}",
  ],
  [
    "elements that differ, five targets",
    "shapes-dg at 3 bits: {certificate: shapes-dg, 3 bits learned on browser-webgpu}; MobileNetV2 0.35 W4A4: {certificate: mobilenet-v2-0.35, W4A4 on browser-webgpu}",
  ],
  [
    "a page with a 1-MB model",
    "first result in a cold browser after {page: first result in a cold browser, the engine}, {page: first result in a cold browser, ONNX Runtime on wasm} with ONNX Runtime; offline, second visit {page: first result on the second visit, the server stopped}",
  ],
];

/** README with its table made anew. @throws Error for a row that no run has, or markers that are not there */
export function withNumbers(readme: string, runs: readonly RunResult[]): string {
  const [before, rest] = halves(readme, BEGIN);
  const [, after] = halves(rest, END);
  const rows = LINES.map(([what, text]) => [
    what,
    text.replaceAll(/\{([^:}]+): ([^}]+)\}/g, (_, part: string, row: string) => valueOf(runs, part, row)),
  ]);
  return `${before}${BEGIN}\n\n${table(["measured", ""], rows)}\n\n${END}${after}`;
}

function valueOf(runs: readonly RunResult[], part: string, name: string): string {
  for (const run of runs.toReversed()) {
    const row = run.parts.find((each) => each.part === part)?.rows.find((each) => each.name === name);
    if (row) return row.value.replace(/ \[[^\]]*\]/, "");
  }
  throw new Error(`no run of the bench has the row "${name}" of ${part}`);
}

function halves(text: string, marker: string): readonly [string, string] {
  const at = text.indexOf(marker);
  if (at < 0) throw new Error(`README.md has no ${marker}`);
  return [text.slice(0, at), text.slice(at + marker.length)];
}

/** Text outside of code, the table of numbers and links' targets: where no measured figure may stand. */
export function proseOf(readme: string): string {
  const [before, rest] = halves(readme, BEGIN);
  const [, after] = halves(rest, END);
  return `${before}\n${after}`
    .replaceAll(/```[\s\S]*?```/g, "")
    .replaceAll(/`[^`]*`/g, "")
    .replaceAll(/\]\([^)]*\)/g, "]");
}
