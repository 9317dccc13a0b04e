import { test } from "vitest";
import { readFileSync } from "node:fs";
import { decodeModel } from "../src/onnx/codec.js";
import { modelToGraph } from "../src/onnx/to-graph.js";
import { cpuRuntime } from "../src/runtime/cpu.js";
test("x", async () => {
  const f = process.env.X ?? "/tmp/out/darknet-tiny-224-8.onnx";
  const m = decodeModel(readFileSync(f));
  for (const n of (m.graph!.node ?? []).slice(0, 24)) console.log(n.opType, n.name, n.input?.join(), "->", n.output?.join());
  const s = await cpuRuntime.open({ path: f }, { optimizedModelPath: "/tmp/out/opt.onnx" }); await s.dispose();
  const o = decodeModel(readFileSync("/tmp/out/opt.onnx"));
  const c = new Map<string, number>();
  for (const n of (o.graph!.node ?? [])) c.set(n.opType!, (c.get(n.opType!) ?? 0) + 1);
  console.log([...c].join(" "));
  for (const n of (o.graph!.node ?? []).slice(0, 14)) console.log(n.opType, n.name, n.output?.join());
  const g = modelToGraph(m);
  for (const n of g.nodes.slice(0, 10)) console.log(n.op, n.origin, n.outputs[0]!.shape.join(), n.outputs[0]!.name);
});
