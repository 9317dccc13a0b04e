// Writes WebAssembly: the few instructions that our own vector kernels need, and the frame of a module around
// them. Each instruction is a function from the code of its operands to code. Knows no kernel.
// Source: WebAssembly Core Specification 2.0, section 5, Binary Format.

/** Bytes that leave one value on the stack, or none where said. */
export type Code = readonly number[];

export type ValueType = "i32" | "v128" | "f32";
const TYPES: Readonly<Record<ValueType, number>> = { i32: 0x7f, f32: 0x7d, v128: 0x7b };

/** A parameter or local variable. */
export interface Local {
  readonly index: number;
  readonly type: ValueType;
}

/** A function that returns nothing and is known by its name. */
export interface AssembledFunction {
  readonly name: string;
  readonly parameters: readonly Local[];
  readonly locals: readonly Local[];
  readonly body: Code;
}

/**
 * A function of pointers and counts.
 *
 * @param build gets the parameters by name and a maker of local variables, and returns the body
 */
export function assemble<Name extends string>(
  name: string,
  parameterNames: readonly Name[],
  build: (parameters: Readonly<Record<Name, Local>>, local: (type: ValueType) => Local) => Code,
): AssembledFunction {
  const parameters = parameterNames.map((_, index): Local => ({ index, type: "i32" }));
  const byName = Object.fromEntries(parameterNames.map((each, i) => [each, parameters[i]])) as Record<
    Name,
    Local
  >;
  const locals: Local[] = [];
  const body = build(byName, (type) => {
    const local = { index: parameters.length + locals.length, type };
    locals.push(local);
    return local;
  });
  return { name, parameters, locals, body };
}

/** The value of a variable. */
export function get({ index }: Local): Code {
  return [0x20, ...unsigned(index)];
}

/** Leaves nothing. */
export function set({ index }: Local, value: Code): Code {
  return [...value, 0x21, ...unsigned(index)];
}

/** `variable += value`. Leaves nothing. */
export function advance(variable: Local, value: Code): Code {
  return set(variable, [...get(variable), ...value, 0x6a]);
}

export function i32(value: number): Code {
  return [0x41, ...signed(value)];
}

/** Runs the body as often as the variable says, at least once, and counts it down to 0. Leaves nothing. */
export function repeat(times: Local, body: Code): Code {
  const countDown = [...get(times), ...i32(1), 0x6b, 0x22, ...unsigned(times.index)];
  return [0x03, 0x40, ...body, ...countDown, 0x0d, 0x00, 0x0b];
}

/** Memory at an address, without a claim to alignment beyond the element. */
export const memory = {
  v128: (at: Code, offset = 0): Code => [...at, 0xfd, 0x00, 0x02, ...unsigned(offset)],
  /** One float in all four places. */
  splat: (at: Code, offset = 0): Code => [...at, 0xfd, 0x09, 0x02, ...unsigned(offset)],
  /** Four bytes as four integers. */
  bytes: (at: Code, offset = 0): Code => [
    ...at,
    253,
    92,
    0,
    ...unsigned(offset),
    253,
    ...unsigned(137),
    253,
    ...unsigned(169),
  ],
  f32: (at: Code, offset = 0): Code => [...at, 0x2a, 0x02, ...unsigned(offset)],
  /** Leaves nothing. */
  storeV128: (at: Code, value: Code, offset = 0): Code => [
    ...at,
    ...value,
    0xfd,
    0x0b,
    0x02,
    ...unsigned(offset),
  ],
  /** Leaves nothing. */
  storeF32: (at: Code, value: Code, offset = 0): Code => [...at, ...value, 0x38, 0x02, ...unsigned(offset)],
};

/** An instruction of two vectors. */
export type Binary = (a: Code, b: Code) => Code;

function vector(opcode: number): Binary {
  return (a, b) => [...a, ...b, 0xfd, ...unsigned(opcode)];
}

