import { classificationMetrics } from "../../src/train/classification_metrics.ts";
import { assertClose, assertEquals, assertThrows, random, test } from "../harness.ts";

/** The definitions, counted class by class and pair by pair: sums of indicators, Pearson's correlation for Matthews. */
function defined(predictions: readonly number[], labels: readonly number[], classes: number) {
  const count = (wanted: (guess: number, truth: number) => boolean) =>
    labels.filter((truth, i) => wanted(predictions[i]!, truth)).length;
  const f1 = (k: number) => {
    const hits = count((guess, truth) => guess === k && truth === k),
      guessed = count((guess) => guess === k),
      there = count((_, truth) => truth === k);
    if (hits === 0) return 0;
    const precision = hits / guessed, recall = hits / there;
    return 2 * precision * recall / (precision + recall);
  };
  const present = [...Array(classes).keys()].filter((k) => count((guess, truth) => guess === k || truth === k) > 0);
  // R_K of Gorodkin: the covariances of the one-hot codes, summed over the classes.
  const covariance = (a: readonly number[], b: readonly number[]) => {
    let sum = 0;
    for (let k = 0; k < classes; k++) {
      const mean = (values: readonly number[]) => values.filter((value) => value === k).length / values.length;
      a.forEach((value, i) => sum += (Number(value === k) - mean(a)) * (Number(b[i] === k) - mean(b)));
    }
    return sum;
  };
  const spread = Math.sqrt(covariance(predictions, predictions) * covariance(labels, labels));
  return {
    accuracy: count((guess, truth) => guess === truth) / labels.length,
    f1: classes === 2 ? f1(1) : present.reduce((sum, k) => sum + f1(k), 0) / present.length,
    matthews_correlation: spread < 1e-12 ? 0 : covariance(predictions, labels) / spread,
  };
}

test("the examples of scikit-learn's documentation", () => {
  // sklearn.metrics.matthews_corrcoef: y_true [+1, +1, +1, -1], y_pred [+1, -1, +1, +1] gives -0.33; -1 is class 0
  // here.
  assertClose([classificationMetrics([1, 0, 1, 1], [1, 1, 1, 0], 2).matthews_correlation], [-1 / 3], {
    name: "matthews_corrcoef",
    relative: 1e-15,
  });
  // sklearn.metrics.f1_score: y_true [0, 1, 2, 0, 1, 2], y_pred [0, 2, 1, 0, 0, 1] gives macro 0.266...
  assertClose([classificationMetrics([0, 2, 1, 0, 0, 1], [0, 1, 2, 0, 1, 2], 3).f1], [0.8 / 3], {
    name: "f1_score",
    relative: 1e-15,
  });
  // sklearn.metrics.accuracy_score: y_true [0, 1, 2, 3], y_pred [0, 2, 1, 3] gives 0.5.
  assertEquals(classificationMetrics([0, 2, 1, 3], [0, 1, 2, 3], 4).accuracy, 0.5);
});

test("any predictions have the metrics of the definitions", () => {
  const next = random(21), draw = (n: number) => Math.floor(next() * n);
  for (let round = 0; round < 300; round++) {
    const classes = 2 + draw(4), used = 1 + draw(classes), rows = 1 + draw(40);
    const labels = Array.from({ length: rows }, () => draw(used)),
      predictions = labels.map((label) => (next() < 0.5 ? label : draw(used)));
    const { accuracy, f1, matthews_correlation } = classificationMetrics(predictions, labels, classes),
      expected = defined(predictions, labels, classes);
    // Sums of at most 40 doubles of size 1.
    assertClose([accuracy, f1, matthews_correlation], [expected.accuracy, expected.f1, expected.matthews_correlation], {
      name: `round ${round}`,
      absolute: 1e-12,
    });
  }
});

test("constant predictions, ignored rows, and what is refused", () => {
  assertEquals(classificationMetrics([0, 0], [0, 0], 2), { accuracy: 1, f1: 0, matthews_correlation: 0 });
  assertEquals(classificationMetrics([0, 0], [1, 1], 2), { accuracy: 0, f1: 0, matthews_correlation: 0 });
  assertEquals(classificationMetrics([0, 1, 9], Uint32Array.of(0, 1, 0xffffffff), 2), {
    accuracy: 1,
    f1: 1,
    matthews_correlation: 1,
  });
  assertThrows(() => classificationMetrics([0], [0, 1], 2), "expected one for each of 2 labels, got 1");
  assertThrows(() => classificationMetrics([2], [0], 2), "expected classes from 0 to 1, got 2");
  assertThrows(() => classificationMetrics([NaN], [0], 2), "got NaN");
  assertThrows(() => classificationMetrics([], [], 2), "at least one row");
});
