// Which of ONNX's official operator tests are read, and what becomes of those: the model is opened, written again as a
// float file and run by ONNX Runtime on the test's inputs.
//
//   python bench/onnx/node_tests.py FOLDER && npm run build && npx tsc -p tsconfig.bench.json && node out/bench-build/onnx/node-tests.js FOLDER
//
// Counts on stdout, one line a test that is wrong, and the operators of those that are refused.

import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeModel, exportModel, modelToGraph, openModel, QdgError, runtimeOf, type Tensor } from "qdg";

const errorText = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));

type Outcome =
  | "right"
  | "wrong"
  | "as ONNX Runtime has it, not as the test"
  | "refused"
  | "refused by ONNX Runtime too"
  | "not run by ONNX Runtime";

interface Result {
  readonly name: string;
  readonly outcome: Outcome;
  readonly why: string;
  readonly operators: readonly string[];
  /** All inputs and outputs are float32. */
  readonly isFloat: boolean;
}

async function main(folder: string): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), "qdg-node-tests-"));
  const results: Result[] = [];
  try {
    for (const name of (await readdir(folder)).sort())
      results.push(await judge(join(folder, name), name, scratch));
  } finally {
    await rm(scratch, { recursive: true });
  }
  for (const each of results.filter(
    ({ outcome }) => outcome === "wrong" || outcome === "not run by ONNX Runtime",
  )) {
    console.log(`${each.outcome}: ${each.name}: ${each.why}`);
  }
  const reasons = new Map<string, number>();
  for (const { outcome, why } of results)
    if (outcome === "refused") reasons.set(why, (reasons.get(why) ?? 0) + 1);
  for (const [why, count] of [...reasons].sort((a, b) => b[1] - a[1]))
    console.log(`refused ${count}: ${why}`);
  console.log(`all: ${counts(results)}`);
  console.log(`float32 in and out: ${counts(results.filter(({ isFloat }) => isFloat))}`);
}

function counts(results: readonly Result[]): string {
  const outcomes = new Map<Outcome, number>();
  for (const { outcome } of results) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  return `${results.length} tests; ${[...outcomes].map(([outcome, count]) => `${count} ${outcome}`).join(", ")}`;
}

async function judge(folder: string, name: string, scratch: string): Promise<Result> {
  const path = join(folder, "model.onnx");
  const { graph } = decodeModel(await readFile(path), path);
  const operators = (graph?.node ?? []).map(({ domain, opType = "" }) =>
    domain ? `${domain}.${opType}` : opType,
  );
  const types = [...(graph?.input ?? []), ...(graph?.output ?? [])].map(
    ({ type }) => type?.tensorType?.elemType,
  );
  const result = (outcome: Outcome, why: string): Result => ({
    name,
    outcome,
    why: why.replaceAll(path, "").replaceAll(/\s+/g, " ").slice(0, 160),
    operators,
    isFloat: types.every((type) => type === 1),
  });
  const output = join(scratch, "out.onnx");
  try {
    await openModel(path);
  } catch (thrown) {
    if (!(thrown instanceof QdgError) || thrown.code === "internal")
      return result("wrong", errorText(thrown));
    return result(
      (await runs(path, folder)) ? "refused" : "refused by ONNX Runtime too",
      `${thrown.code}: ${reasonOf(thrown, operators)}`,
    );
  }
  try {
    await exportModel({ model: path, output, float: true, force: true });
  } catch (thrown) {
    return result("wrong", `is read and cannot be written: ${errorText(thrown)}`);
  }
  try {
    const got = await run(output, folder);
    const difference = differs(got, await tensors(folder, "output"));
    if (difference === null) return result("right", "");
    const isRuntimes = differs(got, await run(path, folder)) === null;
    return result(isRuntimes ? "as ONNX Runtime has it, not as the test" : "wrong", difference);
  } catch (thrown) {
    return result((await runs(path, folder)) ? "wrong" : "not run by ONNX Runtime", errorText(thrown));
  }
}

function reasonOf(error: QdgError, operators: readonly string[]): string {
  return error.code === "unsupported-op"
    ? `${[...new Set(operators)].join(", ").slice(0, 60)}: ${error.message.replace(/^[^:]*: /, "").slice(0, 60)}`
    : error.message.slice(0, 100);
}

async function tensors(folder: string, kind: "input" | "output"): Promise<Tensor[]> {
  const names = (await readdir(folder)).filter((name) => name.startsWith(`${kind}_`));
  const list: Tensor[] = [];
  for (let i = 0; i < names.length; i++) list.push(tensorOf(await readFile(join(folder, `${kind}_${i}.pb`))));
  return list;
}

/** A TensorProto alone, put into a model so that the codec reads it. */
function tensorOf(bytes: Uint8Array): Tensor {
  const initializer = field(5, bytes);
  const proto = decodeModel(field(7, initializer)).graph?.initializer?.[0];
  const graph = { initializer: [{ ...proto, name: "t" }], output: [{ name: "t" }] };
  const tensor = modelToGraph({ graph }).outputs[0]?.constant;
  if (!tensor) throw new Error("no tensor");
  return tensor;
}

function field(id: number, bytes: Uint8Array): Uint8Array {
  const header = [id * 8 + 2];
  for (let rest = bytes.length; ; rest >>>= 7) {
    header.push(rest > 127 ? (rest & 127) | 128 : rest);
    if (rest <= 127) break;
  }
  return Uint8Array.from([...header, ...bytes]);
}

async function run(path: string, folder: string): Promise<Tensor[]> {
  const runtime = await runtimeOf("cpu");
  const session = await runtime.open({ path });
  try {
    const inputs = await tensors(folder, "input");
    const feeds = Object.fromEntries(
      session.inputs.map(({ name, dtype }, i) => {
        const input = inputs[i] as Tensor;
        // What is float16 in a file is float32 in what is made of it.
        return [name, dtype === "float32" ? inSingle(input) : input];
      }),
    );
    const results = await session.run(feeds);
    return session.outputs.map(({ name }) => results[name] as Tensor);
  } finally {
    await session.dispose();
  }
}

/** The numbers of float16 as float32; another tensor as it is. */
function inSingle(given: Tensor): Tensor {
  if (given.dtype !== "float16") return given;
  return {
    dtype: "float32",
    shape: given.shape,
    data: Float32Array.from(given.data as Uint16Array, halfToReal),
  };
}

function halfToReal(bits: number): number {
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}

async function runs(path: string, folder: string): Promise<boolean> {
  try {
    await run(path, folder);
    return true;
  } catch {
    return false;
  }
}

function differs(got: readonly Tensor[], expected: readonly Tensor[]): string | null {
  if (got.length !== expected.length) return `${got.length} outputs, expected ${expected.length}`;
  for (const [i, wanted] of expected.entries()) {
    const [have, want] = [inSingle(got[i] as Tensor), inSingle(wanted)];
    if (have.shape.join() !== want.shape.join())
      return `output ${i}: [${have.shape.join()}], expected [${want.shape.join()}]`;
    for (let j = 0; j < want.data.length; j++) {
      const [x, y] = [Number(have.data[j]), Number(want.data[j])];
      if (x === y || (Number.isNaN(x) && Number.isNaN(y)) || Math.abs(x - y) <= 1e-3 * Math.abs(y) + 1e-5)
        continue;
      return `output ${i}[${j}]: ${x}, expected ${y}`;
    }
  }
  return null;
}

await main(process.argv[2] ?? "out/node-tests");