/** Four floats, element by element; comparisons give all ones or all zeros. */
export const f32x4: Readonly<
  Record<
    | "equal"
    | "notEqual"
    | "less"
    | "greater"
    | "lessEqual"
    | "greaterEqual"
    | "add"
    | "sub"
    | "mul"
    | "div"
    | "min"
    | "max",
    Binary
  >
> = {
  equal: vector(0x41),
  notEqual: vector(0x42),
  less: vector(0x43),
  greater: vector(0x44),
  lessEqual: vector(0x45),
  greaterEqual: vector(0x46),
  add: vector(0xe4),
  sub: vector(0xe5),
  mul: vector(0xe6),
  div: vector(0xe7),
  min: vector(0xe8),
  max: vector(0xe9),
};

export const f32 = {
  add: (a: Code, b: Code): Code => [...a, ...b, 0x92],
  mul: (a: Code, b: Code): Code => [...a, ...b, 0x94],
};

interface Vectors {
  readonly and: Binary;
  readonly zero: Code;
  /** Four floats, rounded to integers, ties to even. */
  readonly nearest: (a: Code) => Code;
  /** Bits of a where the mask has ones, of b elsewhere. */
  readonly select: (a: Code, b: Code, mask: Code) => Code;
  /** Four integers. */
  readonly negateI32: (a: Code) => Code;
  /** Four masks of four as sixteen bytes, each 0 or 1. */
  readonly bools: (a: Code, b: Code, c: Code, d: Code) => Code;
}

export const v128: Vectors = {
  and: vector(0x4e),
  zero: [0xfd, 0x0c, ...Array.from({ length: 16 }, () => 0)],
  nearest: (a: Code): Code => [...a, 0xfd, 0x6a],
  select: (a: Code, b: Code, mask: Code): Code => [...a, ...b, ...mask, 0xfd, 0x52],
  negateI32: (a: Code): Code => [...a, 0xfd, ...unsigned(0xa1)],
  bools: (a: Code, b: Code, c: Code, d: Code): Code => {
    const [narrow16, narrow8] = [vector(0x85), vector(0x65)];
    // The absolute value: -1 becomes 1.
    return [...narrow8(narrow16(a, b), narrow16(c, d)), 0xfd, 0x60];
  },
};

/** "\0asm", version 1. */
const HEADER: Code = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

/** A module that imports the memory `heap.memory` and exports the functions. */
export function moduleOf(functions: readonly AssembledFunction[]): Uint8Array<ArrayBuffer> {
  const types = functions.map(({ parameters }) => [
    0x60,
    ...list(parameters.map(({ type }) => [TYPES[type]])),
    ...list([]),
  ]);
  const heap = [...text("heap"), ...text("memory"), 0x02, 0x00, 0x01];
  const exports = functions.map(({ name }, index) => [...text(name), 0x00, ...unsigned(index)]);
  const bodies = functions.map(({ locals, body }) => {
    const code = [...list(locals.map(({ type }) => [0x01, TYPES[type]])), ...body, 0x0b];
    return [...unsigned(code.length), ...code];
  });
  return Uint8Array.from([
    ...HEADER,
    ...section(1, list(types)),
    ...section(2, list([heap])),
    ...section(3, list(functions.map((_, index) => unsigned(index)))),
    ...section(7, list(exports)),
    ...section(10, list(bodies)),
  ]);
}

function section(id: number, content: Code): Code {
  return [id, ...unsigned(content.length), ...content];
}

function list(items: readonly Code[]): Code {
  return [...unsigned(items.length), ...items.flat()];
}

function text(name: string): Code {
  const bytes = [...new TextEncoder().encode(name)];
  return [...unsigned(bytes.length), ...bytes];
}

/** LEB128. */
function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value >>> 0;
  do {
    bytes.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>>= 7;
  } while (rest !== 0);
  return bytes;
}

function signed(value: number): number[] {
  const bytes: number[] = [];
  let rest = value | 0;
  for (;;) {
    const low = rest & 0x7f;
    rest >>= 7;
    const done = (rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0);
    bytes.push(done ? low : low | 0x80);
    if (done) return bytes;
  }
}
