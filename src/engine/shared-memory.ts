// Kernels for memory that threads share: the same code, of which only the declaration of the imported memory is another.

const IMPORTS = 2;
const MEMORY = 2;
const SHARED_WITH_MAXIMUM = 3;

/** Pages of 64 kB that shared memory may grow to, which it has to say beforehand: 1 GiB. */
export const MOST_SHARED_PAGES = 16384;

/**
 * A WebAssembly binary whose one import is a memory without a maximum, as it is for a shared memory.
 *
 * @throws RangeError for any other binary
 */
export function withSharedMemory(module: Uint8Array): Uint8Array<ArrayBuffer> {
  // Past "\0asm" and the version.
  let at = 8;
  while (at < module.length) {
    const id = module[at];
    const [size, start] = unsigned(module, at + 1);
    if (id === IMPORTS) {
      const section = sharedImport(module.subarray(start, start + size));
      return joined([
        module.subarray(0, at),
        Uint8Array.of(IMPORTS, ...bytesOf(section.length)),
        section,
        module.subarray(start + size),
      ]);
    }
    at = start + size;
  }
  throw new RangeError("got a WebAssembly module without imports, expected its memory");
}

function sharedImport(section: Uint8Array): Uint8Array {
  const [count, first] = unsigned(section, 0);
  const [moduleLength, moduleName] = unsigned(section, first);
  const [fieldLength, fieldName] = unsigned(section, moduleName + moduleLength);
  const kind = fieldName + fieldLength;
  if (count !== 1 || section[kind] !== MEMORY || section[kind + 1] !== 0) {
    throw new RangeError("got other imports, expected one memory without a maximum");
  }
  const [least, end] = unsigned(section, kind + 2);
  return joined([
    section.subarray(0, kind + 1),
    Uint8Array.of(SHARED_WITH_MAXIMUM, ...bytesOf(least), ...bytesOf(MOST_SHARED_PAGES)),
    section.subarray(end),
  ]);
}

/** LEB128: a number, and where what follows begins. */
function unsigned(bytes: Uint8Array, at: number): readonly [value: number, next: number] {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    if (byte === undefined || shift > 28) throw new RangeError("got a WebAssembly module that is cut off");
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) return [value, at];
  }
}

function bytesOf(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    bytes.push((rest % 128) | (rest >= 128 ? 128 : 0));
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  return bytes;
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
