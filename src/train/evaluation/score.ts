// Predictions against labels: right ones by domain and class, and which class is taken for which. Pure.

export interface ClassScore {
  readonly name: string;
  readonly count: number;
  readonly correct: number;
  /** null of no images. */
  readonly accuracy: number | null;
}

export interface DomainScore extends ClassScore {
  readonly classes: readonly ClassScore[];
  /** `confusion[label][prediction]`: images. */
  readonly confusion: readonly (readonly number[])[];
}

export interface Score extends DomainScore {
  readonly domains: readonly DomainScore[];
}

/** Images of a domain that are evaluated: their labels, indices into the classes. */
export interface LabelledDomain {
  readonly name: string;
  readonly labels: Uint16Array;
}

/**
 * @param predictions of all images, domain after domain
 * @returns of all domains together, named "all", and each by itself
 */
export function scoreOf(
  classes: readonly string[],
  domains: readonly LabelledDomain[],
  predictions: Uint16Array,
): Score {
  let start = 0;
  const scored = domains.map(({ name, labels }) => {
    const confusion = classes.map(() => classes.map(() => 0));
    labels.forEach((label, i) => {
      const row = confusion[label] as number[];
      const predicted = predictions[start + i] as number;
      row[predicted] = (row[predicted] as number) + 1;
    });
    start += labels.length;
    return ofConfusion(name, classes, confusion);
  });
  const together = classes.map((_, label) =>
    classes.map((__, predicted) =>
      sum(scored.map(({ confusion }) => confusion[label]?.[predicted] as number)),
    ),
  );
  return { ...ofConfusion("all", classes, together), domains: scored };
}

function ofConfusion(
  name: string,
  classes: readonly string[],
  confusion: readonly (readonly number[])[],
): DomainScore {
  const byClass = classes.map((each, label) => {
    const row = confusion[label] as readonly number[];
    return counted(each, sum(row), row[label] as number);
  });
  const count = sum(byClass.map((each) => each.count));
  const correct = sum(byClass.map((each) => each.correct));
  return { ...counted(name, count, correct), classes: byClass, confusion };
}

function counted(name: string, count: number, correct: number): ClassScore {
  return { name, count, correct, accuracy: count === 0 ? null : correct / count };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
