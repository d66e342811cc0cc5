// Opens a page in Chromium and waits until it gives itself a title: node open_page.mjs URL. Prints the title, the
// scripts that were loaded, and what went wrong.

import { chromium } from "playwright";
import { findChromium } from "../../src/cli/setup.mjs";
import { SWITCHES } from "../browser/run.mjs";

const PATIENCE_MS = 60_000;

const browser = await chromium.launch({ executablePath: findChromium(), headless: true, args: SWITCHES });
const page = await browser.newPage(), scripts = [], errors = [];
page.on("response", (response) => response.url().endsWith(".js") && scripts.push(new URL(response.url()).pathname));
page.on("pageerror", (error) => errors.push(String(error)));
page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
await page.goto(process.argv[2]);
await Promise.race([
  page.waitForFunction(() => document.title !== "", undefined, { timeout: PATIENCE_MS }).catch((error) =>
    errors.push(error.message)
  ),
  page.waitForEvent("pageerror", { timeout: PATIENCE_MS }).catch(() => {}),
]);
console.log(JSON.stringify({ title: await page.title(), scripts, errors }));
await browser.close();
process.exit(0);
