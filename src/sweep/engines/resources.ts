// What a job may use on a cluster, from the words of the command line. How a cluster is told of it is its engine's.

import { QdgError } from "../../base/error.js";

const MINUTES: Readonly<Record<string, number>> = { m: 1, h: 60, d: 24 * 60 };

/** `90m`, `2h`, `1d` in minutes. @throws QdgError `usage` */
export function minutesOf(time: string): number {
  const [, count, unit = ""] = /^([1-9]\d{0,4})([mhd])$/.exec(time) ?? [];
  const minutes = Number(count) * (MINUTES[unit] ?? Number.NaN);
  if (Number.isFinite(minutes)) return minutes;
  throw new QdgError("usage", "--time", `got "${time}", expected minutes, hours or days, as 90m, 2h or 1d`);
}

/** `4G` or `500M` as a number and `G` or `M`, of 1024. @throws QdgError `usage` */
export function memoryOf(memory: string): { readonly count: number; readonly unit: "G" | "M" } {
  const [, count, unit] = /^([1-9]\d{0,6})([GM])$/.exec(memory) ?? [];
  if (unit === "G" || unit === "M") return { count: Number(count), unit };
  throw new QdgError("usage", "--memory", `got "${memory}", expected as 4G or 500M`);
}

/** The file that an engine writes. @throws QdgError `usage` where none was named */
export function outputOf(output: string | undefined, example: string): string {
  if (output !== undefined) return output;
  throw new QdgError("usage", "--output", `got nothing, expected the file to write, as -o ${example}`);
}
