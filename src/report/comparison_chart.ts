import { type BytesByRole, formatBytes, totalBytes } from "../plan/ledger.ts";
import { type ChartMethod, type LossRange, lossRange } from "./loss_range.ts";
import { escapeText, linePath, niceTicks, shorten, textAt } from "./svg.ts";

const WIDTH = 1120, EDGE = 32, TOP = 134;
/** The curves, then the columns of the rows: name from its left, numbers up to their right, bars in between. */
const PLOT = { left: 72, right: 484 };
const NAME = 560, LOSS = 776, STATE = 852, BAR = { left: 868, right: 1024 };
const ROW = { least: 31, most: 84 };
const NAME_CHARACTERS = 20, ENTRY_CHARACTERS = 22;

const INK = "#1b1f24", MUTED = "#68707b", FAINT = "#e8e9ec", PAPER = "#fdfdfc";
/**
 * Okabe and Ito's colours, which the colour-blind can distinguish, without the yellow, which paper swallows. After
 * seven the lines are dashed, then dotted.
 */
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#4f545c"];
const DASHES = ["", ' stroke-dasharray="6 4"', ' stroke-dasharray="1.5 4" stroke-linecap="round"'];
/** Parts of the bars besides the state, which has the colour of its line. */
const REST = [
  { name: "parameters", colour: "#8e98a6", of: (bytes: BytesByRole): number => bytes.trainable + bytes.frozen },
  { name: "gradients", colour: "#b3bbc6", of: (bytes: BytesByRole): number => bytes.gradient },
  { name: "activations", colour: "#d0d6de", of: (bytes: BytesByRole): number => bytes.activation },
  { name: "other", colour: "#e6e9ee", of: (bytes: BytesByRole): number => bytes.input + bytes.output + bytes.scratch },
];

/** Pixels of a step and of a loss. */
type Axes = Readonly<Record<"x" | "y", (value: number) => number>>;

/** A method with its place in the picture. */
interface Row {
  readonly method: ChartMethod;
  readonly y: number;
  readonly colour: string;
  readonly dash: string;
}

/**
 * A comparison as an SVG picture: validation losses against steps, led to a row for each method, worst on top as the
 * curves are, with its loss and its planned memory. Methods are given best first.
 */
export function comparisonSvg(
  { title, subtitle, methods }: {
    readonly title: string;
    readonly subtitle: string;
    readonly methods: readonly ChartMethod[];
  },
): string {
  const height = Math.max(320, methods.length * ROW.least), bottom = TOP + height;
  const range = lossRange(methods);
  const lastStep = Math.max(1, ...methods.flatMap(({ curves }) => curves.map((curve) => curve.at(-1)?.step ?? 1)));
  const x = (step: number): number => PLOT.left + ((PLOT.right - PLOT.left) * step) / lastStep;
  const y = (loss: number): number => bottom - (height * (loss - range.low)) / (range.high - range.low);
  const rows = placeRows(methods, { height, endOf: (method) => endHeight(method, range, y) });
  const notes = notesOf(methods, range);
  const total = bottom + 66 + 18 * notes.length;
  const font =
    `font-family="system-ui, sans-serif" font-size="13" fill="${INK}" style="font-variant-numeric:tabular-nums"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${total}" ${font}>
<title>${escapeText(title)}</title>
<rect width="${WIDTH}" height="${total}" fill="${PAPER}"/>
${textAt(EDGE, 48, title, 'font-size="24" font-weight="650" letter-spacing="-0.3"')}
${textAt(EDGE, 74, subtitle, `font-size="14" fill="${MUTED}"`)}
${axesOf(range, { x, y }, bottom, lastStep)}
<svg x="${PLOT.left}" y="${TOP - 4}" width="${PLOT.right - PLOT.left + 5}" height="${
    height + 8
  }" viewBox="${PLOT.left} ${TOP - 4} ${PLOT.right - PLOT.left + 5} ${height + 8}">
${rows.toReversed().map((row) => curvesOf(row, { x, y, faint: rows.length > 6 })).join("\n")}
</svg>
${rows.map((row) => leader(row, x, endHeight(row.method, range, y))).join("\n")}
${headings(bottom)}
${rows.map((row) => rowOf(row, rows, range)).join("\n")}
${notes.map((note, i) => textAt(EDGE, bottom + 62 + 18 * i, note, `font-size="12" fill="${MUTED}"`)).join("\n")}
</svg>
`;
}

/** The height at which a method's curve ends; undefined if it diverged. */
const endHeight = (
  { eval_loss }: ChartMethod,
  { high }: LossRange,
  y: (loss: number) => number,
): number | undefined => (eval_loss === null ? undefined : y(Math.min(eval_loss, high)));

