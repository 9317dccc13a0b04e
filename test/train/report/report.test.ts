// The page as a whole, and the command: what is in it, that it asks no network, that names in runs stay text.

import { createHash } from "node:crypto";
import { appendFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { trainingReport } from "../../../src/train/report/report.js";
import { runCli } from "../../support/run-cli.js";
import { editJson, newFolder, removeFolder } from "../../support/small-models.js";
import { type MadeUpRun, writeRun } from "./made-up-runs.js";

const SHORT: MadeUpRun = { steps: 300, layers: 2, window: 50 };

let folder = "";
beforeAll(async () => {
  folder = await newFolder();
});
afterAll(() => removeFolder(folder));

/** Text of the cells of each row of the tables, for reading by people. */
function rowsOf(html: string): string[] {
  return [...html.matchAll(/<tr[^>]*>(.*?)<\/tr>/gs)].map(([, row = ""]) =>
    [...row.matchAll(/<t[hd][^>]*>(.*?)<\/t[hd]>/gs)]
      .map(([, cell = ""]) => cell.replaceAll(/<[^>]*>/g, "").trim())
      .join(" | "),
  );
}

/** The same on all four domains. */
function validated(share: number): object {
  return Object.fromEntries([0, 1, 2, 3].map((i) => [`env${i}_out_acc`, share]));
}

describe("a page", () => {
  test("shows one run: what it was, its accuracy by domain, curves, scales and maps", async () => {
    const run = await writeRun(join(folder, "one"), SHORT);
    await writeFile(
      join(run, "results.jsonl"),
      `${JSON.stringify({
        step: 99,
        domains: ["mnist", "mnist_m", "svhn", "syn"],
        env0_in_acc: 0.9,
        env0_out_acc: 0.8,
        env1_in_acc: 0.5,
        env1_out_acc: 0.25,
        env2_in_acc: 0.7,
        env2_out_acc: 0.6,
        env3_in_acc: 0.5,
        env3_out_acc: 0.4,
      })}\n`,
    );
    const { html, notes } = await trainingReport([run]);
    expect(notes).toEqual([]);
    const rows = rowsOf(html);
    expect(rows.find((row) => row.startsWith("one"))).toMatch(
      /^one \| gaqat \| 3 \| mnist_m \| 45\.0 \| 60\.0 \| 99 \| 290 of 300 \| \d+ \| resnet8 \| 78,042 \| wasm 4\.22\.0$/,
    );
    // 3,200 images at 50 % and 800 at 25 %.
    expect(rows).toContain("held out, all images | 45.0");
    expect(rows).toContain("validation, mean of sources | 60.0");
    expect(rows).toContain("mnist validation | 80.0");
    expect(rows).toContain("mnist training split | 90.0");
    expect(rows).toContain("mnist_m held out, all images | 45.0");
    expect(rows).toContain("gaqat.threshold | 0.3");
    for (const title of ["Held-out accuracy, %", "Loss, log axis", "Smoothness loss", "Learning rate"]) {
      expect(html).toContain(`<figcaption>${title}`);
    }
    expect(html).toContain("<figcaption>stage1_conv1_relu");
    expect(html).toContain('class="map"');
    expect(html).not.toMatch(/NaN|undefined<|\[object/);
  });

  test("puts runs side by side, with the options in which they differ and the spread of seeds", async () => {
    const runs: string[] = [];
    for (const [method, seed] of [
      ["lsq", 0],
      ["gaqat", 0],
      ["gaqat", 1],
    ] as const) {
      runs.push(await writeRun(join(folder, `${method}-${seed}`), { ...SHORT, method, seed }));
    }
    for (const [name, shares] of [
      ["lsq-0", 0.5],
      ["gaqat-0", 0.6],
      ["gaqat-1", 0.8],
    ] as const) {
      const splits = [0, 1, 2, 3].flatMap((i) => [
        [`env${i}_in_acc`, shares],
        [`env${i}_out_acc`, shares],
      ]);
      const line = { step: 99, ...(Object.fromEntries(splits) as object) };
      await writeFile(join(folder, name, "results.jsonl"), `${JSON.stringify(line)}\n`);
    }
    const { html } = await trainingReport(runs);
    const rows = rowsOf(html);
    expect(rows).toContain("option | lsq-0 | gaqat-0 | gaqat-1");
    expect(rows).toContain("method | lsq | gaqat | gaqat");
    expect(rows).toContain("seed | 0 | 0 | 1");
    expect(rows).toContain("gaqat.window | – | 50 | 50");
    expect(rows.filter((row) => row.startsWith("out |"))).toHaveLength(1);
    // Half the distance of 60 and 80, times the square root of 2.
    expect(rows).toContain(
      "method gaqat (2 runs) | 2 | 70.0 ± 14.1 | 70.0 ± 14.1 | 70.0 ± 14.1 | 70.0 ± 14.1 | 70.0 ± 14.1 | 70.0 ± 14.1",
    );
    expect(rows).toContain("lsq-0 | 1 | 50.0 | 50.0 | 50.0 | 50.0 | 50.0 | 50.0");
  });

  test("says how far the two gradients of scales were in conflict, and that they were not where none opposed", async () => {
    const path = await writeRun(join(folder, "conflict"), SHORT);
    const { html } = await trainingReport([path]);
    // Every third layer of made-up runs.
    expect(html).toMatch(
      /In \d+\.\d % of the layers,\s+mean over the windows, the two gradients opposed each other/,
    );
    expect(html).toContain(">Opposition: share of steps");
    const file = join(path, "freezing.jsonl");
    await writeFile(file, (await readFile(file, "utf8")).replaceAll('"cosine":-0.2', '"cosine":0.2'));
    expect((await trainingReport([path])).html).toContain("there is no conflict to mend here");
  });

  test("shows at which bits a network for several does how well, beside one that is for one", async () => {
    const runs = [
      await writeRun(join(folder, "several"), { ...SHORT, bits: 8 }),
      await writeRun(join(folder, "one"), { ...SHORT, method: "lsq" }),
    ];
    const several = { step: 99, ...validated(0.6), by_bits: { 2: validated(0.5), 8: validated(0.7) } };
    await writeFile(join(folder, "several", "results.jsonl"), `${JSON.stringify(several)}\n`);
    await writeFile(
      join(folder, "one", "results.jsonl"),
      `${JSON.stringify({ step: 99, ...validated(0.4) })}\n`,
    );
    const { html } = await trainingReport(runs);
    const rows = rowsOf(html);
    expect(rows).toContain("validation, mean of sources | 60.0 | 40.0");
    expect(rows).toContain("validation at 2 bits | 50.0 | –");
    expect(rows).toContain("validation at 8 bits | 70.0 | –");
  });

  test("asks no network for anything, and its policy forbids all but its own script", async () => {
    const { html } = await trainingReport([await writeRun(join(folder, "policy"), SHORT)]);
    const scripts = [...html.matchAll(/<script>(.*?)<\/script>/gs)].map(([, text = ""]) => text);
    expect(scripts).toHaveLength(1);
    const hash = createHash("sha256")
      .update(scripts[0] as string)
      .digest("base64");
    expect(html).toContain(
      `content="default-src &#39;none&#39;; style-src &#39;unsafe-inline&#39;; script-src &#39;sha256-${hash}&#39;"`,
    );
    expect(html).not.toMatch(/<link|<img|<iframe|\ssrc=|@import|url\(|href="[^#]/);
    expect(scripts[0]).toContain("MIT License");
  });

  test("keeps names out of runs as text", async () => {
    const evil = '</script><script>alert("1")</script>';
    const run = await writeRun(join(folder, `"><b>run`), {
      ...SHORT,
      domains: [evil, "b&b", "c"],
      testDomain: "c",
    });
    await editJson(join(run, "run.json"), (json: Record<string, never>) => ({
      ...(json as object),
      qdg: evil,
      classes: [evil],
      model: { name: evil, parameters: 1 },
      backend: { name: evil, version: "\u202E\u0007" },
      options: { [evil]: evil, steps: "<i>" },
      quantizers: [{ id: evil, layer: evil, role: "weight", bits: 3, signed: true }],
    }));
    await writeFile(
      join(run, "log.jsonl"),
      `${JSON.stringify({ step: 1, loss: 1, scales: { [evil]: 0.5 } })}\n`,
    );
    const marks = { [`${evil}/scale`]: [1] };
    const line = { step: 9, steps: 9, disorder: { [`${evil}/scale`]: [0.5] }, frozen: marks };
    await writeFile(join(run, "freezing.jsonl"), `${JSON.stringify(line)}\n`);
    const { html } = await trainingReport([run]);
    expect(html.match(/<script\b/g)).toHaveLength(2);
    expect(html.match(/<\/script/g)).toHaveLength(2);
    expect(html).not.toMatch(/<b>|<i>|alert\("/);
    expect(html).toContain("&lt;/script&gt;&lt;script&gt;alert(&quot;1&quot;)");
    expect(html).toContain("b&amp;b");
    expect(html).not.toContain("\u202E");
    expect(html).not.toContain("\u0007");
    const data = /<script type="application\/json" id="charts">(.*?)<\/script>/s.exec(html)?.[1];
    expect((JSON.parse(data ?? "") as { title: string }[]).map(({ title }) => title)).toContain(evil);
  });

  test("of a run that has only begun says so by dashes", async () => {
    const run = join(folder, "begun");
    await writeRun(run, { ...SHORT, until: 0 });
    const { html } = await trainingReport([run]);
    expect(rowsOf(html)).toContain(
      "begun | gaqat | 3 | mnist_m | – | – | – | 0 of 300 | – | resnet8 | 78,042 | wasm 4.22.0",
    );
    expect(html).not.toContain("data-chart=");
  });
});

describe("qdg report", () => {
  test("writes the page, and tells what it left out", async () => {
    const run = await writeRun(join(folder, "cut"), SHORT);
    await appendFile(join(run, "log.jsonl"), '{"step": 300, "lo');
    const output = join(folder, "out", "report.html");
    const { code, stdout, stderr } = await runCli("report", run, "-o", output);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    expect(stderr).toMatch(/note: .*cut\/log\.jsonl:31: the last line is half-written/);
    expect(stderr).toMatch(/report\.html: [\d.]+ kB, 1 run\(s\)\n$/);
    const html = await readFile(output, "utf8");
    expect(html).toContain("log.jsonl:31: the last line is half-written");
    expect((await runCli("report", run, "-o", output)).stderr).toMatch(/\[exists\]/);
    expect((await runCli("report", run, "-o", output, "--force")).code).toBe(0);
  });

  test("refuses a folder that is no run, and none at all", async () => {
    await mkdir(join(folder, "empty"));
    const { code, stderr } = await runCli("report", join(folder, "empty"), "-o", join(folder, "no.html"));
    expect(code).toBe(1);
    expect(stderr).toMatch(/empty: no run\.json in it.*\[not-found\]/);
    expect((await runCli("report")).code).toBe(2);
  });
});
