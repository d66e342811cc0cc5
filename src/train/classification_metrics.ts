import { IGNORED } from "../data/ignored.ts";

/** Scores of a classifier on the rows of a dataset. */
export interface ClassificationMetrics {
  /** Share of the rows with the right class. */
  readonly accuracy: number;
  /**
   * Harmonic mean of precision and recall: of class 1 where there are two classes, else the mean over the classes that
   * occur.
   */
  readonly f1: number;
  /** Correlation of predictions and labels, from -1 to 1; 0 where either is constant. */
  readonly matthews_correlation: number;
}

/**
 * Accuracy, F1 and Matthews correlation (Gorodkin 2004 for more than two classes), as scikit-learn defines them
 * (accuracy_score; f1_score, average "binary" or "macro"; matthews_corrcoef). What would divide by zero is 0. Rows
 * whose label is IGNORED do not count.
 * @throws RangeError if the lengths differ, a number is no class, or no row counts.
 */
export function classificationMetrics(
  predictions: ArrayLike<number>,
  labels: ArrayLike<number>,
  classes: number,
): ClassificationMetrics {
  if (predictions.length !== labels.length) {
    throw new RangeError(
      `Cannot rate the predictions: expected one for each of ${labels.length} labels, got ${predictions.length}. ` +
        "Pass both of the same rows",
    );
  }
  const predicted = new Float64Array(classes), actual = new Float64Array(classes), hits = new Float64Array(classes);
  let rows = 0;
  for (let row = 0; row < labels.length; row++) {
    if (labels[row] === IGNORED) continue;
    rows++;
    const guess = checkClass(predictions[row]!, classes), truth = checkClass(labels[row]!, classes);
    predicted[guess]!++;
    actual[truth]!++;
    if (guess === truth) hits[truth]!++;
  }
  if (rows === 0) {
    throw new RangeError(
      "Cannot rate the predictions: expected at least one row with a label, got none. Choose another file",
    );
  }

  const correct = sum(hits),
    agreement = (a: Float64Array, b: Float64Array): number => sum(a.map((count, i) => count * b[i]!));
  const occurring = [...actual.keys()].filter((i) => actual[i]! + predicted[i]! > 0);
  const spread = Math.sqrt((rows ** 2 - agreement(predicted, predicted)) * (rows ** 2 - agreement(actual, actual)));
  const f1 = (i: number): number => ratio(2 * hits[i]!, predicted[i]! + actual[i]!);
  return {
    accuracy: correct / rows,
    f1: classes === 2 ? f1(1) : occurring.reduce((total, i) => total + f1(i), 0) / occurring.length,
    matthews_correlation: ratio(correct * rows - agreement(predicted, actual), spread),
  };
}

function checkClass(value: number, classes: number): number {
  if (Number.isInteger(value) && value >= 0 && value < classes) return value;
  throw new RangeError(
    `Cannot rate the predictions: expected classes from 0 to ${
      classes - 1
    }, got ${value}. Use the labels that the model was trained with`,
  );
}

const sum = (values: Float64Array): number => values.reduce((total, value) => total + value, 0);
const ratio = (numerator: number, denominator: number): number => (denominator === 0 ? 0 : numerator / denominator);
