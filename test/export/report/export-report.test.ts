// What `--report` shows: the data, the page that holds it, and that a model's names stay text.

import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { escapeHtml } from "../../../src/base/page/markup.js";
import { exportModel, type ExportResult } from "../../../src/export/export-model.js";
import type { BitsFrontier } from "../../../src/export/budget/frontier.js";
import type { ExportReport } from "../../../src/export/report/export-report.js";
import { exportPage, reportLine } from "../../../src/export/report/report-page.js";
import { rangePreprocessing } from "../../../src/image/preprocessing.js";
import { runCli } from "../../support/run-cli.js";
import {
  editJson,
  madeUpScales,
  newFolder,
  removeFolder,
  writeImages,
  writeResnet,
} from "../../support/small-models.js";

let folder = "";
let model = "";
let result: ExportResult;
let report: ExportReport;
let html = "";
beforeAll(async () => {
  folder = await newFolder();
  model = await writeResnet(join(folder, "model"));
  result = await exportModel({
    model,
    output: join(folder, "out", "net.onnx"),
    report: join(folder, "pages", "net.html"),
    bits: 3,
    activationBits: 4,
    preprocessing: rangePreprocessing(-1, 1),
    calibration: [await writeImages(join(folder, "images"), 14)],
    calibrationCount: 8,
    heldOutCount: 6,
    targets: ["cpu", "webgpu"],
  });
  report = result.report as ExportReport;
  html = await readFile(report.path, "utf8");
});
afterAll(() => removeFolder(folder));

function sumOf(shares: readonly number[]): number {
  return shares.reduce((total, share) => total + share, 0);
}

/** Tags that do not close in the order in which they opened; SVG's and HTML's own empty ones apart. */
function illFormed(page: string): string[] {
  const open: string[] = [];
  const wrong: string[] = [];
  const body = page.replace("<!doctype html>", "").replaceAll(/<style>.*?<\/style>/gs, "");
  for (const [tag, slash, name = "", rest = ""] of body.matchAll(/<(\/?)([a-z0-9]*)((?:"[^"]*"|[^">])*)>/g)) {
    if (name === "meta" || name === "br" || rest.endsWith("/")) continue;
    if (slash === "") open.push(name);
    else if (open.pop() !== name) wrong.push(tag);
  }
  if (/[<>]/.test(body.replaceAll(/<\/?[a-z][a-z0-9]*(?:"[^"]*"|[^"<>])*>/g, "")))
    wrong.push("a loose bracket");
  return [...wrong, ...open];
}

describe("the data", () => {
  test("have each layer of the network once, in its order, with the bits that the file has", () => {
    const weighted = report.layers.filter(({ weightBits }) => weightBits !== null);
    expect(weighted.map(({ layer }) => layer)).toEqual(Object.keys(result.bits));
    expect(
      Object.fromEntries(
        weighted.map(({ layer, weightBits, activationBits }) => [layer, [weightBits, activationBits ?? 0]]),
      ),
    ).toEqual(result.bits);
    expect(new Set(report.layers.map(({ layer }) => layer)).size).toBe(report.layers.length);
    expect(report.layers.flatMap(({ operators }) => operators)).toContain("Add");
    // An image of 8 bits, whose values the first layer only moves.
    expect(report.layers[0]).toMatchObject({ operators: ["Transpose"], activationBits: 8 });
  });

  test("have an error for every weighted layer, and fitted weights come nearer to the float network", () => {
    const weighted = report.layers.filter(({ weightBits }) => weightBits !== null);
    expect(weighted.every(({ sqnrDb, nearestSqnrDb }) => sqnrDb !== null && nearestSqnrDb !== null)).toBe(
      true,
    );
    expect(report.samples).toBe(6);
    expect(report.nearest?.sqnrDb).toBeLessThan(result.cost?.sqnrDb as number);
    // A rectifier's value is its layer's and judged once; behind a sum there is no layer that it is of.
    const named = (op: string) => report.layers.filter(({ operators }) => operators.join() === op);
    expect(named("Relu").filter(({ sqnrDb }) => sqnrDb !== null)).toHaveLength(named("Add").length);
    expect(named("Relu").length).toBeGreaterThan(named("Add").length);
    // The last layer's value is the network's output before its softmax, or the output: what the file gives, within rounding.
    expect(weighted.at(-1)?.sqnrDb).toBeGreaterThan(weighted.at(-1)?.nearestSqnrDb as number);
  });

  test("have parts that add up to the file", async () => {
    const total = report.parts.reduce((sum, { bytes }) => sum + bytes, 0);
    expect(total).toBe((await stat(result.path)).size);
    expect(report.parts.every(({ bytes }) => bytes >= 0)).toBe(true);
    expect(report.floatBytes).toBeGreaterThan(result.sizeBytes);
  });

  test("have a histogram for each quantizer, whose shares add up to one", () => {
    const weights = report.histograms.filter(({ what }) => what === "weights");
    expect(weights.map(({ layer, bits }) => [layer, bits])).toEqual(
      Object.entries(result.bits).map(([layer, [bits]]) => [layer, bits]),
    );
    expect(report.histograms.length).toBeGreaterThan(weights.length);
    for (const { real, integers, below, above, bits } of report.histograms) {
      expect(real).toHaveLength(64);
      expect(integers).toHaveLength(Math.min(64, 2 ** bits));
      expect(sumOf(real) + below + above).toBeCloseTo(1, 1);
      expect(sumOf(integers)).toBeCloseTo(1, 1);
    }
  });

  test("name the kernels of the file for cpu, and show that for webgpu as it is written", () => {
    const [cpu, webgpu] = report.files;
    expect(cpu).toMatchObject({ targets: ["cpu"], form: "integer" });
    expect(cpu?.operators).toHaveProperty(["com.microsoft.QLinearConv"]);
    expect(cpu?.nodesOptimized).toBeLessThan(cpu?.nodesWritten as number);
    expect(webgpu).toMatchObject({ targets: ["webgpu"], nodesOptimized: null });
    expect(report.layers.filter(({ kernel }) => kernel === "QLinearConv").length).toBeGreaterThan(2);
  });

  test("are bounded: some kilobytes a layer, as JSON", () => {
    expect(JSON.stringify(report).length).toBeLessThan(3000 * report.layers.length);
  });
});

