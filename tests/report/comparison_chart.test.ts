import { comparisonSvg } from "../../src/report/comparison_chart.ts";
import type { ChartMethod } from "../../src/report/loss_range.ts";
import type { Point } from "../../src/report/svg.ts";
import { assert, assertEquals, random, test } from "../harness.ts";
import { checkXml } from "./xml.ts";

const TITLE = "A title", SUBTITLE = "a subtitle";

interface Made {
  readonly seeds?: number;
  readonly points?: number;
  readonly diverged?: boolean;
  readonly state?: number;
  readonly start?: number;
}

/** A method whose losses fall from `start` to `loss` by step 100. */
function methodOf(
  method: string,
  loss: number,
  { seeds = 2, points = 10, diverged = false, state = 1000, start = 6 }: Made = {},
): ChartMethod {
  const next = random(method.length);
  const curve = (): Point[] =>
    [...Array(points).keys()].map((i) => ({
      step: (100 * (i + 1)) / points,
      loss: i + 1 === points ? loss : loss + (start - loss) * Math.exp(-i) + 0.01 * next(),
    }));
  const planned_bytes = {
    frozen: 100,
    trainable: 4000,
    gradient: 4000,
    state,
    activation: 9000,
    input: 10,
    output: 10,
    scratch: 500,
  };
  const outcome = diverged
    ? { ended: 0, diverged: seeds, eval_loss: null, spread: null }
    : { ended: seeds, diverged: 0, eval_loss: loss, spread: seeds > 1 ? 0.01 : null };
  return {
    method,
    entry: "",
    learning_rate: 0.003,
    planned_bytes,
    curves: [...Array(seeds).keys()].map(curve),
    ...outcome,
  };
}
const draw = (...methods: ChartMethod[]): string => comparisonSvg({ title: TITLE, subtitle: SUBTITLE, methods });
const many = (count: number): ChartMethod[] =>
  [...Array(count).keys()].map((i) => methodOf(`method ${i}`, 2 + 0.003 * i, { state: 100 * i }));

const CASES: Readonly<Record<string, readonly ChartMethod[]>> = {
  "no methods": [],
  "one method": [methodOf("a", 2)],
  "three methods": [methodOf("a", 2), methodOf("b", 2.5), methodOf("c", 3)],
  "fourteen methods": many(14),
  "forty methods": many(40),
  "one seed and one point": [methodOf("a", 2, { seeds: 1, points: 1 }), methodOf("b", 3, { seeds: 1, points: 1 })],
  "one that diverged before it was measured": [methodOf("a", 2), methodOf("b", 2, { diverged: true, points: 0 })],
  "nothing but divergence": [methodOf("a", 2, { diverged: true, points: 0 }), methodOf("b", 2, { diverged: true })],
  "a constant loss": [methodOf("a", 2, { points: 1 }), methodOf("b", 2, { points: 1 })],
  "a loss of 0": [methodOf("a", 0, { start: 0, points: 1 })],
  "a huge loss": [methodOf("a", 2), methodOf("b", 2.1), methodOf("c", 1e30)],
  "losses that are not finite": [{ ...methodOf("a", 2), curves: [[{ step: 1, loss: NaN }, { step: 100, loss: 2 }]] }],
  "no bytes at all": [{
    ...methodOf("a", 2),
    planned_bytes: { frozen: 0, trainable: 0, gradient: 0, state: 0, activation: 0, input: 0, output: 0, scratch: 0 },
  }],
};

