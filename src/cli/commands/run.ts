// `qdg run`: what is in these images, one JSON line per file on stdout as soon as it is known; errors on stderr.

import { Command } from "commander";
import { QdgError } from "../../base/error.js";
import { CERTIFIED_TARGETS, type CertifiedTarget } from "../../parity/certificate.js";
import { addBrowserOptions, type BrowserFlags, browserOptions } from "../browser-options.js";
import {
  addImageOptions,
  addLayoutOption,
  addOutputKindOption,
  type ImageFlags,
  type LayoutFlag,
  type OutputKindFlag,
} from "../image-options.js";
import { onnxPath } from "../../read/model-path.js";
import { integer, oneOf, preprocessing } from "../option-parsers.js";
import { tell, type Terminal } from "../terminal.js";

interface Flags extends BrowserFlags, ImageFlags, LayoutFlag, OutputKindFlag {
  readonly target: CertifiedTarget;
  readonly top?: number;
  readonly skipBroken?: boolean;
}

export function runCommand(terminal: Terminal = process): Command {
  const command = new Command("run")
    .description("classify images: one JSON line per file; probabilities of several .onnx files are averaged")
    .argument("<path...>", "model.onnx, then images or folders of them")
    .option("--target <name>", CERTIFIED_TARGETS.join(", "), oneOf("--target", CERTIFIED_TARGETS), "cpu")
    .option("--top <k>", "name the k most probable classes (default: 5)", integer("--top", 1))
    .option("--skip-broken", "exit with 0 although images cannot be decoded")
    .action(async (paths: readonly string[], flags: Flags) => {
      const { preprocess, skipBroken = false, browser, browserTimeout, ...rest } = flags;
      const runtimeOptions = browserOptions({ browser, browserTimeout }, [rest.target]);
      const models = paths.filter(isModel);
      const images = paths.filter((path) => !isModel(path));
      if (models.length === 0) {
        const [first] = images;
        // What was meant as the model is named as what it is.
        const { isImageName } = await import("../../image/folder.js");
        if (first !== undefined && !isImageName(first)) await onnxPath(first, "run");
        throw new QdgError("usage", "qdg run", "got no .onnx file, expected model.onnx first");
      }
      if (images.length === 0)
        throw new QdgError("usage", "qdg run", "got no images, expected files or folders");
      const { classifyImages } = await import("../../parity/classify-images.js");
      let [classified, broken] = [0, 0];
      const results = classifyImages({
        ...rest,
        models,
        images,
        runtimeOptions,
        ...(preprocess !== undefined && { preprocessing: await preprocessing(preprocess) }),
      });
      for await (const result of results) {
        if ("error" in result) {
          broken++;
          tell(terminal.stderr, `error: ${result.error}\n`);
        } else {
          classified++;
          terminal.stdout.write(`${JSON.stringify(result)}\n`);
        }
      }
      if (broken > 0 && (!skipBroken || classified === 0)) terminal.exitCode = 1;
    });
  return addBrowserOptions(addOutputKindOption(addLayoutOption(addImageOptions(command))));
}

function isModel(path: string): boolean {
  return path.toLowerCase().endsWith(".onnx");
}