describe("the page", () => {
  test("holds the data, and every tag closes", () => {
    expect(illFormed(html)).toEqual([]);
    expect(illFormed("<p><b>x</p></b>")).not.toEqual([]);
    expect(illFormed("<p>1 < 2</p>")).not.toEqual([]);
    for (const { layer } of report.layers) expect(html).toContain(`>${layer}<br>`);
    for (const warning of result.warnings) expect(html).toContain(escapeHtml(warning));
    expect(html.match(/<figure class="grid">/g)).toHaveLength(report.histograms.length);
    expect(html).toContain(`<strong>${result.cost?.sqnrDb.toFixed(1)} dB</strong>`);
    expect(html).toContain(">QLinearConv<");
    expect(html).not.toMatch(/NaN|undefined|Infinity|\[object/);
  });

  test("asks no network for anything, and its policy forbids it", () => {
    expect(html).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`);
    expect(html).not.toMatch(/<link|<img|<iframe|<script|\ssrc=|@import|url\(|href=/);
  });

  test("keeps names out of a model as text", () => {
    const evil = `"><script>alert('1')</script>\u202E`;
    const hostile: ExportReport = {
      ...report,
      layers: report.layers.map((layer) => ({ ...layer, layer: evil, operators: [evil], kernel: evil })),
      parts: [{ part: evil, bytes: 1 }],
      histograms: report.histograms.map((each) => ({ ...each, layer: evil })),
      files: report.files.map((file) => ({ ...file, path: evil, operators: { [evil]: 1 } })),
    };
    const page = exportPage({ ...result, path: evil, warnings: [evil] }, hostile, evil);
    expect(page).not.toContain("<script");
    expect(page).not.toContain("\u202E");
    expect(page).toContain("&quot;&gt;&lt;script&gt;");
    expect(illFormed(page)).toEqual([]);
  });

  test("draws size against error where bits were searched for, and only there", () => {
    expect(html).not.toContain("Size against error");
    const frontier: BitsFrontier = {
      points: [
        { sizeBytes: 1000, sqnrDb: 5 },
        { sizeBytes: 2000, sqnrDb: 15 },
      ],
      uniform: [{ bits: 4, sizeBytes: 1500, sqnrDb: 8 }],
      chosen: { sizeBytes: 1450, sqnrDb: 11.5 },
    };
    const page = exportPage(result, { ...report, frontier }, "m");
    expect(page).toContain("Size against error");
    expect(page).toMatch(/chosen<\/th><td>1,450<\/td><td>11\.5 dB/);
    expect(illFormed(page)).toEqual([]);
  });
});

test("a line says it in three numbers", () => {
  expect(reportLine(result, report)).toMatch(
    /^\d+\.\d % of the float file's size, output -?\d+\.\d dB \(rounded to nearest -?\d+\.\d dB\), \d+\.\d % of predictions kept$/,
  );
});

test("without samples the page shows bits, weights and bytes, and says that no error was measured", async () => {
  const learned = await writeResnet(join(folder, "learned"));
  const qdg = await madeUpScales(learned, { weightBits: 3, activationBits: 3 });
  await editJson(learned, (json: object) => ({ ...json, userDefinedMetadata: { qdg } }));
  const path = join(folder, "learned.html");
  const { code, stdout, stderr } = await runCli(
    "export",
    learned,
    "-o",
    join(folder, "learned.onnx"),
    "--report",
    path,
  );
  expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
  expect(stderr).toContain(`${path}: `);
  expect(stderr).toMatch(/\.html: \d+\.\d % of the float file's size\n/);
  const page = await readFile(path, "utf8");
  expect(page).toContain("error not measured: no held-out samples");
  expect(page).not.toContain("Error by layer");
  expect(illFormed(page)).toEqual([]);
});

test("an export without --report has none", async () => {
  const plain = await exportModel({ model, output: join(folder, "plain.onnx"), bits: 8 });
  expect(plain.report).toBeNull();
});
