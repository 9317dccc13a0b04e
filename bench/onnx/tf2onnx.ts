// The peer in converting tfjs graph-models: `tf2onnx --tfjs` and `qdg export --float` on the same models, and how far each is from tfjs
// on the same random inputs. Where tf2onnx cannot be installed its column says why.
//
//   npm run build && npx tsc -p tsconfig.bench.json && node out/bench-build/onnx/tf2onnx.js [FOLDER of models]
//
// A table on stdout and in bench/results/tf2onnx.md.

import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { exportModel, openModel, runtimeOf, type Tensor, VERSION } from "qdg";
import { RESULTS_FOLDER, SHARED_FOLDER } from "../environment.js";
import { seeded } from "../models/random.js";
import { openPython } from "../python.js";

const run = promisify(execFile);

/** With later ones it reads no tfjs model at all: they need a NumPy that lacks what it calls. */
const PACKAGES: readonly string[] = ["tf2onnx==1.16.1", "tensorflow-cpu==2.12.1", "onnx==1.16.2"];
const OPSET = "18";
const LIMIT_MS = 180_000;

type Feeds = Readonly<Record<string, Tensor>>;

/** The last line of what went wrong, without places of this machine. */
function messageOf(thrown: unknown, path: string): string {
  const text = (thrown as { readonly stderr?: string }).stderr?.trim() || String(thrown);
  const last = text.split("\n").at(-1) ?? "";
  return last.replaceAll(path, "the file").replaceAll("|", "/").slice(0, 200);
}

async function main(folder: string): Promise<void> {
  const python = await openPython(PACKAGES);
  const scratch = await mkdtemp(join(tmpdir(), "qdg-tf2onnx-"));
  const rows: string[] = [];
  try {
    for (const name of (await readdir(folder)).sort()) {
      const model = join(folder, name, "model.json");
      const output = join(scratch, `${name}.onnx`);
      const feeds = await feedsOf(model);
      const expected = await outputsOf("float", model, feeds);
      const qdg = await judged(expected, feeds, output, async () => {
        await exportModel({ model, output, float: true, force: true });
      });
      const peer =
        "missing" in python
          ? `skipped: ${python.missing}`
          : await judged(expected, feeds, `${output}.peer`, async () => {
              const options = ["-m", "tf2onnx.convert", "--tfjs", model, "--opset", OPSET];
              await run(python.path, [...options, "--output", `${output}.peer`], { timeout: LIMIT_MS });
            });
      rows.push(`| ${name} | ${qdg} | ${peer} |`);
      console.log(rows.at(-1));
    }
  } finally {
    await rm(scratch, { recursive: true });
  }
  const versions = "missing" in python ? "tf2onnx" : python.versions;
  const text = [
    "Largest difference of an output from tfjs's, relative to the largest, on one random input (`bench/onnx/tf2onnx.ts`).",
    "",
    `| graph-model | qdg ${VERSION}, \`export --float\` | ${versions}, \`--tfjs\` |`,
    "| --- | --- | --- |",
    ...rows,
    "",
  ];
  await writeFile(join(RESULTS_FOLDER, "tf2onnx.md"), text.join("\n"));
}

/** How far the file that `make` writes is from tfjs, or why there is none. */
async function judged(
  expected: readonly Tensor[],
  feeds: Feeds,
  path: string,
  make: () => Promise<void>,
): Promise<string> {
  try {
    await make();
    return differenceOf(expected, await outputsOf("cpu", path, feeds));
  } catch (thrown) {
    return `none: ${messageOf(thrown, path)}`;
  }
}

/** One sample; sizes that are open are 1. */
async function feedsOf(path: string): Promise<Feeds> {
  const { graph } = await openModel(path);
  const random = seeded(7);
  return Object.fromEntries(
    graph.inputs.map(({ name, shape, dtype }) => {
      const sizes = shape.map((dim) => (typeof dim === "number" ? dim : 1));
      const length = sizes.reduce((a, b) => a * b, 1);
      const data =
        dtype === "int32"
          ? Int32Array.from({ length }, () => Math.floor(random() * 4))
          : Float32Array.from({ length }, () => random() * 2 - 1);
      return [name, { dtype, shape: sizes, data }];
    }),
  );
}

function plain(name: string): string {
  return name.replace(/:0$/, "");
}

/** In the order of the names; what tf2onnx calls x:0 is x. */
async function outputsOf(runtime: "float" | "cpu", path: string, feeds: Feeds): Promise<Tensor[]> {
  const session = await (await runtimeOf(runtime)).open({ path });
  try {
    const given = new Map(Object.entries(feeds).map(([name, tensor]) => [plain(name), tensor]));
    const [only] = given.size === 1 ? [...given.values()] : [];
    const own = session.inputs.map(({ name }) => [name, given.get(plain(name)) ?? only] as const);
    const results = await session.run(Object.fromEntries(own) as Feeds);
    return session.outputs.map(({ name }) => results[name] as Tensor);
  } finally {
    await session.dispose();
  }
}

/** Outputs are paired by their shapes where names are other ones. */
function differenceOf(expected: readonly Tensor[], got: readonly Tensor[]): string {
  if (got.length !== expected.length) return `none: ${got.length} outputs, expected ${expected.length}`;
  const left = [...got];
  let largest = 0;
  for (const want of expected) {
    const index = left.findIndex(({ shape }) => shape.join() === want.shape.join());
    const [have] = left.splice(Math.max(index, 0), 1);
    if (index < 0 || !have) return `none: no output of shape [${want.shape.join(", ")}]`;
    const numbers = Array.from(want.data as ArrayLike<number>);
    const magnitude = numbers.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-30);
    numbers.forEach((x, i) => {
      largest = Math.max(largest, Math.abs(x - Number(have.data[i])) / magnitude);
    });
  }
  return largest.toExponential(1);
}

await main(process.argv[2] ?? join(SHARED_FOLDER, "models", "graph"));
