// Steps and sights of a visitor of demo/.

/** The test cannot run here, and says why. */
export class SkippedError extends Error {}

/** Trains fast even on a software adapter. */
export const TINY = {
  tokenizer: "byte",
  hidden_size: 16,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  max_length: 16,
  per_device_train_batch_size: 2,
  further: '{ "sample_tokens": 4 }',
};

export async function set(page, settings) {
  await page.evaluate(() => document.querySelector("#settings details").open = true);
  for (const [name, value] of Object.entries(settings)) {
    const field = page.locator(`[name="${name}"]`);
    if (["tokenizer", "optim", "tuning", "base_format"].includes(name)) await field.selectOption(String(value));
    else await field.fill(String(value));
  }
}

export const state = (page, name) => page.waitForSelector(`body[data-state="${name}"]`);
export const step = async (page) => Number((await page.textContent("#step")).split("/")[0].replace(/\D/g, ""));
export const loss = async (page) => Number(await page.textContent("#loss"));
/** The page of a run that has ended. */
export const validation = async (page) =>
  Number(/Validation loss([\d.]+)/.exec(await page.textContent("#summary dl"))[1]);
export const outcome = async (page) => `loss ${await loss(page)}, validation loss ${await validation(page)}`;
export const planned = (page) =>
  page.waitForSelector('#memory[data-stale="false"]').then(() => page.textContent("#planned-total"));
export const stepAfter = (page, n) =>
  page.waitForFunction(
    (n) => Number(document.querySelector("#step").textContent.split("/")[0].replace(/\D/g, "")) > n,
    n,
  );
export const errorWith = (page, text, id = "error") =>
  page.waitForFunction(([id, text]) => document.getElementById(id).textContent.includes(text), [id, text]);

/** Presses Start and waits for the end. */
export async function finish(page) {
  await page.click("#start");
  await page.waitForSelector('body:not([data-state="idle"])');
  await state(page, "idle");
  return await page.textContent("#status");
}

export function assert(condition, message) {
  if (!condition) throw new Error(message);
}

export function assertEquals(actual, expected, what) {
  assert(actual === expected, `${what}: got ${JSON.stringify(actual)}, want ${JSON.stringify(expected)}`);
}
