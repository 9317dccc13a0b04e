// The order of bytes in files and hashes, whatever that of this machine is.

const HOST_IS_LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/**
 * A fresh buffer with the elements of `bytes` in the order of this machine; files are little endian.
 *
 * @param elementSize bytes an element: 1, 2, 4 or 8; divides the length
 */
export function fromLittleEndian(bytes: Uint8Array, elementSize: number): ArrayBuffer {
  const copy = new Uint8Array(bytes.length);
  copy.set(bytes);
  if (!HOST_IS_LITTLE_ENDIAN && elementSize > 1) reverseElements(copy, elementSize);
  return copy.buffer;
}

/** The bytes of a typed array in little-endian order: a view on it where the machine has that order. */
export function toLittleEndian<Buffer extends ArrayBufferLike>(
  array: ArrayBufferView<Buffer>,
  elementSize: number,
): Uint8Array<Buffer | ArrayBuffer> {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  if (HOST_IS_LITTLE_ENDIAN || elementSize === 1) return bytes;
  const copy = bytes.slice();
  reverseElements(copy, elementSize);
  return copy;
}

function reverseElements(bytes: Uint8Array, elementSize: number): void {
  for (let at = 0; at < bytes.length; at += elementSize) bytes.subarray(at, at + elementSize).reverse();
}
