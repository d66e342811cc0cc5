// Parts that the reports share.

export const median = (values) => {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};
export const round = (value, digits = 1) => (value === undefined ? "–" : value.toFixed(digits));
export const title = (text) => text[0].toUpperCase() + text.slice(1);

/** Rows of cells below a head. */
export const table = (head, rows) => [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`);
