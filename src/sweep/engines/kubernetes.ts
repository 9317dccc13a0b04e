// The engine of a Kubernetes cluster: an indexed Job in JSON, which kubectl takes, of which each pod runs one job of the
// sweep by its index. Nothing is run here. The current folder is the volume's, so that paths mean the same in a pod.

import { createHash } from "node:crypto";
import { isAbsolute, relative, resolve, sep } from "node:path";
import { checkWritable, writeFileAtomic } from "../../base/atomic-file.js";
import { QdgError } from "../../base/error.js";
import { VERSION } from "../../base/version.js";
import { hashOf } from "../job.js";
import { shellWord } from "../shell-word.js";
import type { Engine, EngineContext, EngineResult } from "./engine.js";
import { statesOf } from "./local.js";
import { memoryOf, minutesOf, outputOf } from "./resources.js";

export const kubernetesEngine: Engine = {
  name: "kubernetes",
  help: "an indexed Job for kubectl apply",
  settings: ["output", "force", "cpus", "memory", "time", "image", "volume", "namespace"],
  run: writeJob,
};

const SECONDS_TO_SAVE = 120;
/** A pod that fails is replaced as often; its job goes on from its checkpoint. */
const MORE_TRIES = 3;
/** A label of DNS, as names of objects are. */
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

async function writeJob(context: EngineContext): Promise<EngineResult> {
  const { sweep, settings } = context;
  const output = outputOf(settings.output, "job.json");
  await checkWritable(output, settings.force === true);
  const finished = [...(await statesOf(context)).values()].filter((state) => state === "finished").length;
  const job = kubernetesJob(context, process.cwd());
  await writeFileAtomic(output, `${JSON.stringify(job, null, 2)}\n`, { force: settings.force === true });
  const next = `${sweep.jobs.length} jobs; start them with: kubectl apply -f ${shellWord(output)}`;
  return { finished, failed: 0, stopped: false, files: [output], next };
}

/**
 * @param folder what is at the volume's path in a pod
 * @throws QdgError `usage` without an image or a volume, for names that Kubernetes does not take, and for paths outside
 * of `folder`
 */
export function kubernetesJob(
  context: Omit<EngineContext, "observer" | "signal" | "runTrain" | "program">,
  folder: string,
): Readonly<Record<string, unknown>> {
  const { sweep, path, out, jobs, threads, settings } = context;
  const { image, volume, namespace, cpus, memory, time } = settings;
  if (image === undefined || !/^[\w.:/@-]+$/.test(image)) {
    throw new QdgError("usage", "--image", `got ${image ?? "nothing"}, expected an image that has qdg in it`);
  }
  const [claim = "", ...rest] = (volume ?? "").split(":");
  const mountPath = rest.join(":");
  if (!LABEL.test(claim) || !/^\/[^:]+$/.test(mountPath)) {
    throw new QdgError(
      "usage",
      "--volume",
      `got ${volume ?? "nothing"}, expected claim:/path, a PersistentVolumeClaim that holds the current folder, and where pods see it`,
    );
  }
  if (namespace !== undefined && !LABEL.test(namespace)) {
    throw new QdgError(
      "usage",
      "--namespace",
      `got "${namespace}", expected lower-case letters, digits and -`,
    );
  }
  const hash = hashOf(sweep).slice(0, 12);
  const name = `qdg-${labelOf(sweep.name)}-${createHash("sha256").update(hash).digest("hex").slice(0, 6)}`;
  const labels = { "app.kubernetes.io/name": "qdg", "app.kubernetes.io/version": VERSION };
  const args = ["sweep", inside(path, folder, "the sweep file"), "--out", inside(out, folder, "--out")];
  if (threads !== undefined) args.push("--threads", String(threads));
  args.push("--if-hash", hash, "--only");
  const asked = {
    ...(cpus !== undefined && { cpu: String(cpus) }),
    ...(memory !== undefined && { memory: `${memoryOf(memory).count}${memoryOf(memory).unit}i` }),
  };
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name, labels, ...(namespace !== undefined && { namespace }) },
    spec: {
      completionMode: "Indexed",
      completions: sweep.jobs.length,
      parallelism: Math.min(jobs, sweep.jobs.length),
      backoffLimitPerIndex: MORE_TRIES,
      template: {
        metadata: { labels },
        spec: {
          restartPolicy: "Never",
          terminationGracePeriodSeconds: SECONDS_TO_SAVE,
          ...(time !== undefined && { activeDeadlineSeconds: 60 * minutesOf(time) }),
          containers: [
            {
              name: "train",
              image,
              command: ["qdg"],
              // $(NAME) in an argument is Kubernetes' own; twice the dollar is one that is none.
              args: [...args.map((arg) => arg.replaceAll("$(", () => "$$(")), "$(JOB_COMPLETION_INDEX)"],
              workingDir: mountPath,
              volumeMounts: [{ name: "work", mountPath }],
              ...(Object.keys(asked).length > 0 && { resources: { requests: asked, limits: asked } }),
            },
          ],
          volumes: [{ name: "work", persistentVolumeClaim: { claimName: claim } }],
        },
      },
    },
  };
}

function labelOf(name: string): string {
  const label = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .slice(0, 30)
    .replaceAll(/^-+|-+$/g, "");
  return label === "" ? "sweep" : label;
}

/** As a path below `folder` that any system takes. */
function inside(path: string, folder: string, what: string): string {
  const found = relative(folder, resolve(folder, path));
  if (found !== "" && !isAbsolute(found) && found.split(sep)[0] !== "..") return found.split(sep).join("/");
  throw new QdgError(
    "usage",
    what,
    `${path} is not inside of the current folder, which is what --volume has in a pod; go to a folder that holds both`,
  );
}
