import { escapeText, linePath, niceTicks, type Point } from "./svg.ts";

export type { Point };

const WIDTH = 720, HEIGHT = 360;
const MARGIN = { left: 56, right: 20, top: 44, bottom: 44 };

/** A training run as an SVG picture: every step's loss, its running mean, and the validation losses. */
export function lossCurveSvg(title: string, training: readonly Point[], validation: readonly Point[]): string {
  const trained = training.filter(isFinite), validated = validation.filter(isFinite);
  const all = [...trained, ...validated];
  const lastStep = all.reduce((last, { step }) => Math.max(last, step), 1);
  const low = all.reduce((least, { loss }) => Math.min(least, loss), all[0]?.loss ?? 0);
  const high = all.reduce((most, { loss }) => Math.max(most, loss), low);
  const ticks = niceTicks(low, high);
  const bottom = Math.min(low, ticks[0]!), top = Math.max(high, ticks.at(-1)!, bottom + 1e-9);
  const x = (step: number): number => MARGIN.left + ((WIDTH - MARGIN.left - MARGIN.right) * step) / lastStep;
  const y = (loss: number): number =>
    HEIGHT - MARGIN.bottom - ((HEIGHT - MARGIN.top - MARGIN.bottom) * (loss - bottom)) / (top - bottom);
  const path = (points: readonly Point[]): string => linePath(points, x, y);
  const stepTicks = niceTicks(0, lastStep).filter((step) => step <= lastStep);
  const escaped = escapeText(title);
  const font = 'font-family="system-ui, sans-serif" font-size="12" fill="#444"';
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" ${font}>
<title>${escaped}</title>
<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>
<text x="${MARGIN.left}" y="24" font-size="15" fill="#111">${escaped}</text>
${
    ticks.map((loss) =>
      `<path d="M${MARGIN.left} ${y(loss).toFixed(1)}H${WIDTH - MARGIN.right}" stroke="#e6e6e6"/><text x="${
        MARGIN.left - 8
      }" y="${(y(loss) + 4).toFixed(1)}" text-anchor="end">${loss}</text>`
    ).join("\n")
  }
${
    stepTicks.map((step) =>
      `<text x="${x(step).toFixed(1)}" y="${HEIGHT - MARGIN.bottom + 18}" text-anchor="middle">${step}</text>`
    ).join("\n")
  }
<text x="${(MARGIN.left + WIDTH - MARGIN.right) / 2}" y="${HEIGHT - 8}" text-anchor="middle">step</text>
<text transform="translate(14 ${HEIGHT / 2}) rotate(-90)" text-anchor="middle">loss (nats per token)</text>
<path d="${path(trained)}" fill="none" stroke="#9ec5e8" stroke-width="1"/>
<path d="${path(runningMean(trained))}" fill="none" stroke="#1f6fb4" stroke-width="2"/>
<path d="${path(validated)}" fill="none" stroke="#d1495b" stroke-width="2"/>
${
    validated.map(({ step, loss }) =>
      `<circle cx="${x(step).toFixed(1)}" cy="${y(loss).toFixed(1)}" r="3" fill="#d1495b"/>`
    ).join("")
  }
<g transform="translate(${WIDTH - 230} 20)">${key(0, "#1f6fb4", "training")}${key(100, "#d1495b", "validation")}</g>
</svg>
`;
}

/** A piece of a line and its name. */
const key = (x: number, colour: string, name: string): string =>
  `<path d="M${x} 0h18" stroke="${colour}" stroke-width="2"/><text x="${x + 24}" y="4">${name}</text>`;

const isFinite = ({ loss }: Point): boolean => Number.isFinite(loss);

/** Mean of each point and its predecessors, the older the less: about a fiftieth of the run counts. */
function runningMean(points: readonly Point[]): Point[] {
  const keep = 1 - 1 / Math.max(1, points.length / 50);
  let sum = 0, weight = 0;
  return points.map(({ step, loss }) => {
    sum = keep * sum + (1 - keep) * loss;
    weight = keep * weight + (1 - keep); // below 1 at first, when there is little to average
    return { step, loss: sum / weight };
  });
}
