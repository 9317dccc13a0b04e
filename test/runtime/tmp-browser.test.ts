import { test } from "vitest";
import { browserWasmRuntime, browserWebgpuRuntime } from "../../src/runtime/browser.js";
import { float32 } from "../../src/base/tensor.js";
import { GraphBuilder } from "../../src/graph/builder.js";
import { encodeModel } from "../../src/onnx/codec.js";
import { graphToModel } from "../../src/onnx/from-graph.js";
test("x", async () => {
  const t=(s:string,f:number)=>process.stdout.write(`${s} ${Math.round(performance.now()-f)}ms\n`);
  for (const r of [browserWasmRuntime, browserWebgpuRuntime]) {
    let a=performance.now();
    process.stdout.write(JSON.stringify(await r.probe())+"\n"); t("probe",a);
    const builder = new GraphBuilder("n");
    const x = builder.input("x", ["N", 3]);
    builder.output(builder.node("Relu", "r", [x], { name: "y", shape: ["N", 3] }));
    const bytes = encodeModel(graphToModel(builder.graph, { opset: 21, irVersion: 10, producerVersion: "test" }));
    a=performance.now();
    const s = await r.open({bytes}, {threads: 2}); t("open",a);
    a=performance.now(); const s2 = await r.open({bytes}); t("open2",a);
    for (let i=0;i<3;i++) { a=performance.now();
    const y = await s.run({x: float32([2,3],[1,-2,3,-4,5,-6])}); t("run "+JSON.stringify(y),a);}
    a=performance.now(); await s.dispose(); await s2.dispose(); t("dispose",a);
  }
});
