// Bounds of a manifest. It comes over a network: what is outside them is refused before anything is allocated or fetched.

export const MANIFEST_LIMITS: {
  readonly manifestBytes: number;
  readonly modelBytes: number;
  readonly runtimeBytes: number;
  readonly runtimeFiles: number;
  readonly labels: number;
  readonly nameLength: number;
  readonly inputElements: number;
  readonly selfTestCases: number;
  readonly selfTestPixels: number;
  /** Of the inputs of a self-test together. */
  readonly selfTestElements: number;
  readonly outputElements: number;
  readonly expectedValues: number;
  readonly knownTensors: number;
  readonly knownOutputsBytes: number;
  /** Of an output's largest value, or of 1: a self-test that lets more pass shows nothing. deploy writes 1e-5. */
  readonly relativeTolerance: number;
} = {
  manifestBytes: 8 * 2 ** 20,
  modelBytes: 2 ** 30,
  runtimeBytes: 128 * 2 ** 20,
  runtimeFiles: 16,
  labels: 100_000,
  nameLength: 200,
  inputElements: 2 ** 26,
  selfTestCases: 16,
  selfTestPixels: 512 * 512,
  selfTestElements: 2 ** 24,
  outputElements: 2 ** 28,
  expectedValues: 100_000,
  knownTensors: 4096,
  knownOutputsBytes: 2 ** 20,
  relativeTolerance: 1e-3,
};
