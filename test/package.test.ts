// What package.json promises: a version, commands, entries and a list of files.

import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { VERSION } from "../src/base/version.js";

interface Package {
  readonly version: string;
  readonly license: string;
  readonly bin: Readonly<Record<string, string>>;
  readonly files: readonly string[];
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
  readonly scripts: Readonly<Record<string, string>>;
  readonly allowScripts: Readonly<Record<string, boolean>>;
}

const top = dirname(dirname(fileURLToPath(import.meta.url)));
const read = (path: string): string => readFileSync(join(top, path), "utf8");
const manifest = JSON.parse(read("package.json")) as Package;
const targets = Object.values(manifest.exports).flatMap((entry) =>
  typeof entry === "string" ? [entry] : Object.values(entry),
);
const bins = Object.values(manifest.bin);
const normal = (path: string): string => path.replace(/^\.\//, "");
const isPacked = (path: string): boolean =>
  path === "package.json" || manifest.files.some((file) => path === file || path.startsWith(`${file}/`));

test("the version that files state is that of package.json and of the changelog", () => {
  expect(VERSION).toBe(manifest.version);
  expect(read("CHANGELOG.md")).toContain(`## [${manifest.version}]`);
  const lock = JSON.parse(read("package-lock.json")) as Pick<Package, "version">;
  expect(lock.version).toBe(manifest.version);
});

describe.each(bins.map(normal))("the command %s", (path) => {
  test("is built, executable and in the package", () => {
    expect(existsSync(join(top, path)), `${path} is not there; npm run build`).toBe(true);
    accessSync(join(top, path), constants.X_OK);
    expect(read(path).startsWith("#!/usr/bin/env node\n")).toBe(true);
    expect(isPacked(path)).toBe(true);
  });
});

test.each(targets.map(normal))("the entry %s is built and in the package", (path) => {
  expect(existsSync(join(top, path)), `${path} is not there; npm run build`).toBe(true);
  expect(isPacked(path)).toBe(true);
});

test.each(manifest.files)("the file or folder %s of the package is there", (path) => {
  expect(existsSync(join(top, path))).toBe(true);
});

test("what the code reads at run time is in the package", () => {
  for (const path of [
    "proto/onnx.proto",
    "dist/engine/simd.wasm",
    "dist/engine/relaxed.wasm",
    "dist/train/backends/loops.wasm",
  ]) {
    expect(existsSync(join(top, path)), path).toBe(true);
    expect(isPacked(path), path).toBe(true);
  }
});

test.each(["shapes", "shapes-dg", "shapes-dg-4bit", "digits"])(
  "the trained model %s is in the package, with its weights and its card",
  (name) => {
    const model = `models/${name}/model.json`;
    for (const path of [model, `models/${name}/README.md`].concat(shardsOf(model))) {
      expect(existsSync(join(top, path)), path).toBe(true);
      expect(isPacked(path), path).toBe(true);
    }
  },
);

test("every script that the documents tell to run is there", () => {
  for (const document of ["README.md", "CONTRIBUTING.md", "models/shapes/README.md"]) {
    for (const [, name = ""] of read(document).matchAll(/npm run ([a-z][a-z:-]*)/g)) {
      expect(Object.keys(manifest.scripts), `${document}: npm run ${name}`).toContain(name);
    }
  }
});

test.each(["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/file-format.md"])(
  "links and paths of %s lead to files that are there",
  (document) => {
    const text = read(document);
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, path = ""]) =>
      join(dirname(document), path),
    );
    const paths = [...text.matchAll(/`((?:src|test|docs|scripts|models|proto|bench)\/[\w./-]*)`/g)].map(
      ([, path = ""]) => path,
    );
    const made = /foo\.ts$|^src\/(train|deploy)\//;
    const missing = [...links, ...paths].filter((path) => !made.test(path) && !existsSync(join(top, path)));
    expect(missing).toEqual([]);
    expect(links.length + paths.length).toBeGreaterThan(1);
  },
);

test("the licence is the one that package.json names, in full", () => {
  expect(manifest.license).toBe("Apache-2.0");
  const text = read("LICENSE");
  expect(text).toContain("Apache License");
  expect(text).toContain("Version 2.0, January 2004");
  expect(text).toContain("END OF TERMS AND CONDITIONS");
});

test("no install script of a dependency fetches CUDA libraries, on any npm, and no npm warns of how that is said", () => {
  // npm from 11 on asks package.json. Older ones run the scripts of packages that the lock says have some; a key for
  // the script in .npmrc would do too, and every command of npm 11 would warn of it.
  expect(manifest.allowScripts["onnxruntime-node"]).toBe(false);
  const { packages } = JSON.parse(read("package-lock.json")) as {
    packages: Readonly<Record<string, { readonly hasInstallScript?: boolean }>>;
  };
  const why = "npm install brought hasInstallScript back; take the line out of package-lock.json";
  expect(packages["node_modules/onnxruntime-node"]?.hasInstallScript, why).toBeUndefined();
  expect(existsSync(join(top, ".npmrc")) ? read(".npmrc") : "").not.toContain("onnxruntime");
});

function shardsOf(model: string): string[] {
  const { weightsManifest } = JSON.parse(read(model)) as { weightsManifest: { paths: string[] }[] };
  return weightsManifest.flatMap(({ paths }) => paths.map((path) => join(dirname(model), path)));
}
