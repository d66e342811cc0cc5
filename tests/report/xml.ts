import { assert, assertEquals, runtime } from "../harness.ts";

/** Throws unless the text is well-formed: by the browser's parser, or elsewhere by matching tags. */
export function checkXml(svg: string): void {
  if (runtime === "browser") {
    const problem = new DOMParser().parseFromString(svg, "image/svg+xml").querySelector("parsererror");
    return assert(problem === null, problem?.textContent ?? "");
  }
  const open: string[] = [];
  for (const [, slash, name, , self] of svg.matchAll(/<(\/?)([a-z]+)((?:\s+[\w-]+="[^"<&]*")*)\s*(\/?)>/g)) {
    if (slash) assertEquals(name, open.pop(), "a closing tag");
    else if (!self) open.push(name!);
  }
  assertEquals(open, []);
  const between = svg.replace(/<(\/?)([a-z]+)((?:\s+[\w-]+="[^"<&]*")*)\s*(\/?)>/g, "");
  assert(
    !/[<>]|&(?!lt;|gt;|amp;)/.test(between),
    `a sign of XML in the text: ${between.match(/.{0,20}(?:[<>]|&(?!lt;|gt;|amp;)).{0,20}/)}`,
  );
}
