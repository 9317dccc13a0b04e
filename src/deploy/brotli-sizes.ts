// How large the files of a site are as a server sends them. Measures only; hosts compress by themselves.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants } from "node:zlib";
import { noProgress, type Progress } from "../base/progress.js";

/** Above, brotli at its best takes minutes. */
const MOST_AT_BEST = 1e6;
/** As servers compress while they send. */
const QUICK = 5;

/** Bytes as brotli, in the order of `paths`: at its best up to 1 MB, at level 5 above. */
export async function brotliSizes(
  folder: string,
  paths: readonly string[],
  progress: Progress = noProgress,
): Promise<number[]> {
  let done = 0;
  return Promise.all(
    paths.map(async (path) => {
      const bytes = await readFile(join(folder, path));
      const quality = bytes.length > MOST_AT_BEST ? QUICK : constants.BROTLI_MAX_QUALITY;
      const packed = await promisify(brotliCompress)(bytes, {
        params: {
          [constants.BROTLI_PARAM_QUALITY]: quality,
          [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
        },
      });
      progress.report("brotli sizes", ++done, paths.length);
      return packed.length;
    }),
  );
}
