// The engines that there are. Each loads what it needs when it runs.

import { bullmqEngine } from "./bullmq.js";
import type { Engine } from "./engine.js";
import { kubernetesEngine } from "./kubernetes.js";
import { localEngine } from "./local.js";
import { slurmEngine } from "./slurm.js";

export const ENGINES: readonly Engine[] = [localEngine, bullmqEngine, slurmEngine, kubernetesEngine];