/**
 * Places rows evenly, as near to the ends of the curves as the picture allows. Their lines do not cross: a lower curve
 * has a lower row.
 */
function placeRows(
  methods: readonly ChartMethod[],
  { height, endOf }: { readonly height: number; readonly endOf: (method: ChartMethod) => number | undefined },
): Row[] {
  const pitch = Math.min(ROW.most, height / Math.max(1, methods.length));
  const ends = methods.flatMap((method) => endOf(method) ?? TOP);
  const middle = ends.reduce((sum, end) => sum + end, 0) / Math.max(1, ends.length);
  const half = (pitch * methods.length) / 2;
  const centre = Math.min(Math.max(middle, TOP + half), TOP + height - half);
  const order = [...methods].sort((a, b) => (b.eval_loss ?? Infinity) - (a.eval_loss ?? Infinity) || 0);
  return methods.map((method, i) => ({
    method,
    y: centre - half + pitch * (order.indexOf(method) + 0.5),
    colour: COLOURS[i % COLOURS.length]!,
    dash: DASHES[Math.floor(i / COLOURS.length) % DASHES.length]!,
  }));
}

function axesOf(range: LossRange, { x, y }: Axes, bottom: number, lastStep: number): string {
  const losses = niceTicks(range.low, range.high, 6).filter((loss) => loss >= range.low && loss <= range.high);
  const decimals = Math.max(0, ...losses.map((loss) => (String(loss).split(".")[1] ?? "").length));
  const steps = niceTicks(0, lastStep, 4).filter((step) => step <= lastStep);
  return [
    ...losses.map((loss) =>
      `<path d="M${PLOT.left} ${y(loss).toFixed(1)}H${PLOT.right}" stroke="${FAINT}"/>${
        textAt(PLOT.left - 10, y(loss) + 4.5, loss.toFixed(decimals), `text-anchor="end" fill="${MUTED}"`)
      }`
    ),
    `<path d="M${PLOT.left} ${bottom}H${PLOT.right}" stroke="#aab0b8"/>`,
    ...steps.map((step) =>
      `<path d="M${x(step).toFixed(1)} ${bottom}v5" stroke="#aab0b8"/>${
        textAt(x(step), bottom + 21, step.toLocaleString("en"), `text-anchor="middle" fill="${MUTED}"`)
      }`
    ),
    textAt((PLOT.left + PLOT.right) / 2, bottom + 40, "step", `text-anchor="middle" fill="${MUTED}"`),
  ].join("\n");
}

/** The mean over the seeds with the range between them, and a mark where it ends. */
function curvesOf({ method, colour, dash }: Row, { x, y, faint }: Axes & { readonly faint: boolean }): string {
  const steps = (method.curves[0] ?? []).map(({ step }) => step);
  const spread = steps.map((step) => ({
    step,
    losses: method.curves.map((curve) => curve.find((point) => point.step === step)?.loss ?? NaN),
  }))
    .filter(({ losses }) => losses.every(Number.isFinite));
  const mean = spread.map(({ step, losses }) => ({
    step,
    loss: losses.reduce((sum, loss) => sum + loss, 0) / losses.length,
  }));
  const end = mean.at(-1);
  if (!end) return "";
  const upper = spread.map(({ step, losses }) => ({ step, loss: Math.max(...losses) })),
    lower = spread.map(({ step, losses }) => ({ step, loss: Math.min(...losses) }));
  const band = method.curves.length > 1
    ? `<path d="${linePath([...upper, ...lower.reverse()], x, y)}Z" fill="${colour}" fill-opacity="${
      faint ? 0.08 : 0.15
    }"/>`
    : "";
  const at = `${x(end.step).toFixed(1)} ${y(end.loss).toFixed(1)}`;
  const mark = method.eval_loss === null
    ? `<path d="M${at}m-4 -4l8 8m0 -8l-8 8" stroke="${colour}" stroke-width="2" fill="none"/>`
    : `<circle cx="${x(end.step).toFixed(1)}" cy="${
      y(end.loss).toFixed(1)
    }" r="3.5" fill="${colour}" stroke="${PAPER}" stroke-width="1.2"/>`;
  return `${band}<path d="${
    linePath(mean, x, y)
  }" fill="none" stroke="${colour}" stroke-width="2" stroke-linejoin="round"${dash}/>${mark}`;
}

