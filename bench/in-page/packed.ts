// An experiment on the visitor's GPU: products of bytes, four in one word, by `dot4I8Packed`, against the same products of
// float32. Both shaders compute one output an invocation and read rows in steps of four.

export interface PackedHarness {
  /** `c[m][n] = sum_k a[m][k] b[n][k]`, K a multiple of 4. */
  packedProducts(request: PackedRequest): Promise<PackedResult | { readonly missing: string }>;
}

export interface PackedRequest {
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly rounds: number;
}

export interface PackedResult {
  readonly adapter: string;
  /** Of the packed products, from sums in JavaScript. */
  readonly differing: number;
  readonly packedMs: readonly number[];
  readonly floatMs: readonly number[];
}

/** What is used of WebGPU, which no types of this project declare. */
interface Gpu {
  readonly wgslLanguageFeatures: ReadonlySet<string>;
  requestAdapter(): Promise<Adapter | null>;
}
interface Adapter {
  readonly info: { readonly vendor: string; readonly architecture: string; readonly description: string };
  requestDevice(): Promise<Device>;
}
interface Device {
  readonly queue: {
    writeBuffer(buffer: Buffer, offset: number, data: ArrayBufferView): void;
    submit(commands: readonly object[]): void;
    onSubmittedWorkDone(): Promise<void>;
  };
  createBuffer(descriptor: { readonly size: number; readonly usage: number }): Buffer;
  createShaderModule(descriptor: { readonly code: string }): object;
  createComputePipelineAsync(descriptor: object): Promise<Pipeline>;
  createBindGroup(descriptor: object): object;
  createCommandEncoder(): Encoder;
  destroy(): void;
}
interface Pipeline {
  getBindGroupLayout(index: number): object;
}
interface Encoder {
  beginComputePass(): {
    setPipeline(pipeline: Pipeline): void;
    setBindGroup(index: number, group: object): void;
    dispatchWorkgroups(x: number, y: number): void;
    end(): void;
  };
  copyBufferToBuffer(from: Buffer, fromOffset: number, to: Buffer, toOffset: number, size: number): void;
  finish(): object;
}
interface Buffer {
  mapAsync(mode: number): Promise<void>;
  getMappedRange(): ArrayBuffer;
}

const FEATURE = "packed_4x8_integer_dot_product";
const STORAGE = 0x80;
const COPY_FROM = 0x04;
const COPY_TO = 0x08;
const MAP_READ = 0x01;
const READ = 1;
/** Invocations of a workgroup along each axis. */
const TILE = 8;
const WARM_UP_ROUNDS = 3;

const shader = (
  { M, N, K }: PackedRequest,
  element: string,
  sum: string,
  zero: string,
  dot: string,
): string => `
@group(0) @binding(0) var<storage, read> a: array<${element}>;
@group(0) @binding(1) var<storage, read> b: array<${element}>;
@group(0) @binding(2) var<storage, read_write> c: array<${sum}>;
@compute @workgroup_size(${TILE}, ${TILE})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= ${N}u || id.y >= ${M}u) { return; }
  var sum = ${zero};
  for (var i = 0u; i < ${K / 4}u; i++) {
    sum += ${dot}(a[id.y * ${K / 4}u + i], b[id.x * ${K / 4}u + i]);
  }
  c[id.y * ${N}u + id.x] = sum;
}`;

export const packedHarness: PackedHarness = {
  async packedProducts(request) {
    const { navigator } = globalThis as unknown as { readonly navigator: { readonly gpu?: Gpu } };
    const { gpu } = navigator;
    const adapter = await gpu?.requestAdapter();
    if (!gpu || !adapter) return { missing: "the browser has no WebGPU adapter" };
    if (!gpu.wgslLanguageFeatures.has(FEATURE)) return { missing: `WGSL lacks ${FEATURE} here` };
    const device = await adapter.requestDevice();
    const { M, N, K, rounds } = request;
    const a = bytes(M * K, 1);
    const b = bytes(N * K, 2);
    const packed = await runOf(device, request, shader(request, "u32", "i32", "0i", "dot4I8Packed"), a, b);
    const float = await runOf(
      device,
      request,
      shader(request, "vec4<f32>", "f32", "0.0", "dot"),
      Float32Array.from(a),
      Float32Array.from(b),
    );
    const packedMs: number[] = [];
    const floatMs: number[] = [];
    for (let round = 0; round < WARM_UP_ROUNDS + rounds; round++) {
      for (const [run, times] of round % 2
        ? [[packed, packedMs] as const, [float, floatMs] as const]
        : [[float, floatMs] as const, [packed, packedMs] as const]) {
        const started = performance.now();
        await run.once();
        if (round >= WARM_UP_ROUNDS) times.push(performance.now() - started);
      }
    }
    const got = new Int32Array(await packed.result());
    let differing = 0;
    for (let m = 0; m < M; m++) {
      for (let n = 0; n < N; n++) {
        let sum = 0;
        for (let k = 0; k < K; k++) sum += (a[m * K + k] as number) * (b[n * K + k] as number);
        if (got[m * N + n] !== sum) differing++;
      }
    }
    const { vendor, architecture, description } = adapter.info;
    device.destroy();
    return {
      adapter: description || [vendor, architecture].filter(Boolean).join(" "),
      differing,
      packedMs,
      floatMs,
    };
  },
};

function bytes(length: number, seed: number): Int8Array {
  let state = seed;
  return Int8Array.from({ length }, () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return (state >> 16) & 255;
  });
}

async function runOf(
  device: Device,
  { M, N }: PackedRequest,
  code: string,
  a: ArrayBufferView,
  b: ArrayBufferView,
): Promise<{ once(): Promise<void>; result(): Promise<ArrayBuffer> }> {
  const put = (data: ArrayBufferView): Buffer => {
    const buffer = device.createBuffer({ size: data.byteLength, usage: STORAGE | COPY_TO });
    device.queue.writeBuffer(buffer, 0, data);
    return buffer;
  };
  const size = M * N * 4;
  const c = device.createBuffer({ size, usage: STORAGE | COPY_FROM });
  const module = device.createShaderModule({ code });
  const pipeline = await device.createComputePipelineAsync({
    layout: "auto",
    compute: { module, entryPoint: "main" },
  });
  const entries = [put(a), put(b), c].map((buffer, binding) => ({ binding, resource: { buffer } }));
  const group = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
  return {
    async once() {
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(Math.ceil(N / TILE), Math.ceil(M / TILE));
      pass.end();
      device.queue.submit([encoder.finish()]);
      await device.queue.onSubmittedWorkDone();
    },
    async result() {
      const copy = device.createBuffer({ size, usage: COPY_TO | MAP_READ });
      const encoder = device.createCommandEncoder();
      encoder.copyBufferToBuffer(c, 0, copy, 0, size);
      device.queue.submit([encoder.finish()]);
      await copy.mapAsync(READ);
      return copy.getMappedRange().slice(0);
    },
  };
}
