// Tensors as one run of bytes, for the way between Node and the page. Both functions run in both places: the
// page gets their text, so each must stand alone, with no import, no name from outside and no Node built-in.

/** A named tensor in the words of ONNX Runtime; `data` holds its elements in row-major order. */
export interface FrameTensor {
  readonly name: string;
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: ArrayBufferView;
}

/**
 * uint32 length of the header, little-endian; the header as JSON; then the bytes of each tensor in turn.
 *
 * @returns the frame, in memory of its own
 */
export function encodeFrame(tensors: readonly FrameTensor[]): Uint8Array<ArrayBuffer> {
  const header = new TextEncoder().encode(
    JSON.stringify(
      tensors.map(({ name, type, dims, data }) => ({ name, type, dims, sizeBytes: data.byteLength })),
    ),
  );
  const sizeBytes = tensors.reduce((sum, { data }) => sum + data.byteLength, 4 + header.length);
  const frame = new Uint8Array(sizeBytes);
  new DataView(frame.buffer).setUint32(0, header.length, true);
  frame.set(header, 4);
  let at = 4 + header.length;
  for (const { data } of tensors) {
    frame.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return frame;
}

/**
 * The inverse of encodeFrame. Types are those that a session passes in and out; float16 comes as its 16 bits.
 *
 * @throws Error for bytes that are no frame: a type not known, a tensor that does not fill its shape, bytes
 *   missing or left over
 */
export function decodeFrame(frame: Uint8Array): FrameTensor[] {
  const arrays = new Map<string, { BYTES_PER_ELEMENT: number; new (buffer: ArrayBuffer): ArrayBufferView }>([
    ["float32", Float32Array],
    ["float64", Float64Array],
    ["int8", Int8Array],
    ["uint8", Uint8Array],
    ["int16", Int16Array],
    ["uint16", Uint16Array],
    ["int32", Int32Array],
    ["uint32", Uint32Array],
    ["int64", BigInt64Array],
    ["uint64", BigUint64Array],
    ["bool", Uint8Array],
    ["float16", Uint16Array],
  ]);
  if (frame.length < 4) throw new Error(`frame: got ${frame.length} bytes, expected at least 4`);
  const headerBytes = new DataView(frame.buffer, frame.byteOffset, frame.byteLength).getUint32(0, true);
  let at = 4 + headerBytes;
  if (at > frame.length) throw new Error(`frame: header of ${headerBytes} bytes, only ${frame.length} there`);
  const header = JSON.parse(new TextDecoder().decode(frame.subarray(4, at))) as readonly {
    readonly name: string;
    readonly type: string;
    readonly dims: readonly number[];
    readonly sizeBytes: number;
  }[];
  const tensors = header.map(({ name, type, dims, sizeBytes }) => {
    const array = arrays.get(type);
    if (array === undefined) {
      throw new Error(
        `"${name}": type ${type}, expected one of ${[...arrays.keys()].join(", ")}; add a Cast`,
      );
    }
    const expected = dims.reduce((product, dim) => product * dim, array.BYTES_PER_ELEMENT);
    if (sizeBytes !== expected || at + sizeBytes > frame.length) {
      throw new Error(
        `"${name}": got ${sizeBytes} bytes for shape [${dims.join(", ")}], expected ${expected}`,
      );
    }
    // A copy, because an array of wide elements cannot start at any byte.
    const data = new Uint8Array(sizeBytes);
    data.set(frame.subarray(at, at + sizeBytes));
    at += sizeBytes;
    return { name, type, dims, data: new array(data.buffer) };
  });
  if (at !== frame.length) throw new Error(`frame: ${frame.length - at} bytes left over`);
  return tensors;
}