for (const [name, methods] of Object.entries(CASES)) {
  test(`the picture of ${name} is well-formed, and what is in it lies inside`, () => {
    const svg = draw(...methods);
    checkXml(svg);
    assert(
      !/NaN|Infinity|undefined|null/.test(svg),
      svg.match(/.{0,60}(?:NaN|Infinity|undefined|null).{0,20}/)?.[0] ?? "",
    );
    const height = Number(/viewBox="0 0 1120 (\d+)/.exec(svg)![1]);
    for (const { x, y, text } of textsOf(svg)) {
      assert(x >= 0 && x <= 1120 && y >= 0 && y <= height, `"${text}" at ${x} ${y} lies outside`);
    }
    for (const { method } of methods) assert(textsOf(svg).some(({ text }) => text === method), `no row for ${method}`);
  });
}

const textsOf = (svg: string): { x: number; y: number; text: string }[] =>
  [...svg.matchAll(/<text x="([^"]+)" y="([^"]+)"[^>]*>([^<]*)</g)].map(([, x, y, text]) => ({
    x: Number(x),
    y: Number(y),
    text: text!,
  }));
/** The rows' names from top to bottom, with their heights. */
const rowsOf = (svg: string, methods: readonly ChartMethod[]) =>
  textsOf(svg).filter(({ text }) => methods.some(({ method }) => method === text)).sort((a, b) => a.y - b.y);
/** The end points on the screen of the curves, which are drawn in the inner picture. */
const endsOf = (svg: string): number[] =>
  [...svg.matchAll(/<circle cx="[^"]+" cy="([^"]+)"/g)].map(([, y]) => Number(y));

test("rows lie in the order of the losses, those that diverged on top, and never on each other", () => {
  const methods = [
    methodOf("best", 2),
    methodOf("close", 2.001),
    methodOf("bad", 2.5),
    methodOf("partly", 2.2),
    methodOf("dead", 2, { diverged: true }),
  ];
  const rows = rowsOf(draw(...methods), methods);
  assertEquals(rows.map(({ text }) => text), ["dead", "bad", "partly", "close", "best"]);
  for (const list of [methods, many(14), many(40)]) {
    const heights = rowsOf(draw(...list), list).map(({ y }) => y);
    assertEquals(heights.length, list.length);
    // Two lines of text, of 13 and 11 pixels.
    heights.slice(1).forEach((y, i) =>
      assert(y - heights[i]! >= 28, `rows ${i} and ${i + 1} are ${y - heights[i]!} apart`)
    );
  }
});

test("one very bad run does not squash the others: it is cut off, and the picture says so", () => {
  const good = [methodOf("a", 2), methodOf("b", 2.1), methodOf("c", 2.2)];
  const [low, , high] = endsOf(draw(...good)).sort((a, b) => b - a),
    [cutLow, , cutHigh] = endsOf(draw(...good, methodOf("bad", 50))).sort((a, b) => b - a);
  assertEquals([cutLow, cutHigh], [low, high], "the scale follows the bad run");
  const svg = draw(...good, methodOf("bad", 50));
  assert(/Losses above [\d.]+ are cut off: bad ends at 50\.000\./.test(svg), "the picture does not say what is cut");
  assert(svg.includes(">↑ 50.000<"), "the row does not say that its curve is above");
  assert(
    !draw(methodOf("a", 2, { points: 1 }), methodOf("b", 2.1, { points: 1 })).includes("cut off"),
    "nothing is cut here",
  );
});

test("a curve of usual methods ends inside the picture, even where its start is cut", () => {
  const svg = draw(methodOf("a", 2), methodOf("b", 2.4), methodOf("c", 3.1));
  for (const y of endsOf(svg)) assert(y >= 134 && y <= 454, `an end at ${y}`);
  assert(/Losses above [\d.]+ are cut off\./.test(svg), "the starts are cut without a word");
});

test("bars are as long as the bytes: state first, all on one scale", () => {
  const svg = draw(methodOf("a", 2, { state: 3000 }), methodOf("b", 3, { state: 0 }));
  const bars = [...svg.matchAll(/<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="22" fill="([^"]+)"/g)].map((
    [, x, y, width, fill],
  ) => ({ x: Number(x), y: Number(y), width: Number(width), fill: fill! }));
  const byRow = Object.values(Object.groupBy(bars, ({ y }) => y)).map((row) => row!).sort((a, b) => b[0]!.y - a[0]!.y);
  const [a, b] = byRow.map((row) => ({
    length: row.reduce((sum, { width }) => sum + width, 0),
    parts: row.length,
    first: row[0]!,
  }));
  assertEquals([a!.parts, b!.parts, a!.first.x, b!.first.x], [5, 4, 868, 868]);
  const scale = a!.length / 20_620; // all bytes of methodOf with 3000 of state
  // Widths are written with two decimals, five to a bar.
  assert(
    Math.abs(a!.first.width - 3000 * scale) < 0.03 && Math.abs(b!.length - 17_620 * scale) < 0.06,
    `${a!.first.width} ${a!.length} ${b!.length}`,
  );
  for (const text of ["2.9 KiB", "20.1 KiB", "0 B", "17.2 KiB"]) assert(svg.includes(`>${text}<`), `no "${text}"`);
});

test("no two of fourteen lines look alike", () => {
  const looks = [
    ...draw(...many(14)).matchAll(/<path d="M[^"]*" fill="none" stroke="([^"]+)" stroke-width="1.4"([^/]*)\/>/g),
  ].map(([, colour, dash]) => `${colour}${dash}`);
  assertEquals([looks.length, new Set(looks).size], [14, 14]);
});

test("bands are drawn for several seeds, and explained", () => {
  const one = draw(methodOf("a", 2, { seeds: 1 })), three = draw(methodOf("a", 2, { seeds: 3 }));
  assertEquals(
    [one, three].map((svg) => [svg.includes("fill-opacity"), svg.includes("bands reach"), svg.includes("± 0.010")]),
    [[false, false, false], [true, true, true]],
  );
});

test("names and titles are text, whatever signs they hold, and long ones are cut", () => {
  const svg = comparisonSvg({
    title: "</svg><script>",
    subtitle: 'a < b & "c"',
    methods: [methodOf("<b>&", 2), methodOf("a name that is far too long for its column", 3)],
  });
  checkXml(svg);
  assert(!/<script>|<b>/.test(svg), "a title became a tag");
  for (const text of ["&lt;/svg&gt;&lt;script&gt;", 'a &lt; b &amp; "c"', "&lt;b&gt;&amp;", "a name that is far …"]) {
    assert(svg.includes(`>${text}<`), `no "${text}"`);
  }
});
