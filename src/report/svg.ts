// Helpers that the pictures of this folder share.

/** A point of a curve: step from 1, loss in nats. */
export interface Point {
  /** The optimizer step. */
  readonly step: number;
  /** The training loss, a mean over the step's labels. */
  readonly loss: number;
}

/** Text as XML holds it between tags. */
export const escapeText = (text: string): string =>
  text.replace(/[<>&]/g, (sign) => ({ "<": "&lt;", ">": "&gt;", "&": "&amp;" })[sign]!);

/** Round numbers that cover a range in about `steps` steps. */
export function niceTicks(low: number, high: number, steps = 5): number[] {
  const rough = Math.max(high - low, 1e-9) / steps;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough)!;
  const first = Math.floor(low / step), last = Math.ceil(high / step);
  return [...Array(last - first + 1).keys()].map((i) => Number(((first + i) * step).toPrecision(12)));
}

/** The `d` of a path through the points, in pixels with one decimal. */
export function linePath(points: readonly Point[], x: (step: number) => number, y: (loss: number) => number): string {
  return points.map(({ step, loss }, i) => `${i ? "L" : "M"}${x(step).toFixed(1)} ${y(loss).toFixed(1)}`).join("");
}

/** A text element at a place, in pixels, with more attributes. */
export const textAt = (x: number, y: number, text: string, attributes: string): string =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}"${attributes && " "}${attributes}>${escapeText(text)}</text>`;

/** Cuts a text by whole characters, as people count them. */
export function shorten(text: string, most: number): string {
  const characters = [...text];
  return characters.length > most ? `${characters.slice(0, most - 1).join("")}…` : text;
}
