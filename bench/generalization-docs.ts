// All tables of generalization.ts by name, and how pages of the docs quote them.

import { conflictTable, pairsTable } from "./generalization-pairs.js";
import { SET_NAMES } from "./generalization-sets.js";
import { generalizationTable, type Result } from "./generalization-table.js";

export interface NamedTable {
  /** As markers say it. */
  readonly name: string;
  readonly table: string;
}

export function generalizationTables(all: readonly Result[]): NamedTable[] {
  return SET_NAMES.flatMap((data) => [
    { name: data, table: generalizationTable(data, all) },
    { name: `${data} pairs`, table: pairsTable(data, all) },
    { name: `${data} conflict`, table: conflictTable(data, all) },
  ]);
}

/** What stands between `<!-- generalization NAME -->` and `<!-- /generalization NAME -->` becomes the table. */
export function withTables(page: string, tables: readonly NamedTable[]): string {
  return tables.reduce((text, { name, table }) => {
    const marked = new RegExp(`(<!-- generalization ${name} -->\\n)[^]*(<!-- /generalization ${name} -->)`);
    return text.replace(marked, (_, begin: string, end: string) => `${begin}\n${table}\n${end}`);
  }, page);
}
