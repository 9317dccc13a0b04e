import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import type { SourceFile } from "./support/architecture.js";
import { importedNames, ROOMS, violations } from "./support/architecture.js";

const top = dirname(dirname(fileURLToPath(import.meta.url)));
const sources: SourceFile[] = readdirSync(join(top, "src"), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
  .map((entry) => join(entry.parentPath, entry.name))
  .map((path) => ({
    path: relative(top, path).split(sep).join("/"),
    text: readFileSync(path, "utf8"),
  }));

const HEADER = "// Made up.\n\n";
const made = (path: string, ...lines: string[]): SourceFile => ({
  path,
  text: HEADER + lines.join("\n") + "\n",
});
const lines = (count: number): string[] => Array.from({ length: count }, () => "x;");
const spec = made("src/quant/spec.ts");

test("src keeps the rules of the house", () => {
  expect(sources.length).toBeGreaterThan(10);
  expect(violations(sources)).toEqual([]);
});

/** A file and all that it loads, with what loads it; types load nothing. */
function loadedBy(entry: string): Map<string, string> {
  const texts = new Map(sources.map(({ path, text }) => [path, text]));
  const found = new Map([[entry, ""]]);
  for (const [path] of found) {
    const code = (texts.get(path) ?? "").replaceAll(/^(?:import|export) type [^;]*;$/gm, "");
    for (const name of importedNames(code)) {
      const target = name.startsWith(".") ? join(dirname(path), name).replace(/\.js$/, ".ts") : name;
      if (!found.has(target)) found.set(target, path);
    }
  }
  return found;
}

test("all that qdg/web, the engine and the room model/ load runs in a browser: no Node, no protobuf, no library but ONNX Runtime's", () => {
  const entries = [
    "src/web.ts",
    ...sources.map(({ path }) => path).filter((path) => /^src\/(model|engine\/(?!assembly))/.test(path)),
  ];
  for (const entry of entries) {
    const outside = [...loadedBy(entry)].filter(([name]) => !name.startsWith("src/"));
    expect([entry, outside.filter(([name]) => !name.startsWith("onnxruntime-web"))]).toEqual([entry, []]);
  }
  // That the walk sees what is there.
  expect([...loadedBy("src/web.ts").keys()]).toContain("src/model/onnx-metadata.ts");
  expect([...loadedBy("src/runtime/wasm.ts").keys()]).toContain("onnxruntime-web");
});

test("what coordinates a sweep, and all that it loads, leaves tfjs to the processes that train", () => {
  const entries = sources
    .map(({ path }) => path)
    .filter((path) => /^src\/(sweep\/|cli\/commands\/(sweep|work)\.ts)/.test(path));
  expect(entries.length).toBeGreaterThan(10);
  for (const entry of entries) {
    const heavy = [...loadedBy(entry)].filter(([name]) => /^(@tensorflow|onnxruntime|sharp$)/.test(name));
    expect([entry, heavy]).toEqual([entry, []]);
  }
  expect([...loadedBy("src/cli/commands/sweep.ts").keys()]).toContain("bullmq");
});

test("nothing behind the front door asks which reader it was", () => {
  // The readers themselves, the door, who hands a file to tfjs or as float32 to ONNX Runtime, who looks into the bytes of an ONNX file, and training,
  // which holds a layers-model.
  const may =
    /^src\/(read|open|train)\/|^src\/(runtime\/(tfjs-network|float)|export\/inspect|index|train)\.ts$/;
  const readers = /\/read\/(read-model|layers-model|graph-model\/.*|onnx\/.*)\.js$/;
  const asking = sources.filter(({ text }) => importedNames(text).some((name) => readers.test(name)));
  expect(asking.map(({ path }) => path).filter((path) => !may.test(path))).toEqual([]);
  expect(asking.map(({ path }) => path)).toContain("src/open/model-json.ts");
});

test("what the scripts import of the built package is exported there", async () => {
  const scripts = join(top, "scripts");
  const imports = readdirSync(scripts).flatMap((name) => {
    const text = readFileSync(join(scripts, name), "utf8");
    const found = text.matchAll(/import \{ ([^}]*) \} from "\.\.\/dist\/(.*)\.js"/g);
    return [...found].map(([, names, module]) => ({ name, names: String(names).split(", "), module }));
  });
  expect(imports.length).toBeGreaterThan(3);
  for (const { name, names, module } of imports) {
    const exported = Object.keys(
      (await import(pathToFileURL(join(top, "src", `${module}.ts`)).href)) as object,
    );
    expect([name, module, names.filter((each) => !exported.includes(each))]).toEqual([name, module, []]);
  }
});

test("the files of src that import others are seen to do so", () => {
  const imports = sources.flatMap((file) => importedNames(file.text));
  expect(imports.length).toBeGreaterThan(sources.length);
  expect(new Set(sources.map((file) => file.path.split("/")[1])).size).toBeGreaterThan(3);
});

