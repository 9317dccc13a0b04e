// Run folders as `qdg train` leaves them, with made-up numbers that look like those of real runs.

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { seeded } from "../../support/layers-models.js";

export interface MadeUpRun {
  readonly method?: "lsq" | "lsq-sagm" | "gaqat";
  readonly seed?: number;
  readonly bits?: number;
  readonly steps?: number;
  /** The run was stopped at this step. */
  readonly until?: number;
  readonly domains?: readonly string[];
  readonly testDomain?: string;
  /** Layers with a weight and an activation quantizer each. */
  readonly layers?: number;
  readonly logEvery?: number;
  readonly window?: number;
}

/** Writes run.json, log.jsonl, results.jsonl and, for gaqat, freezing.jsonl. @returns the folder */
export async function writeRun(folder: string, options: MadeUpRun = {}): Promise<string> {
  const {
    method = "gaqat",
    seed = 0,
    bits = 3,
    steps = 2000,
    layers = 8,
    logEvery = 10,
    window = 100,
  } = options;
  const { until = steps, domains = ["mnist", "mnist_m", "svhn", "syn"], testDomain = "mnist_m" } = options;
  const random = seeded(17 * seed + { lsq: 1, "lsq-sagm": 2, gaqat: 3 }[method]);
  const noise = (): number => random() + random() - 1;
  const names = Array.from({ length: layers }, (_, i) => `stage${1 + Math.floor(i / 3)}_conv${1 + (i % 3)}`);
  const quantizers = names.flatMap((layer) => [
    { id: `${layer}/kernel`, layer, role: "weight", bits, signed: true, scales: 16 },
    { id: `${layer}_relu`, layer: `${layer}_relu`, role: "activation", bits, signed: false, scales: 1 },
  ]);
  const lines = { log: [] as unknown[], results: [] as unknown[], freezing: [] as unknown[] };
  const skill = { lsq: 0.84, "lsq-sagm": 0.87, gaqat: 0.91 }[method] + 0.02 * noise();
  const drift = quantizers.map(() => 0.6 * noise());
  let frozen = 0;
  for (let step = 0; step < until; step++) {
    const done = step / steps;
    const progress = 1 - Math.exp(-6 * done);
    if ((step + 1) % window === 0 && method === "gaqat") {
      const line = windowLine(quantizers, step + 1, window, random);
      frozen = line.share;
      lines.freezing.push(line.report);
    }
    if (step % logEvery === 0) {
      const loss = 2.3 * (1 - skill * progress) * (1 + 0.15 * noise());
      lines.log.push({
        step,
        loss,
        ...(method === "lsq" ? {} : { smoothLoss: loss * (1.08 + 0.02 * noise()) }),
        learningRate: 0.001 * 0.5 * (1 + Math.cos(Math.PI * done)),
        imagesPerSecond: (method === "lsq" ? 410 : 205) + 10 * noise(),
        ...(method === "gaqat" ? { frozen } : {}),
        scales: Object.fromEntries(
          quantizers.map(({ id, role }, i) => [
            id,
            (role === "weight" ? 0.04 : 0.3) * Math.exp((drift[i] ?? 0) * progress + 0.01 * noise()),
          ]),
        ),
      });
    }
    if (step % 100 === 99 || step === steps - 1) {
      const accuracy = Object.fromEntries(
        domains.flatMap((name, i) => {
          const top = name === testDomain ? 0.42 * skill : skill - 0.03 * i;
          const value = (better: number): number =>
            Math.max(0, Math.min(1, top * (0.15 + 0.85 * progress) + better + 0.01 * noise()));
          return [
            [`env${i}_in_acc`, value(name === testDomain ? 0 : 0.04 * progress)],
            [`env${i}_out_acc`, value(0)],
          ];
        }),
      );
      const oscillating = Object.fromEntries(
        names.map((name) => [`${name}/kernel`, 0.05 * done * (1 + noise() / 2)]),
      );
      lines.results.push({
        args: {},
        hparams: {},
        step,
        epoch: step / 75,
        step_time: 0.16,
        ...accuracy,
        domains,
        oscillating,
      });
    }
  }
  await mkdir(folder, { recursive: true });
  const run = {
    version: 1,
    qdg: "0.1.0",
    created: "2026-01-02T03:04:05.000Z",
    options: {
      data: "digits-dg",
      testDomain: [testDomain],
      method,
      bits,
      model: "resnet8",
      steps,
      seed,
      out: folder,
      learningRate: 0.001,
      batchSize: 32,
      ...(method === "gaqat" ? { gaqat: { window, threshold: 0.3, frozenPart: "task" } } : {}),
    },
    backend: { name: "wasm", version: "4.22.0" },
    model: { name: "resnet8", parameters: 78_042 },
    classes: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    domains: domains.map((name) => ({
      name,
      role: name === testDomain ? "test" : "source",
      training: 3200,
      validation: 800,
    })),
    quantizers,
  };
  await writeFile(join(folder, "run.json"), JSON.stringify(run));
  for (const [name, list] of Object.entries(lines)) {
    if (list.length === 0) continue;
    await writeFile(join(folder, `${name}.jsonl`), list.map((line) => `${JSON.stringify(line)}\n`).join(""));
  }
  return folder;
}

function windowLine(
  quantizers: readonly { readonly id: string; readonly scales: number }[],
  step: number,
  steps: number,
  random: () => number,
): { readonly report: object; readonly share: number } {
  const disorder: Record<string, number[]> = {};
  const frozen: Record<string, number[]> = {};
  quantizers.forEach(({ id, scales }, i) => {
    const lean = 0.16 * Math.sin(i * 1.7);
    disorder[`${id}/scale`] = Array.from({ length: scales }, () => {
      const spread = 0.2 * (random() + random() - 1);
      return Math.max(0, Math.min(1, 0.48 + lean + spread));
    });
    frozen[`${id}/scale`] = (disorder[`${id}/scale`] as number[]).map((each) => (each < 0.4 ? 1 : 0));
  });
  const scaled = (value: (disorder: number) => number): Record<string, number[]> =>
    Object.fromEntries(Object.entries(disorder).map(([name, list]) => [name, list.map(value)]));
  const conflict = {
    smoothnessDisorder: scaled((d) => 1 - d),
    opposed: scaled((d) => 0.9 * d),
    cosine: scaled((d) => 1 - 1.6 * d),
    // Every third layer opposes.
    layers: Object.fromEntries(
      quantizers.map(({ id }, i) => [id, { opposed: 0.4, cosine: i % 3 === 0 ? -0.2 : 0.3 }]),
    ),
  };
  const all = Object.values(frozen).flat();
  const share = all.reduce((sum, each) => sum + each, 0) / all.length;
  return { report: { step, steps, disorder, frozen, ...conflict }, share };
}
