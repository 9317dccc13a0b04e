// Which file is meant by the path of a model: a model.json, the one in a folder, or an ONNX file. What is neither is
// named, with the command that makes a model.json of it. No model is read here.

import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errorText, QdgError } from "../base/error.js";
import { readError } from "../base/read-bytes.js";
import { type FileKind, fileKind } from "./file-kind.js";

/** What a caller can open. */
type Expected = "a model.json" | "an ONNX file" | "a model.json or an ONNX file";

/** A file that qdg opens as a model. */
export interface ModelPath {
  readonly kind: "model-json" | "onnx";
  /** Of the file, where a folder was given too. */
  readonly path: string;
}

/**
 * The path of the model.json that `path` means: itself, or the one in the folder.
 *
 * @throws QdgError `not-found` where there is nothing; `unsupported-model` for a file or a folder that is something
 * else, with what it is and what makes a model.json of it; `io`
 */
export async function modelJsonPath(path: string): Promise<string> {
  const file = await inFolder(path, ["model.json"], "a model.json");
  const kind = await fileKind(file);
  if (kind === "json") return file;
  throw await otherFile(kind, file, "a model.json");
}

/**
 * The path of the ONNX file that `path` means: itself, or the only one in the folder.
 *
 * @param command that wants it, for the error that a model.json gets
 * @throws QdgError as {@link modelJsonPath}
 */
export async function onnxPath(path: string, command: "inspect" | "parity" | "run"): Promise<string> {
  const file = await inFolder(path, [".onnx", "model.json"], "an ONNX file");
  const kind = await fileKind(file);
  if (kind === "json") {
    throw new QdgError(
      "unsupported-model",
      file,
      `is JSON, expected an ONNX file; if it is a model.json, export it first: qdg export ${quoted(file)} -o model.onnx, then qdg ${command} model.onnx${command === "parity" ? ` --reference ${quoted(file)}` : ""}`,
    );
  }
  if (kind === "onnx" || mayBeOnnx(kind, file)) return file;
  throw await otherFile(kind, file, "an ONNX file");
}

/** Either of the two; of a folder its model.json unless the ONNX file is wanted first. @throws QdgError as {@link modelJsonPath} */
export async function modelPath(path: string, first: ModelPath["kind"] = "model-json"): Promise<ModelPath> {
  // The model of a run has this name, and may have its export beside it.
  const wanted = first === "onnx" ? [".onnx", "model.json"] : ["model.json", "model.onnx", ".onnx"];
  const file = await inFolder(path, wanted, "a model.json or an ONNX file");
  const kind = await fileKind(file);
  if (kind === "json") return { kind: "model-json", path: file };
  if (kind === "onnx" || mayBeOnnx(kind, file)) return { kind: "onnx", path: file };
  throw await otherFile(kind, file, "a model.json or an ONNX file");
}

/** A file of that name which is damaged: its decoder tells more. */
function mayBeOnnx(kind: FileKind, path: string): boolean {
  return (kind === "unknown" || kind === "empty") && /\.onnx$/i.test(path);
}

/** The file itself; of a folder the file that one of `wanted` fits, in this order: a name, or the end of just one name. */
async function inFolder(path: string, wanted: readonly string[], expected: Expected): Promise<string> {
  let names: readonly string[];
  try {
    if (!(await stat(path)).isDirectory()) return path;
    names = await readdir(path);
  } catch (thrown) {
    const error = readError(path, thrown);
    if (error.code !== "not-found") throw error;
    const what = `cannot be read: ${errorText(thrown)}; give the path of ${expected}, or of its folder`;
    throw new QdgError("not-found", path, what, { cause: thrown });
  }
  for (const want of wanted) {
    const fitting = names.filter((name) => (want.startsWith(".") ? name.endsWith(want) : name === want));
    if (fitting.length === 1) return join(path, fitting[0] as string);
  }
  if (names.includes("saved_model.pb")) throw await otherFile("saved-model", path, expected);
  const others = names
    .filter((name) => /\.(onnx|h5|hdf5|keras|tflite|pb|zip|pt|pth|json)$/i.test(name))
    .sort();
  const shown = others.length === 0 ? "" : ` (it has ${others.slice(0, 5).join(", ")})`;
  throw new QdgError(
    "not-found",
    path,
    `is a folder without ${expected}${shown}; give the file of the model`,
  );
}

async function otherFile(kind: FileKind, path: string, expected: Expected): Promise<QdgError> {
  const [what, remedy] = await described(kind, path);
  const then =
    expected === "an ONNX file" && remedy.endsWith("tfjs_model") ? ", then qdg export tfjs_model" : "";
  return new QdgError("unsupported-model", path, `is ${what}, expected ${expected}; ${remedy}${then}`);
}

/** What a file is, and what to do with it. */
async function described(kind: FileKind, path: string): Promise<readonly [what: string, remedy: string]> {
  const convert = (format: string, what = path): string =>
    `pip install tensorflowjs; tensorflowjs_converter --input_format=${format} ${quoted(what)} tfjs_model`;
  const source = "convert the Keras model that it was made from (.h5 or .keras) with tensorflowjs_converter";
  switch (kind) {
    case "hdf5":
      return ["a Keras .h5 file", `make a model.json of it: ${convert("keras")}`];
    case "keras":
      return [
        "a .keras file",
        `make a model.json of it: ${convert("keras_keras --output_format=tfjs_layers_model")}`,
      ];
    case "saved-model": {
      const folder = basename(path) === "saved_model.pb" ? dirname(path) : path;
      const keras = "keras_saved_model --output_format=tfjs_layers_model";
      return [
        "a TensorFlow SavedModel",
        `make a model.json of it: ${convert("tf_saved_model", folder)}; with its layers, which stock tfjs trains too, if Keras 2 saved it: ${convert(keras, folder)}`,
      ];
    }
    case "frozen-graph":
      return [
        "a frozen TensorFlow graph",
        `make a model.json of it: ${convert("tf_frozen_model --output_node_names=NAMES")}`,
      ];
    case "tflite":
      return ["a TensorFlow Lite file, which has no layers any more", source];
    case "pytorch":
      return [
        "a PyTorch file, which holds weights but no layers",
        "build the network in Keras with these weights, save it as .h5, and convert that with tensorflowjs_converter",
      ];
    case "onnx":
      return [
        "an ONNX file",
        "qdg export, inspect, parity, run, train and evaluate take it as it is; here give the layers-model that it was made from",
      ];
    case "model-zip":
      return ["a zip file with a model.json in it", "unzip it, and give its folder"];
    case "zip":
      return ["a zip file", "unzip it, and give the model in it"];
    case "npy":
      return ["a NumPy array", "arrays are given with --calibration or --data"];
    case "image":
      return ["an image", "images are given by their folder, with --calibration or --data"];
    case "empty":
      return ["an empty file", "copy the model again"];
    case "json":
      return ["JSON", "export a model.json first: qdg export model.json"];
    case "unknown":
      return ["no model that qdg knows", await besideIt(path)];
    default:
      return kind satisfies never;
  }
}

/** Where the weights of a layers-model were given instead of itself. */
async function besideIt(path: string): Promise<string> {
  const beside = join(dirname(path), "model.json");
  const isThere = await stat(beside).then(
    (found) => found.isFile(),
    () => false,
  );
  return isThere
    ? `there is a model.json beside it: give ${quoted(beside)}`
    : "save the model with model.save() of tfjs, or convert it with tensorflowjs_converter";
}

function quoted(path: string): string {
  return /[^\w./:\\-]/.test(path) ? `"${path}"` : path;
}
