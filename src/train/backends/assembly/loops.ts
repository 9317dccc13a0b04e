// The module of training: loops over float32 on the heap of tfjs, where it has no data or stack of its own. Addresses
// need no alignment beyond the element's. Counts (periods, rounds, rows, pixels) are at least 1: loops that count down
// and ask at their end cost up to 16 % less. Every float operation stands in the order in which it is computed.

export { add, div, divInto, max, min, mul, sub, subFrom } from "./arithmetic";
export { affine, biaffine } from "./affine";
export { equal, greater, greaterEqual, less, lessEqual, notEqual } from "./comparisons";
export { grid, gridGradient } from "./grid";
export { inner1, inner16, inner4 } from "./inner-products";
export { outer1x4, outer1x8, outer4x4, outer4x8 } from "./outer-products";
export { positive, select } from "./select";