/** The line from the end of a curve to its row. A method that diverged has only the end of one. */
function leader({ method, y, colour, dash }: Row, x: (step: number) => number, end: number | undefined): string {
  const right = NAME - 8, from = x(method.curves[0]?.at(-1)?.step ?? 0) < PLOT.right ? undefined : end;
  const path = from === undefined
    ? `M${right - 16} ${y.toFixed(1)}H${right}`
    : `M${PLOT.right + 5} ${from.toFixed(1)}C${PLOT.right + 30} ${from.toFixed(1)} ${right - 30} ${
      y.toFixed(1)
    } ${right} ${y.toFixed(1)}`;
  return `<path d="${path}" fill="none" stroke="${colour}" stroke-width="1.4"${dash}/>`;
}

function headings(bottom: number): string {
  const heading = (x: number, text: string, anchor = "start"): string =>
    textAt(x, TOP - 18, text, `font-size="12" font-weight="600" fill="${MUTED}" text-anchor="${anchor}"`);
  // All keys are one text, so that none depends on the width of a font.
  const keys = [{ name: "state, in the colour of its line", colour: COLOURS[0]! }, ...REST].map(({ name, colour }) =>
    `<tspan fill="${colour}" font-size="15">■</tspan> ${name}`
  );
  return [
    heading(EDGE, "Validation loss, nats per token"),
    heading(NAME, "Method"),
    heading(LOSS, "Loss", "end"),
    heading(STATE, "State", "end"),
    heading(BAR.left, "GPU memory, planned"),
    `<text x="${WIDTH - EDGE}" y="${bottom + 40}" font-size="11.5" fill="${MUTED}" text-anchor="end">${
      keys.join("\u2003")
    }</text>`,
  ].join("\n");
}

function rowOf({ method, y, colour }: Row, rows: readonly Row[], { off }: LossRange): string {
  const { planned_bytes: bytes, eval_loss, spread, diverged, ended } = method;
  const scale = (BAR.right - BAR.left) / Math.max(1, ...rows.map(({ method }) => totalBytes(method.planned_bytes)));
  const thickness = rows.length > 8 ? 16 : 22;
  const small = `font-size="11" fill="${MUTED}"`;
  const below = diverged > 0 && ended > 0
    ? `${diverged}/${ended + diverged} diverged`
    : spread === null
    ? ""
    : `± ${spread.toFixed(3)}`;
  const loss = eval_loss === null ? "diverged" : `${off.has(method) ? "↑ " : ""}${eval_loss.toFixed(3)}`;
  let left = BAR.left;
  const bars = [{ colour, bytes: bytes.state }, ...REST.map(({ colour, of }) => ({ colour, bytes: of(bytes) }))].map(
    ({ colour, bytes }) => {
      const at = left;
      left += bytes * scale;
      return bytes === 0
        ? ""
        : `<rect x="${at.toFixed(2)}" y="${(y - thickness / 2).toFixed(1)}" width="${
          (bytes * scale).toFixed(2)
        }" height="${thickness}" fill="${colour}"/>`;
    },
  );
  return [
    textAt(NAME, y - 1, shorten(method.method, NAME_CHARACTERS), 'font-weight="600"'),
    textAt(NAME, y + 12, shorten(method.entry || `lr ${method.learning_rate}`, ENTRY_CHARACTERS), small),
    textAt(
      LOSS,
      below ? y - 1 : y + 4.5,
      loss,
      `text-anchor="end" font-weight="600"${eval_loss === null ? ` fill="${MUTED}"` : ""}`,
    ),
    below ? textAt(LOSS, y + 12, below, `text-anchor="end" ${small}`) : "",
    textAt(STATE, y + 4.5, formatBytes(bytes.state), 'text-anchor="end"'),
    ...bars,
    textAt(left + 7, y + 4.5, formatBytes(totalBytes(bytes)), ""),
  ].join("");
}

function notesOf(methods: readonly ChartMethod[], { cut, high, off }: LossRange): string[] {
  const above = [...off].map(({ method, eval_loss }) => `${method} ends at ${eval_loss!.toFixed(3)}`);
  return [
    methods.some(({ curves }) => curves.length > 1)
      ? "Lines are means over the seeds, bands reach from the lowest to the highest, ± is a standard deviation."
      : "",
    cut || above.length > 0
      ? `Losses above ${high.toPrecision(3)} are cut off${above.length > 0 ? `: ${above.join(", ")}` : ""}.`
      : "",
    methods.some(({ eval_loss, curves }) =>
        eval_loss === null && curves.some((curve) => (curve.at(-1)?.loss ?? Infinity) <= high)
      )
      ? "✕ marks the last measurement of a run that diverged."
      : "",
  ].filter(Boolean);
}
