import { lossCurveSvg, type Point } from "../../src/report/loss_curve.ts";
import { assert, test } from "../harness.ts";
import { checkXml } from "./xml.ts";

const curve = (losses: readonly number[]): Point[] => losses.map((loss, i) => ({ step: i + 1, loss }));
const falling = curve([...Array(200).keys()].map((i) => 5 * Math.exp(-i / 50) + 0.2 * Math.sin(i)));

const CASES: readonly (readonly [string, readonly Point[], readonly Point[]])[] = [
  ["a usual run", falling, falling.filter(({ step }) => step % 50 === 0)],
  ["one step", curve([5]), curve([5])],
  ["no validation", falling, []],
  ["a constant loss", curve([2, 2, 2]), curve([2])],
  ["a loss of 0", curve([0, 0]), []],
  ["a huge range", curve([1e-12, 1e12, 1]), curve([1e9])],
  ["huge losses of nearly one size", curve([1e15, 1e15 + 2]), []],
  ["negative losses", curve([-1, -5, 3]), []],
  ["losses that are not finite", curve([5, NaN, 3, Infinity, 2, -Infinity]), curve([NaN, 4])],
  ["100 000 steps", [...Array(1000).keys()].map((i) => ({ step: 100 * (i + 1), loss: 5 - i / 250 })), []],
  ["more steps than a function takes arguments", curve([...Array(150_000).keys()].map((i) => 5 - i / 1e6)), []],
];

for (const [name, training, validation] of CASES) {
  test(`the curve of ${name} is well-formed and stays inside the picture`, () => {
    const svg = lossCurveSvg(name, training, validation);
    checkXml(svg);
    assert(
      !/NaN|Infinity|undefined|null/.test(svg.replaceAll(name, "")),
      svg.match(/.{0,60}(?:NaN|Infinity|undefined|null).{0,20}/)?.[0] ?? "",
    );
    const paths = [...svg.matchAll(/ d="(M[^"]*)" fill="none"/g)].map(([, d]) => d!);
    for (const path of paths) {
      for (const [, x, y] of path.matchAll(/[ML](\S+) ([^ML]+)/g)) {
        const inside = Number(x) >= 56 && Number(x) <= 700 && Number(y) >= 43.9 && Number(y) <= 316.1;
        assert(inside, `${x} ${y} lies outside the axes`);
      }
    }
  });
}

test("a title is text, whatever signs it holds", () => {
  for (const title of ["a < b & c > d", "</title><script>alert(1)</script>", "\"quoted\" 'twice'", "naïve 日本 🐈"]) {
    const svg = lossCurveSvg(title, falling, []);
    checkXml(svg);
    assert(!svg.includes("<script>"), "a title became a tag");
    assert(
      svg.includes(`<title>${title.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")}</title>`),
      svg.slice(0, 300),
    );
  }
});