describe("the checker", () => {
  test("allows imports from rooms to the right and from the own one", () => {
    const files = [
      spec,
      made("src/quant/observers/mse.ts", 'import { qmax } from "../spec.js";'),
      made("src/cli/commands/run.ts", 'import { mse } from "../../quant/observers/mse.js";'),
      made(
        "src/index.ts",
        'export { qmax } from "./quant/spec.js";',
        'export * from "./cli/commands/run.js";',
      ),
      made("src/base/file.ts", 'import { open } from "node:fs/promises";'),
    ];
    expect(violations(files)).toEqual([]);
  });

  test.each(ROOMS.slice(1).map((room, i) => ({ room, left: ROOMS[i] as string })))(
    "refuses an import of $left from $room",
    ({ room, left }) => {
      const files = [
        made(`src/${left}/a.ts`),
        made(`src/${room}/b.ts`, `import { a } from "../${left}/a.js";`),
      ];
      expect(violations(files)).toEqual([
        `src/${room}/b.ts: imports ../${left}/a.js, but ${room} may not import from ${left}`,
      ]);
    },
  );

  test.each([
    ["a type", 'import type { A } from "../graph/a.js";'],
    ["several lines", 'import {\n  a,\n  type B,\n} from "../graph/a.js";'],
    ["everything", 'import * as a from "../graph/a.js";'],
    ["an effect", 'import "../graph/a.js";'],
    ["a re-export", 'export { a } from "../graph/a.js";'],
    ["a re-export of all", 'export * from "../graph/a.js";'],
    ["a dynamic import", 'const a = await import("../graph/a.js");'],
    ["single quotes", "import { a } from '../graph/a.js';"],
    ["a line with other code", 'const x = 1; import { a } from "../graph/a.js";'],
  ])("sees an import of %s", (_, line) => {
    const files = [made("src/graph/a.ts"), made("src/base/b.ts", line)];
    expect(violations(files)).toHaveLength(1);
  });

  test("does not take a comment or a text for an import", () => {
    const text = [
      '// import { a } from "../graph/a.js";',
      '/* export * from "../graph/a.js"; */',
      'const text = "values from the graph";',
    ];
    expect(violations([made("src/graph/a.ts"), made("src/base/b.ts", ...text)])).toEqual([]);
  });

  test.each([
    ["src/onnx/a.ts", "protobufjs", "scripts/ and test/"],
    ["src/onnx/a.ts", "onnxruntime-node", "src/runtime/"],
    ["src/lower/a.ts", "onnxruntime-web/wasm", "src/runtime/"],
    ["src/read/a.ts", "@tensorflow/tfjs", "src/runtime/tfjs and src/train/"],
    ["src/runtime/cpu.ts", "@tensorflow/tfjs-backend-wasm", "src/runtime/tfjs and src/train/"],
    ["src/export/a.ts", "commander", "src/cli/"],
    ["src/parity/a.ts", "cli-progress", "src/cli/"],
    ["src/image/resample.ts", "sharp", "src/image/decode.ts"],
  ])("refuses %s an import of %s", (path, dependency, owners) => {
    expect(violations([made(path, `import x from "${dependency}";`)])).toEqual([
      `${path}: imports ${dependency}, which only ${owners} may`,
    ]);
  });

  test.each([
    ["src/runtime/tfjs.ts", "@tensorflow/tfjs"],
    ["src/train/layers.ts", "@tensorflow/tfjs"],
    ["src/runtime/cpu.ts", "onnxruntime-node"],
    ["src/cli/main.ts", "commander"],
    ["src/image/decode.ts", "sharp"],
  ])("allows %s its own %s", (path, dependency) => {
    expect(violations([made(path, `import x from "${dependency}";`)])).toEqual([]);
  });

  test.each([
    ["a dependency without an owner", made("src/base/a.ts", 'import x from "left-pad";'), "has no owner"],
    [
      "a Node built-in in a browser's room",
      made("src/quant/a.ts", 'import "node:fs";'),
      "loads in a browser",
    ],
    ["a file that is not there", made("src/base/a.ts", 'import "./b.js";'), "no file of src"],
    ["an import without its ending", made("src/base/a.ts", 'import "../quant/spec";'), "no file of src"],
    ["a room that is not one", made("src/tools/a.ts"), "is in no room"],
    ["an import of the public entry", made("src/cli/a.ts", 'import "../index.js";'), "the public entry"],
    ["a default export", made("src/base/a.ts", "export default 1;"), "default export"],
    ["a renamed default export", made("src/base/a.ts", "export { a as default };"), "default export"],
    ["an enum", made("src/base/a.ts", "export enum A { B }"), "enum"],
    ["a vague file name", made("src/base/utils.ts"), "says nothing"],
    ["a vague part of a file name", made("src/base/layer-helpers.ts"), "says nothing"],
    ["a vague folder", made("src/base/common/a.ts"), "says nothing"],
    ["a long file", made("src/base/a.ts", ...lines(398)), "has 400 lines, at most 399"],
    [
      "a file without a header",
      { path: "src/base/a.ts", text: "export const a = 1;\n" },
      "opens with 0 lines",
    ],
    ["a header that goes on", { path: "src/base/a.ts", text: "// a\n".repeat(5) }, "opens with 5 lines"],
    ["a library that prints", made("src/base/a.ts", 'console.log("x");'), "uses console.log"],
    ["a library that ends the process", made("src/base/a.ts", "process.exit(1);"), "uses process.exit"],
  ])("refuses %s", (_, file, message) => {
    const found = violations([spec, made("src/index.ts"), file]);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(`${file.path}: `);
    expect(found[0]).toContain(message);
  });

  test("lets the CLI print, and a file have 399 lines", () => {
    const files = [made("src/cli/a.ts", 'process.stdout.write("x");'), made("src/base/a.ts", ...lines(397))];
    expect(violations(files)).toEqual([]);
  });
});
