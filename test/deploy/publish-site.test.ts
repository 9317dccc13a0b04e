// A server reads the folder while a process replaces the site in it and is killed at random moments: it finds a whole
// site each time, the old one or the new one.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { formatHeaders, siteHeaders } from "../../src/deploy/headers.js";
import { type PublishedFile, publishSite } from "../../src/deploy/publish-site.js";
import { buildCli } from "../support/built-cli.js";
import { temporaryFolder } from "../support/deployed-site.js";

let root = "";
let path = "";
beforeAll(() => buildCli());
beforeEach(async () => {
  root = await temporaryFolder();
  path = join(root, "site");
});
afterEach(() => rm(root, { recursive: true, force: true }));

const hashOf = (bytes: Uint8Array | string): string =>
  createHash("sha256").update(bytes).digest("hex").slice(0, 8);

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** A site whose two entries name what they need by hashes; `version` is in every byte of it. */
function siteOf(version: number): Map<string, PublishedFile> {
  const model = new Uint8Array(10_000).fill(version);
  const script = bytesOf(`version ${version}`);
  const names = [`model.${hashOf(model)}.onnx`, `assets/page-${hashOf(script)}.js`] as const;
  const entry = bytesOf(`${version}\n${names.join("\n")}\n`);
  const headers = bytesOf(formatHeaders(siteHeaders(names, ["icon.svg", "manifest.json", "index.html"])));
  return new Map<string, PublishedFile>([
    [names[0], { bytes: model, hashed: true }],
    [names[1], { bytes: script, hashed: true }],
    ["icon.svg", { bytes: script, hashed: false }],
    ["_headers", { bytes: headers, hashed: false }],
    ["manifest.json", { bytes: entry, hashed: false }],
    ["index.html", { bytes: entry, hashed: false }],
  ]);
}

/** The version that an entry is of, after every file that it names was found with its hash. */
async function versionAt(entry: string): Promise<number> {
  const [version, ...names] = (await readFile(join(path, entry), "utf8")).trim().split("\n");
  for (const name of names) expect(name).toContain(hashOf(await readFile(join(path, name))));
  return Number(version);
}

/** Every file and folder below `folder`. */
const all = async (folder: string): Promise<string[]> =>
  (await readdir(folder, { recursive: true })).toSorted();

const namesOf = (site: ReadonlyMap<string, PublishedFile>): string[] => [...site.keys(), "assets"].toSorted();

/** Publishes versions without end, in a process of its own. */
const FOREVER = `
  const { publishSite } = await import(process.argv[1]);
  const path = process.argv[2];
  const sites = JSON.parse(process.argv[3]).map((site) =>
    new Map(site.map(([name, text, hashed]) => [name, { bytes: Buffer.from(text, "base64"), hashed }])));
  for (let i = 0; ; i++) {
    await publishSite(path, sites[i % sites.length]);
    if (i === 0) console.log("begins");
  }`;

function publishForever(sites: readonly ReadonlyMap<string, PublishedFile>[]): {
  readonly begun: Promise<void>;
  kill(): Promise<void>;
} {
  const module = new URL("../../dist/deploy/publish-site.js", import.meta.url).href;
  const json = JSON.stringify(
    sites.map((site) =>
      [...site].map(([name, { bytes, hashed }]) => [name, Buffer.from(bytes).toString("base64"), hashed]),
    ),
  );
  const child = spawn(process.execPath, ["--input-type=module", "-e", FOREVER, module, path, json], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  return {
    begun: new Promise((resolve) => child.stdout.once("data", () => resolve())),
    async kill() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

test("killed at random moments, it leaves a whole site, and the next call removes what is left over", async () => {
  const [a, b] = [siteOf(1), siteOf(2)];
  const seen = new Set<number>();
  let leftovers = 0;
  // A few rounds more where the moments happened to be alike.
  const isEnough = (): boolean => seen.size === 2 && leftovers > 0;
  for (let round = 0; round < 12 || (round < 60 && !isEnough()); round++) {
    const publisher = publishForever([a, b]);
    await publisher.begun;
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 60));
    await publisher.kill();
    for (const entry of ["index.html", "manifest.json"]) seen.add(await versionAt(entry));
    const names = await all(path);
    if (names.length !== namesOf(a).length) leftovers++;
  }
  expect(seen).toEqual(new Set([1, 2]));
  expect(leftovers).toBeGreaterThan(0);
  await publishSite(path, siteOf(3));
  expect(await all(path)).toEqual(namesOf(siteOf(3)));
  expect(await readdir(root)).toEqual(["site"]);
  expect(await versionAt("index.html")).toBe(3);
});

test("a reader finds an entry at every moment, and new files do not take the place of old ones", async () => {
  const publisher = publishForever([siteOf(1), siteOf(2)]);
  await publisher.begun;
  const seen = new Set<string>();
  for (let i = 0; i < 400 || seen.size < 2; i++) {
    // What an entry names may be replaced a moment later, so only the entries are read here.
    for (const entry of ["index.html", "manifest.json"]) {
      seen.add((await readFile(join(path, entry), "utf8")).split("\n", 1)[0] ?? "");
    }
  }
  await publisher.kill();
  expect([...seen].toSorted()).toEqual(["1", "2"]);
});

describe("a folder that is there", () => {
  test("loses all other files, folders and links, and keeps nothing hidden beside it", async () => {
    await mkdir(join(path, "index.html", "deep"), { recursive: true });
    await mkdir(join(path, "empty", "empty"), { recursive: true });
    await mkdir(join(root, "elsewhere"));
    await symlink(join(root, "elsewhere"), join(path, "assets"));
    await writeFile(join(path, "CNAME"), "example.org");
    await publishSite(path, siteOf(1));
    expect(await all(path)).toEqual(namesOf(siteOf(1)));
    expect(await versionAt("index.html")).toBe(1);
    expect(await readdir(join(root, "elsewhere"))).toEqual([]);
    expect((await readdir(root)).toSorted()).toEqual(["elsewhere", "site"]);
  });

  test("is left as it was, to the byte, where a file cannot be written", async () => {
    await publishSite(path, siteOf(1));
    const before = await all(path);
    const broken = siteOf(2);
    broken.set(`${"x".repeat(300)}.js`, { bytes: new Uint8Array(1), hashed: true });
    await expect(publishSite(path, broken)).rejects.toThrow(
      /its name is too long; the site is as it was \[io\]$/,
    );
    expect(await all(path)).toEqual(before);
    expect(await readFile(join(path, "_headers"))).toEqual(
      Buffer.from(siteOf(1).get("_headers")?.bytes ?? []),
    );
    expect(await versionAt("manifest.json")).toBe(1);
  });

  test("is published to by one process at a time", async () => {
    const results = await Promise.allSettled([publishSite(path, siteOf(1)), publishSite(path, siteOf(2))]);
    expect(results.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    const refused = results.find((each) => each.status === "rejected");
    expect(String(refused?.reason)).toMatch(/site: is in use by process \d+ on .* \[unavailable\]$/);
    const version = await versionAt("index.html");
    expect(await all(path)).toEqual(namesOf(siteOf(version)));
  });
});
