import { createHash } from "node:crypto";
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { brotliCompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { headersOf, parseHeaders } from "../../src/deploy/headers.js";
import { pageHtml } from "../../src/deploy/page-files.js";
import { testPictureSize } from "../../src/deploy/self-test.js";
import { type DeployOptions, type DeployResult, deploySite } from "../../src/deploy/site.js";
import { exportModel } from "../../src/export/export-model.js";
import { SHAPE_LABELS } from "../../src/image/draw-shapes.js";
import { noisePicture } from "../../src/image/noise-picture.js";
import { decodeModel, encodeModel } from "../../src/onnx/codec.js";
import { type ManifestClassifier, parseManifest } from "../../src/web/manifest.js";
import { MANIFEST_LIMITS } from "../../src/web/manifest-limits.js";
import { deployShapes, SHAPES_MODEL, temporaryFolder } from "../support/deployed-site.js";
import { runCli } from "../support/run-cli.js";

let root: string;
let result: DeployResult;
const at = (...parts: string[]): string => join(root, ...parts);
const text = (path: string): Promise<string> => readFile(at("site", path), "utf8");
const sha256 = (bytes: Uint8Array | string): string => createHash("sha256").update(bytes).digest("hex");

beforeAll(async () => {
  root = await temporaryFolder();
  result = await deployShapes(root, ["cpu", "wasm", "webgpu"], { title: "Shapes <&> more" });
});

afterAll(() => rm(root, { recursive: true }));

/** Deploys `folder` beside the first site, with the page that is built. */
function deploy(folder: string, options: Partial<DeployOptions> = {}): Promise<DeployResult> {
  return deploySite({ folder, to: at("other"), pageFolder: at("page"), ...options });
}

/** model.onnx with other metadata, in a folder of its own. */
async function withMetadata(name: string, change: (metadata: Map<string, string>) => void): Promise<string> {
  const model = decodeModel(await readFile(at("out", "model.onnx")));
  const metadata = new Map((model.metadataProps ?? []).map(({ key = "", value = "" }) => [key, value]));
  change(metadata);
  const metadataProps = [...metadata].map(([key, value]) => ({ key, value }));
  await mkdir(at(name), { recursive: true });
  await writeFile(at(name, "model.onnx"), encodeModel({ ...model, metadataProps }));
  return at(name);
}

describe("a site", () => {
  test("has every file that it says it has, and no other", async () => {
    const entries = await readdir(at("site"), { recursive: true, withFileTypes: true });
    const found = entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    expect(found.sort()).toEqual(result.files.map(({ path }) => at("site", path)).sort());
    for (const { path, sizeBytes } of result.files) {
      expect((await readFile(at("site", path))).length).toBe(sizeBytes);
    }
  });

  test("names models and runtime files by their hash, and the manifest holds the hash and size of each", async () => {
    const manifest = parseManifest(await text("manifest.json"), "manifest.json");
    expect(manifest).toEqual(result.manifest);
    expect(manifest.models.map(({ device }) => device)).toEqual(["wasm", "webgpu"]);
    expect(manifest.models[0]?.file).toMatch(/^model\.[0-9a-f]{8}\.onnx$/);
    expect(manifest.models[1]?.file).toMatch(/^model\.webgpu\.[0-9a-f]{8}\.onnx$/);
    expect(manifest.runtime.files.map(({ engine, device, name }) => [engine, device, name])).toEqual([
      ["qdg", "wasm", "qdg-simd.wasm"],
      ["qdg", "wasm", "qdg-relaxed.wasm"],
      ["onnxruntime", "wasm", "ort-wasm-simd-threaded.mjs"],
      ["onnxruntime", "wasm", "ort-wasm-simd-threaded.wasm"],
      ["onnxruntime", "webgpu", "ort-wasm-simd-threaded.asyncify.mjs"],
      ["onnxruntime", "webgpu", "ort-wasm-simd-threaded.asyncify.wasm"],
    ]);
    for (const file of [...manifest.models, ...manifest.runtime.files]) {
      const bytes = await readFile(at("site", file.file));
      expect(sha256(bytes)).toBe(file.sha256);
      expect(bytes.length).toBe(file.sizeBytes);
      expect(file.file).toContain(file.sha256.slice(0, 8));
    }
  });

  test("has a page that names its own manifest by its hash, the same bytes as manifest.json", async () => {
    const [, name = ""] = /name="qdg-manifest" content="\.\/(.+?)"/.exec(await text("index.html")) ?? [];
    expect(name).toBe(`manifest.${sha256(await text("manifest.json")).slice(0, 8)}.json`);
    expect(await text(name)).toBe(await text("manifest.json"));
    expect(result.files.map(({ path }) => path).slice(-3)).toEqual(["manifest.json", "index.html", "sw.js"]);
  });

  test("carries models byte for byte as they were exported", async () => {
    for (const [i, name] of ["model.onnx", "model.webgpu.onnx"].entries()) {
      expect(sha256(await readFile(at("out", name)))).toBe(result.manifest.models[i]?.sha256);
    }
  });

  test("says what the model's metadata says of labels, input and preprocessing", () => {
    const { labels, input, preprocessing, output } = result.manifest.classifier as ManifestClassifier;
    expect(labels).toEqual([...SHAPE_LABELS]);
    expect(input).toMatchObject({ height: 32, width: 32, channels: 3, layout: "nhwc" });
    expect(preprocessing).toMatchObject({ range: [0, 1], resize: "stretch" });
    expect(output.kind).toBe("softmax");
  });

  test("knows the same integers for both devices, each in the numbers that its file holds", async () => {
    const [wasm, webgpu] = result.manifest.models;
    const hashes = new Map(wasm?.integers.tensors.map(({ name, sha256: hash }) => [name, hash]));
    expect(webgpu?.integers.tensors.map(({ name }) => name)).toEqual([...hashes.keys()]);
    // With a zero point of 0 a byte is the integer that the float holds; "bn3b" and "bn3s" have another one.
    const other = webgpu?.integers.tensors.filter(({ name, sha256: hash }) => hashes.get(name) !== hash);
    expect(other?.map(({ name }) => name)).toEqual(["bn3b", "bn3s"]);
    expect(new Set(hashes.values()).size).toBeGreaterThan(9);
  });

  test("tests itself with pictures that get different answers", () => {
    const { cases } = result.manifest.selfTest;
    const best = cases.map(({ expected }) => {
      const values = Object.values(expected)[0]?.values ?? [];
      expect(values.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 5);
      return values.indexOf(Math.max(...values));
    });
    expect(new Set(best).size).toBeGreaterThan(1);
    for (const each of cases) {
      if (each.kind !== "picture") throw new Error("expected pictures");
      expect(sha256(noisePicture(each).data)).toBe(each.sha256);
    }
  });

  test("has no inline script, style or handler, and asks no other origin", async () => {
    const html = await text("index.html");
    expect(html).not.toMatch(/<script(?![^>]*\ssrc=)[^>]*>|<style|\sstyle=|\son[a-z]+=|javascript:|data:/i);
    const addresses = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? "");
    expect(addresses.length).toBeGreaterThan(2);
    for (const address of addresses) {
      expect(address).toMatch(/^\.\//);
      expect(result.files.map(({ path }) => `./${path}`)).toContain(address);
    }
  });

  test("shows a row for each class and the title, escaped", async () => {
    const html = await text("index.html");
    expect(html.match(/class="bar"/g)).toHaveLength(SHAPE_LABELS.length);
    expect(html).toContain("<h1>Shapes &lt;&amp;&gt; more</h1>");
    expect(html).toMatch(/Model 32\.1 kB, engine \d\d\.\d kB/);
    const template =
      '<!--qdg:preload--><!--qdg:title--><!--qdg:sizes--><!--qdg:rows--><meta content="./manifest.json" />';
    const texts = { title: "$&", sizes: "<b>", manifest: "manifest.1.json", preload: ["engine.js"] };
    const page = pageHtml(template, { ...texts, labels: ['<img src="x" onerror="y">'] });
    expect(page).toContain('content="./manifest.1.json"');
    expect(page).toContain('<link rel="preload" as="fetch" crossorigin href="./manifest.1.json" />');
    expect(page).toContain('<link rel="modulepreload" href="./engine.js" />');
    expect(page).not.toMatch(/<img|<b>/);
    expect(page).toContain("$&");
    const many = Array.from({ length: 1000 }, (_, i) => `class ${i}`);
    expect(pageHtml(template, { ...texts, labels: many }).match(/<li>/g)).toHaveLength(10);
  });

  test("has a service worker that knows the hash of every file but its own", async () => {
    const worker = await text("sw.js");
    const { version, files } = JSON.parse(/^self\.qdgSite = (.*);\n/.exec(worker)?.[1] ?? "") as {
      version: string;
      files: { path: string; role: string; sha256: string }[];
    };
    expect(version).toMatch(/^[0-9a-f]{16}$/);
    expect(files.map(({ path }) => path).sort()).toEqual(
      result.files
        .map(({ path }) => path)
        .filter((path) => path !== "sw.js" && path !== "_headers")
        .sort(),
    );
    for (const { path, sha256: hash } of files) expect(sha256(await readFile(at("site", path)))).toBe(hash);
  });

  test("has caching headers for every file by its path", async () => {
    const rules = parseHeaders(await text("_headers"), "_headers");
    for (const { path } of result.files) {
      if (path === "_headers") continue;
      const caching = headersOf(rules, `/${path}`)["Cache-Control"];
      expect(caching, path).toMatch(/\.[0-9a-f]{8}\.|^assets\//.test(path) ? /immutable/ : /^no-cache$/);
    }
  });

  test("brings under 60 kB of JavaScript to a visit with the engine, as brotli", async () => {
    const own = result.files.filter(({ path, roles }) => path.endsWith(".js") && roles.includes("page"));
    let total = 0;
    for (const { path } of own) total += brotliCompressSync(await readFile(at("site", path))).length;
    expect(own.length).toBeGreaterThan(1);
    expect(total).toBeLessThan(60_000);
  });

  test("is the same when it is made again", async () => {
    const again = await deploy(at("out"), { title: "Shapes <&> more" });
    expect(again.manifest).toEqual(result.manifest);
    expect(await readFile(at("other", "sw.js"), "utf8")).toBe(await text("sw.js"));
    await rm(at("other"), { recursive: true });
  });
});

test("pictures of the self-test are of the input's size up to 64 pixels a side, and keep its shape", () => {
  expect(testPictureSize({ height: 32, width: 32 })).toEqual({ height: 32, width: 32 });
  expect(testPictureSize({ height: 224, width: 112 })).toEqual({ height: 64, width: 32 });
  expect(testPictureSize({ height: 1, width: 4000 })).toEqual({ height: 1, width: 64 });
  expect(64 * 64).toBeLessThan(MANIFEST_LIMITS.selfTestPixels);
});

describe("a network without labels", () => {
  test("gets a page that feeds it numbers, and a manifest whose self-test does", async () => {
    const folder = await withMetadata("no-labels", (metadata) => metadata.delete("qdg.labels"));
    const { manifest, files, refusedByEngine } = await deploy(folder);
    expect([manifest.classifier, refusedByEngine]).toEqual([null, null]);
    const [first, second] = manifest.selfTest.cases;
    if (first?.kind !== "numbers" || second?.kind !== "numbers") throw new Error("expected numbers");
    // What the input's quantizer holds: 0 to 1 in 255 steps.
    expect(first.inputs["input"]).toMatchObject({ dtype: "float32", shape: [1, 32, 32, 3], low: 0 });
    expect(first.inputs["input"]?.high).toBeCloseTo(1, 6);
    expect(first.expected["classes"]?.values).not.toEqual(second.expected["classes"]?.values);
    const html = await readFile(at("other", "index.html"), "utf8");
    expect(html).toContain("<h1>A network</h1>");
    expect(html).toContain('id="outputs"');
    expect(files.filter(({ path }) => path.endsWith(".html")).map(({ path }) => path)).toEqual([
      "index.html",
    ]);
    await rm(at("other"), { recursive: true });
  });
});

describe("without ONNX Runtime", () => {
  test("a site holds the engine, and nothing of the other", async () => {
    const { manifest, files } = await deploy(at("out"), { engine: "only" });
    expect(manifest.models.map(({ device }) => device)).toEqual(["wasm"]);
    expect(manifest.runtime.files.map(({ name }) => name)).toEqual(["qdg-simd.wasm", "qdg-relaxed.wasm"]);
    expect(files.filter(({ path }) => /ort/.test(path))).toEqual([]);
    expect(files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)).toBeLessThan(400_000);
    await rm(at("other"), { recursive: true });
  });
});

describe("with a float32 file to compare with", () => {
  test("a site holds it too; without one, or with two, nothing is written", async () => {
    const folder = at("compared");
    await mkdir(folder);
    await writeFile(join(folder, "model.onnx"), await readFile(at("out", "model.onnx")));
    await expect(deploy(folder, { compare: true })).rejects.toThrow(
      /--compare: got no float32 files, expected one/,
    );
    await exportModel({ model: SHAPES_MODEL, output: join(folder, "float.onnx"), float: true });
    const { manifest, files } = await deploy(folder, { compare: true });
    expect(manifest.float32?.file).toMatch(/^model\.float32\.[0-9a-f]{8}\.onnx$/);
    const roles = files.find(({ path }) => path === manifest.float32?.file)?.roles;
    expect(roles).toEqual(["compare"]);
    await exportModel({ model: SHAPES_MODEL, output: join(folder, "again.onnx"), float: true });
    await expect(deploy(folder, { compare: true })).rejects.toThrow(/got 2 float32 files/);
    await rm(at("other"), { recursive: true });
  });
});

describe("what cannot be deployed", () => {
  test("is a folder without .onnx files, or none at all", async () => {
    await mkdir(at("empty"));
    await expect(deploy(at("empty"))).rejects.toThrow(/holds no \.onnx file; .*qdg export.* \[not-found\]/);
    await expect(deploy(at("nowhere"))).rejects.toThrow(/\[not-found\]/);
  });

  test("is a broken file", async () => {
    await mkdir(at("broken"));
    const bytes = await readFile(at("out", "model.onnx"));
    await writeFile(at("broken", "model.onnx"), bytes.subarray(0, 1000));
    await expect(deploy(at("broken"))).rejects.toThrow(/broken.model\.onnx.*\[invalid-onnx\]/);
    await writeFile(at("broken", "model.onnx"), "");
    await expect(deploy(at("broken"))).rejects.toThrow(/is empty/);
  });

  test.each([
    ["preprocessing", "qdg.preprocessing", /export it again with --preprocess/],
    ["a source", "qdg.source", /was not written by qdg/],
    ["a layout", "qdg.layout", /does not say how the axes of its input are ordered; export it again/],
  ])("is a file without %s", async (name, key, message) => {
    const folder = await withMetadata(`no-${name}`, (metadata) => metadata.delete(key));
    await expect(deploy(folder)).rejects.toThrow(message);
  });

  test("is a file with labels of another number, unless right ones are given", async () => {
    const folder = await withMetadata("labels", (metadata) => metadata.set("qdg.labels", '["a", "b"]'));
    await expect(deploy(folder)).rejects.toThrow(/expected one output with a number for each of 2 labels/);
    const labels = SHAPE_LABELS.map((label) => label.toUpperCase());
    expect((await deploy(folder, { labels })).manifest.classifier?.labels).toEqual(labels);
    await rm(at("other"), { recursive: true });
  });

  test("is metadata that is damaged", async () => {
    const folder = await withMetadata("damaged", (metadata) => metadata.set("qdg.preprocessing", "{"));
    await expect(deploy(folder)).rejects.toThrow(
      /damaged.*qdg\.preprocessing: .*; export the model again \[invalid-onnx\]/,
    );
    const wrong = await withMetadata("damaged", (metadata) =>
      metadata.set("qdg.preprocessing", '{"range": [1, 0]}'),
    );
    await expect(deploy(wrong)).rejects.toThrow(/qdg\.preprocessing: .*high > low/);
  });

  test("is files of different models, or two for one device, or none for WebAssembly", async () => {
    const folder = await withMetadata("mixed", (metadata) => metadata.set("qdg.source", "0".repeat(64)));
    await cp(at("out", "model.webgpu.onnx"), join(folder, "model.webgpu.onnx"));
    await expect(deploy(folder)).rejects.toThrow(/different models \(qdg\.source\)/);
    const two = await withMetadata("two", () => undefined);
    await cp(join(two, "model.onnx"), join(two, "second.onnx"));
    await expect(deploy(two)).rejects.toThrow(/both for wasm, expected one/);
    await mkdir(at("gpu"));
    await cp(at("out", "model.webgpu.onnx"), at("gpu", "model.webgpu.onnx"));
    await expect(deploy(at("gpu"))).rejects.toThrow(/has no file for WebAssembly/);
  });

  test("is a file for WebGPU that computes another thing than the one for WebAssembly", async () => {
    const folder = at("different");
    await mkdir(folder);
    const path = join(folder, "model.onnx");
    await exportModel({ model: SHAPES_MODEL, output: path, targets: ["cpu", "wasm"], float: true });
    await cp(at("out", "model.webgpu.onnx"), join(folder, "model.webgpu.onnx"));
    await expect(deploy(folder)).rejects.toThrow(
      /model\.webgpu\.onnx: cannot be compared with model\.onnx in \d+ quantized tensors, the first: \S+ .* \[unsupported-model\]/,
    );
    await cp(at("out", "model.onnx"), path);
    const gpu = join(folder, "model.webgpu.onnx");
    const model = decodeModel(await readFile(gpu));
    const initializer = model.graph?.initializer?.map(({ rawData, ...each }) => ({
      ...each,
      ...(rawData && { rawData: rawData.length > 1000 ? rawData.map((byte) => byte ^ 255) : rawData }),
    }));
    await writeFile(
      gpu,
      encodeModel({ ...model, graph: { ...model.graph, ...(initializer && { initializer }) } }),
    );
    await expect(deploy(folder)).rejects.toThrow(
      /model\.webgpu\.onnx in the reference: output \S+ differs from the reference by 0\.\d+ on test input \d/,
    );
  });

  test("changes nothing", async () => {
    await expect(readdir(at("other"))).rejects.toThrow(/ENOENT/);
    const hidden = (await readdir(root)).filter((name) => name.startsWith("."));
    expect(hidden).toEqual([]);
  });
});

describe("a folder that is there already", () => {
  test("is replaced when it is a site of qdg, and old files go", async () => {
    await deploy(at("out"), { title: "one" });
    const folder = await withMetadata("only-wasm", () => undefined);
    await deploy(folder, { title: "two" });
    expect(await readFile(at("other", "index.html"), "utf8")).toContain("<h1>two</h1>");
    expect((await readdir(at("other"))).filter((name) => name.includes("webgpu"))).toEqual([]);
    expect((await readdir(root)).filter((name) => name.startsWith("."))).toEqual([]);
  });

  test("is left alone when it holds a file of someone else, unless forced", async () => {
    await writeFile(at("other", "CNAME"), "example.org");
    await expect(deploy(at("out"))).rejects.toThrow(/holds CNAME, .*--force.*\[exists\]/);
    expect(await readFile(at("other", "CNAME"), "utf8")).toBe("example.org");
    await deploy(at("only-wasm"), { force: true });
    expect(await readdir(at("other"))).not.toContain("CNAME");
    await mkdir(at("photos"));
    await writeFile(at("photos", "index.html"), "mine");
    await expect(deploy(at("out"), { to: at("photos") })).rejects.toThrow(/\[exists\]/);
    expect(await readFile(at("photos", "index.html"), "utf8")).toBe("mine");
  });

  test("is taken when it is empty, and is an error when it is a file", async () => {
    await mkdir(at("new"));
    await deploy(at("only-wasm"), { to: at("new") });
    expect(await readdir(at("new"))).toContain("manifest.json");
    await expect(deploy(at("out"), { to: at("page", "index.html") })).rejects.toThrow(/is a file/);
  });

  test("is never the folder of the models or one that holds it, even when forced", async () => {
    for (const to of [at("out"), root, "/", "."]) {
      await expect(deploy(at("out"), { to, force: true })).rejects.toThrow(/would replace .*\[usage\]/);
    }
    expect(await readdir(at("out"))).toContain("model.onnx");
  });
});

describe("on the command line", () => {
  test("a folder without models is one line on stderr and exit code 1", async () => {
    const { code, stderr, stdout } = await runCli("deploy", at("empty"), "--to", at("cli"));
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^error: .*holds no \.onnx file.*\n$/);
  });

  test("--to is needed, and labels must be names", async () => {
    expect((await runCli("deploy", at("out"))).code).toBe(2);
    expect((await runCli("deploy", at("out"), "--to", at("cli"), "--labels", "a,,b")).code).toBe(2);
    const missing = await runCli("deploy", at("out"), "--to", at("cli"), "--labels", at("none.txt"));
    expect([missing.code, missing.stderr.includes("none.txt")]).toEqual([1, true]);
  });
});
