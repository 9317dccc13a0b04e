// NumPy's .npy files as tensors: format versions 1, 2 and 3, little-endian, C order. The header is a Python
// literal; it is read as data, never evaluated.

import { QdgError } from "../base/error.js";
import type { DType, Tensor } from "../base/tensor.js";
import { allocate } from "../base/tensor.js";

const MAGIC = "\u0093NUMPY";

/** NumPy's type codes without the byte order. */
const DTYPES: Readonly<Record<string, DType>> = {
  f2: "float16",
  f4: "float32",
  f8: "float64",
  i1: "int8",
  i2: "int16",
  i4: "int32",
  i8: "int64",
  u1: "uint8",
  u2: "uint16",
  u4: "uint32",
  u8: "uint64",
  b1: "bool",
};

/**
 * Decodes a .npy file (NEP 1: magic, version, header length, header, data).
 *
 * @param where the file, for messages
 * @throws QdgError `invalid-data` for another format, big-endian or Fortran-order data, a type that qdg has
 * no tensors of, or a length that does not fit the shape
 */
export function decodeNpy(bytes: Uint8Array, where: string): Tensor {
  const fail = (what: string): never => {
    throw new QdgError("invalid-data", where, what);
  };
  const magic = String.fromCharCode(...bytes.subarray(0, 6));
  if (magic !== MAGIC || bytes.length < 10) return fail("is not a .npy file; save it with numpy.save");
  const major = bytes[6] as number;
  if (major < 1 || major > 3) fail(`.npy version: got ${major}, expected 1, 2 or 3`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = major === 1 ? 10 : 12;
  if (bytes.length < start) fail("ends within its header; it was cut short");
  const headerLength = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  const end = start + headerLength;
  if (bytes.length < end) fail("ends within its header; it was cut short");
  const text = new TextDecoder(major === 3 ? "utf-8" : "latin1").decode(bytes.subarray(start, end));
  const { descr, fortranOrder, shape } = parseHeader(text, fail);

  const match = /^([<>|=])([a-zA-Z]\d+)$/.exec(descr);
  const dtype = match && Object.hasOwn(DTYPES, match[2] as string) ? DTYPES[match[2] as string] : undefined;
  if (match === null || dtype === undefined) {
    return fail(`type: got "${descr}", expected a plain number type as float32; save it with astype`);
  }
  const size = shape.reduce((product, dim) => product * dim, 1);
  if (!Number.isSafeInteger(size)) fail(`shape: got [${shape.join(", ")}], more elements than can be held`);
  const width = Number((match[2] as string).slice(1));
  const dataBytes = bytes.length - end;
  if (dataBytes !== size * width) {
    fail(`got ${dataBytes} bytes of data, expected ${size * width} for ${dtype} [${shape.join(", ")}]`);
  }
  if ((match[1] === ">" && width > 1) || match[1] === "=") {
    fail(`byte order: got "${match[1]}", expected little-endian; save it with astype("<${match[2]}")`);
  }
  if (fortranOrder && shape.filter((dim) => dim > 1).length > 1) {
    fail("got Fortran order, expected C order; save it with numpy.ascontiguousarray");
  }
  const data = allocate(dtype, size);
  // A copy: the data in the file need not be aligned. Typed arrays are little-endian wherever Node runs.
  new Uint8Array(data.buffer).set(bytes.subarray(end));
  if (dtype === "bool" && (data as Uint8Array).some((value) => value > 1)) {
    fail("got bools other than 0 and 1");
  }
  return { dtype, shape, data };
}

interface Header {
  readonly descr: string;
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
}

/** `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }` in any order of its keys. */
function parseHeader(text: string, fail: (what: string) => never): Header {
  const body = /^\s*\{([\s\S]*)\}\s*$/.exec(text)?.[1];
  if (body === undefined) return fail("its header is no Python dict");
  const entry = /^\s*'(\w+)'\s*:\s*(?:'([^'\\]*)'|(True|False)|\(([\d\s,L]*)\))\s*(?:,|$)/;
  const seen = new Set<string>();
  let descr: string | undefined;
  let fortranOrder: boolean | undefined;
  let shape: number[] | undefined;
  let rest = body;
  while (rest.trim() !== "") {
    const match = entry.exec(rest);
    if (match === null) return fail(`its header has "${rest.trim().slice(0, 60)}", which cannot be read`);
    const [whole, key, text_, flag, tuple] = match;
    if (seen.has(key as string)) return fail(`its header has "${key}" twice`);
    seen.add(key as string);
    if (key === "descr") descr = text_;
    else if (key === "fortran_order") fortranOrder = flag === undefined ? undefined : flag === "True";
    else if (key === "shape") shape = tuple === undefined ? undefined : parseTuple(tuple);
    else return fail(`its header has the unknown key "${key}"`);
    rest = rest.slice(whole.length);
  }
  if (descr === undefined || fortranOrder === undefined || shape === undefined) {
    return fail("its header lacks descr, fortran_order or shape, or has another type there");
  }
  return { descr, fortranOrder, shape };
}

/** undefined unless the text is numbers between commas, one comma after the last allowed. */
function parseTuple(text: string): number[] | undefined {
  if (text.trim() === "") return [];
  const parts = text.replace(/,\s*$/, "").split(",");
  const dims = parts.map((part) => (/^\s*\d+L?\s*$/.test(part) ? Number.parseInt(part, 10) : Number.NaN));
  return dims.every(Number.isSafeInteger) ? dims : undefined;
}
