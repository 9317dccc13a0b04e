import { test } from "vitest";
import { readFileSync } from "node:fs";
import { exportModel } from "../src/export/export-model.js";
import { compare } from "../src/parity/compare.js";
import { decodeModel } from "../src/onnx/codec.js";
import { modelToGraph } from "../src/onnx/to-graph.js";
import { referenceRuntime } from "../src/runtime/reference.js";
import { cpuRuntime } from "../src/runtime/cpu.js";
import { wasmRuntime } from "../src/runtime/wasm.js";
import { listImages, loadImages } from "../src/image/folder.js";
test("x", async () => {
  for (const which of ["mobilenet-v2-035-224","darknet-tiny-224"]) for (const [w,a] of [[3,3],[4,8],[8,8]]) {
    const outs: Record<string, Float32Array[]> = {};
    for (const form of ["integer","float"] as const) {
      const output = `/tmp/out/${which}-${w}${a}-${form}.onnx`;
      await exportModel({ model: `/work/shared/models/${which}/model.json`, output, force: true, weightBits: w!, activationBits: a!, heldOutCount: 0, calibrationCount: 8, form,
      calibration: ["/work/shared/data/PACS/photo"], ...(which.startsWith("dark") && { preprocessing: { range: [0,1], mean: [0], std: [1], resize: "stretch" } as const }) }, { report(){} });
      const bytes = readFileSync(output);
      const entries = (await listImages("/work/shared/data/PACS/photo")).slice(0, 3);
      for (const rt of [cpuRuntime, wasmRuntime, referenceRuntime]) {
        const s = await rt.open({ bytes });
        const name = s.inputs[0]!.name;
        const t = performance.now();
        const os: Float32Array[] = [];
        for await (const b of loadImages(entries, { preprocessing: { range: which.startsWith("dark")?[0,1]:[-1,1], mean: [0], std: [1], resize: "stretch" }, height: 224, width: 224, channels: 3, layout: "nhwc" })) {
          os.push((Object.values(await s.run({ [name]: b.tensor }))[0]!.data) as Float32Array);
        }
        outs[`${form}-${rt.name}`] = os;
        console.log(which, w, a, form, rt.name, bytes.length, (performance.now() - t).toFixed(0));
        await s.dispose();
      }
    }
    const ref = outs["integer-reference"]!;
    for (const [k, v] of Object.entries(outs)) {
      let d = 0; v.forEach((o, i) => o.forEach((x, j) => { d = Math.max(d, Math.abs(x - ref[i]![j]!)); }));
      console.log(which, w, a, k, "max diff", d, "max", Math.max(...ref[0]!));
    }
  }
}, 600000);
