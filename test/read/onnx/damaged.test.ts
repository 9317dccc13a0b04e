// Files that contradict themselves: whatever is wrong in them, an error of ours says it, and no other is thrown.

import { expect, test } from "vitest";
import { QdgError } from "../../../src/base/error.js";
import { floatFile } from "../../../src/export/float-file.js";
import { QUANTIZED_PASSES, runPasses } from "../../../src/graph/passes/pipelines.js";
import { decodeModel } from "../../../src/onnx/codec.js";
import type { ModelProto } from "../../../src/onnx/model-proto.js";
import { operatorNames } from "../../../src/onnx/opset.js";
import { readOnnx } from "../../../src/read/onnx/read-onnx.js";
import { seeded } from "../../support/layers-models.js";
import { spelledNetwork } from "../../support/spelled-networks.js";

type Plain = Record<string, unknown>;

const ODD = [0, 1, -1, 2, 7, -7, 2 ** 31, 2 ** 40];

/** Another operator, operand, number, size or opset somewhere; an operand, an attribute or an output more or less. */
function damage(model: ModelProto, random: () => number): ModelProto {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const copy = structuredClone(model) as { graph: { node: Plain[]; input: Plain[] }; opsetImport: Plain[] };
  const nodes = copy.graph.node;
  const values = nodes.flatMap(({ output }) => output as string[]);
  for (let i = 0; i <= random() * 3; i++) {
    const node = pick(nodes);
    const [inputs, outputs] = [node["input"] as string[], node["output"] as string[]];
    const attributes = (node["attribute"] ??= []) as Plain[];
    const at = Math.floor(random() * inputs.length);
    pick([
      () => (node["opType"] = pick([...operatorNames(), "Upsample", "Attention", "CastLike"])),
      () => (inputs[at] = pick(values)),
      () => inputs.splice(at, 1),
      () => outputs.push(`more_${i}`),
      () => attributes.splice(0, 1),
      () => ((copy.opsetImport[0] as Plain)["version"] = 7 + Math.floor(random() * 20)),
      () => {
        const attribute = pick(attributes);
        if (attribute?.["ints"]) (attribute["ints"] as number[])[0] = pick(ODD);
        else if (attribute?.["i"] !== undefined) attribute["i"] = pick(ODD);
      },
      () => {
        const size = pick([{ dimValue: pick(ODD) }, {}, { dimParam: "q" }]);
        copy.graph.input[0] = {
          name: "x",
          type: { tensorType: { elemType: 1, shape: { dim: [{}, size, size, { dimValue: 4 }] } } },
        };
      },
    ])();
  }
  return copy;
}

test("damaged models are read or refused by name", () => {
  const random = seeded(11);
  const models = Array.from({ length: 8 }, (_, seed) => decodeModel(floatFile(spelledNetwork(seed, 6), 21)));
  let [read, refused] = [0, 0];
  for (let i = 0; i < 800; i++) {
    const model = damage(models[i % models.length] as ModelProto, random);
    try {
      runPasses(readOnnx(model, "damaged.onnx"), QUANTIZED_PASSES);
      read++;
    } catch (thrown) {
      if (!(thrown instanceof QdgError) || thrown.code === "internal") throw thrown;
      refused++;
    }
  }
  expect(read).toBeGreaterThan(50);
  expect(refused).toBeGreaterThan(50);
});
