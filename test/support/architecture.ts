// The rules of the house that can be read off the source: who imports whom, who owns a dependency, sizes
// and names. Works on text, so that it can be shown made-up files.

export interface SourceFile {
  /** From the top of the project, with forward slashes: `src/quant/spec.ts`. */
  readonly path: string;
  readonly text: string;
}

/** A file imports from rooms after its own, and from its own. */
export const ROOMS: readonly string[] = [
  "cli",
  "deploy",
  "parity",
  "sweep",
  "train",
  "export",
  "open",
  "web",
  "runtime",
  "engine",
  "lower",
  "model",
  "read",
  "compute",
  "onnx",
  "graph",
  "image",
  "quant",
  "base",
];

/** Package (or scope, ending in a slash) -> the only paths that import it. */
const OWNERS: readonly (readonly [dependency: RegExp, owners: RegExp, where: string])[] = [
  [/^protobufjs(\/|$)/, /^(scripts|test)\//, "scripts/ and test/"],
  [/^@tensorflow\//, /^src\/(train\/|runtime\/tfjs)/, "src/runtime/tfjs and src/train/"],
  [/^onnxruntime-/, /^src\/runtime\//, "src/runtime/"],
  [/^(commander|cli-progress)$/, /^src\/cli\//, "src/cli/"],
  [/^playwright-core$/, /^src\/runtime\/browser/, "src/runtime/browser*"],
  [/^(bullmq|ioredis)$/, /^src\/sweep\/queue\//, "src/sweep/queue/"],
  [/^sharp$/, /^src\/image\/decode\.ts$/, "src/image/decode.ts"],
];

/** Rooms whose every file loads in a browser. */
const BROWSER_ROOMS: ReadonlySet<string> = new Set(["compute", "engine", "graph", "model", "quant", "web"]);

const ASSEMBLY = /^src\/(engine|train\/backends)\/assembly\//;
const MOST_LINES = 399;
const VAGUE_NAMES = /^(utils?|helpers?|commons?|misc)$/;

/** One line a violation: `path: what`. */
export function violations(files: readonly SourceFile[]): string[] {
  const known = new Set(files.map((file) => file.path));
  return files.flatMap((file) => [
    ...importViolations(file, known).map((what) => `${file.path}: ${what}`),
    ...styleViolations(file).map((what) => `${file.path}: ${what}`),
  ]);
}

/** What a file imports, re-exports or loads, as written. */
export function importedNames(text: string): string[] {
  const code = withoutComments(text);
  const statements =
    /(?:^|[;}\s])(?:import|export)\s+(?:type\s+)?(?:[\w*\s{},$]+?\s*from\s*)?["']([^"']+)["']/g;
  const calls = /\b(?:import|require)\s*\(\s*["']([^"']+)["']/g;
  return [...code.matchAll(statements), ...code.matchAll(calls)].map((match) => match[1] as string);
}

function importViolations(file: SourceFile, known: ReadonlySet<string>): string[] {
  const own = roomOf(file.path);
  // AssemblyScript: a language and a compiler of its own, which knows no other folder.
  if (ASSEMBLY.test(file.path)) {
    const outside = importedNames(file.text).filter((name) => !known.has(resolve(file.path, `${name}.js`)));
    return outside.map((name) => `imports ${name}, but kernels import only kernels`);
  }
  if (own === null) return ["is in no room; the rooms are " + ROOMS.join(", ")];
  return importedNames(file.text).flatMap((name) => {
    if (name.startsWith("node:")) {
      return BROWSER_ROOMS.has(own) ? [`imports ${name}, but ${own} loads in a browser`] : [];
    }
    if (!name.startsWith(".")) return dependencyViolations(file.path, name);
    const target = resolve(file.path, name);
    if (!known.has(target)) return [`imports ${name}, which is no file of src (imports end in .js)`];
    const room = roomOf(target);
    // The public entry re-exports all rooms; no room may import it back.
    if (own === "") return [];
    if (room === null || room === "" || ROOMS.indexOf(room) < ROOMS.indexOf(own)) {
      return [`imports ${name}, but ${own} may not import from ${room || "the public entry"}`];
    }
    return [];
  });
}

function dependencyViolations(path: string, name: string): string[] {
  const owner = OWNERS.find(([dependency]) => dependency.test(name));
  if (!owner) return [`imports ${name}, which has no owner; name one in test/support/architecture.ts`];
  return owner[1].test(path) ? [] : [`imports ${name}, which only ${owner[2]} may`];
}

function styleViolations({ path, text }: SourceFile): string[] {
  const code = withoutComments(text);
  const found: string[] = [];
  const lines = text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
  if (lines > MOST_LINES) found.push(`has ${lines} lines, at most ${MOST_LINES}`);
  const header = /^(?:#!.*\n)?((?:\/\/.*\n)+)/.exec(text)?.[1]?.trimEnd().split("\n").length ?? 0;
  if (header < 1 || header > 4) found.push(`opens with ${header} lines of comment, expected 1 to 4`);
  if (/\bexport\s+default\b|\bas\s+default\b/.test(code)) found.push("has a default export");
  if (/\b(?:export|const|declare)\s+enum\b|^\s*enum\s+\w/m.test(code)) found.push("has an enum");
  if (path.split(/[/.-]/).some((word) => VAGUE_NAMES.test(word.toLowerCase()))) {
    found.push("has a name that says nothing (utils, helpers, common, misc)");
  }
  const prints = /\bconsole\s*\.\s*\w+|\bprocess\s*\.\s*(?:stdout|stderr|exit)\b/.exec(code);
  if (prints && roomOf(path) !== "cli") found.push(`uses ${prints[0]}, which only the CLI may`);
  return found;
}

/** The room of a path, "" for a file at the top of src, null for anything else. */
function roomOf(path: string): string | null {
  const parts = path.split("/");
  if (parts[0] !== "src") return null;
  if (parts.length === 2) return "";
  const room = parts[1] as string;
  return ROOMS.includes(room) ? room : null;
}

/** The source file that a relative import of `.js` means. */
function resolve(from: string, name: string): string {
  const parts = from.split("/").slice(0, -1);
  for (const part of name.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  return parts.join("/").replace(/\.js$/, ".ts");
}

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/(^|\s)\/\/.*$/gm, "$1");
}
