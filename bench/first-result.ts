// A program of its own, so that nothing is warm: milliseconds that the engine takes from the bytes of a file to its first result,
// to standard output. Reading the file and loading qdg's code come before.

import { readFile } from "node:fs/promises";
import { runtimeOf, type Tensor } from "qdg";

const bytes = await readFile(process.argv[2] ?? "");
const engine = await runtimeOf("engine");
const start = performance.now();
const session = await engine.open({ bytes });
const feeds = session.inputs.map(({ name, shape }): [string, Tensor] => {
  const dims = shape.map((dim) => (typeof dim === "number" ? dim : 1));
  const size = dims.reduce((product, dim) => product * dim, 1);
  return [name, { dtype: "float32", shape: dims, data: new Float32Array(size).fill(0.5) }];
});
await session.run(Object.fromEntries(feeds));
process.stdout.write(String(performance.now() - start));
