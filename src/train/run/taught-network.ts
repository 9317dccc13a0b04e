// A network that learns from a teacher beside the labels: the network in training, whose batches get what the teacher
// says of them. Owns the teacher and its place in checkpoints; the loss is the network's.

import * as tf from "@tensorflow/tfjs";
import { QdgError } from "../../base/error.js";
import { onehot } from "../cross-entropy.js";
import type { Batch } from "../data/batch.js";
import type { MethodState } from "../methods/method.js";
import type { Evaluated, EvaluateOptions } from "../objective.js";
import { type Lesson, type ReadTeacher, readTeacher, Teacher } from "../teacher.js";
import { type Learner, LearnerAround } from "./learner-around.js";
import { prefixed, unprefixed } from "./state-parts.js";
import { SELF, type TrainOptions } from "./train-options.js";

/** Parts of its state. Both networks may have weights of the same name. */
const STUDENT = "student/";
const TEACHER = "teacher/";

/** @throws QdgError as `readTeacher` @returns null where there is none, or none yet */
export async function teacherOf(
  { teacher, unlabeled }: Pick<TrainOptions, "teacher" | "unlabeled">,
  { classes, ...lesson }: Lesson,
): Promise<ReadTeacher | null> {
  if (teacher === null || teacher === SELF) return null;
  return readTeacher(teacher, { ...lesson, classes: unlabeled ? null : classes });
}

/** The network as the trainer gets it: with the teacher of `--teacher`, if there is one. */
export function withTeacher(
  network: Learner,
  { teacher, unlabeled }: Pick<TrainOptions, "teacher" | "unlabeled">,
  read: ReadTeacher | null,
): Learner {
  return teacher === null ? network : new TaughtNetwork(network, read, unlabeled);
}

export class TaughtNetwork extends LearnerAround {
  /** SELF, or the hash of the teacher: what a state must have been made with. */
  readonly #identity: string;
  readonly #alone: boolean;
  /** null: the network itself as its quantizers begin, and they have not. */
  #teacher: Teacher | null;
  /** Of the last batch: a sharpness-aware step asks twice. */
  #last: { readonly x: tf.Tensor4D; readonly target: tf.Tensor2D } | null = null;

  /**
   * @param from the teacher, which it takes over, and its hash; null: the network itself as its quantizers begin
   * @param alone whether what the teacher says is all there is to learn
   */
  constructor(network: Learner, from: Pick<ReadTeacher, "teacher" | "sha256"> | null, alone = false) {
    super(network);
    this.#alone = alone;
    this.#teacher = from?.teacher ?? null;
    this.#identity = from?.sha256 ?? SELF;
  }

  /**
   * Target: the mean t of label (1 there, 0 elsewhere) and what the teacher says, q. Its cross-entropy is
   * `(CE(label) + KL(q || p) + H(q)) / 2` of the network's probabilities p: equal weights and temperature 1 (Esser et al.
   * 2020, section 3.5, after Hinton et al. 2015); no weight changes the entropy of q, and guessing has ln(classes) as
   * without a teacher. Without labels t is q.
   */
  override evaluate(batch: Batch, options: EvaluateOptions): Evaluated {
    const target = this.#target(batch);
    return super.evaluate(target ? { ...batch, target } : batch, options);
  }

  #target({ x, labels }: Batch): tf.Tensor2D | null {
    const teacher = this.#teacher;
    if (teacher && this.#last?.x !== x) {
      this.#forget();
      const target = tf.tidy(() => {
        const said = teacher.probabilities(x);
        if (this.#alone) return said;
        return tf.div<tf.Tensor2D>(tf.add(onehot(labels, said.shape[1]), said), 2);
      });
      this.#last = { x, target };
    }
    return this.#last?.target ?? null;
  }

  #forget(): void {
    this.#last?.target.dispose();
    this.#last = null;
  }

  override setQuantized(on: boolean): void {
    // As it stands before a value is rounded.
    if (on) this.#teacher ??= new Teacher(this.toModel());
    super.setQuantized(on);
  }

  /** That of the network; with a teacher of itself, which no file has, the teacher's too. */
  override state(): MethodState {
    const { arrays, values } = super.state();
    const own = this.#identity === SELF ? this.#teacher?.state() : undefined;
    return {
      arrays: { ...prefixed(arrays, STUDENT), ...prefixed(own?.arrays ?? {}, TEACHER) },
      values: { ...values, teacher: this.#identity },
    };
  }

  /** @throws QdgError `invalid-data` for the state of another network, or of one with another teacher */
  override restore({ arrays, values }: MethodState): void {
    if (values["teacher"] !== this.#identity) {
      throw new QdgError(
        "invalid-data",
        "--teacher",
        `got a model of hash ${this.#identity}, expected that which the run was started with (${String(values["teacher"])}); bring it back, or start anew with --force`,
      );
    }
    const taught = unprefixed(arrays, TEACHER);
    if (this.#identity === SELF && Object.keys(taught).length > 0) {
      this.#teacher?.dispose();
      this.#teacher = new Teacher(this.toModel());
      this.#teacher.restore({ arrays: taught, values: {} });
    }
    super.restore({ arrays: unprefixed(arrays, STUDENT), values });
  }

  override dispose(): void {
    this.#forget();
    this.#teacher?.dispose();
    super.dispose();
  }
}
