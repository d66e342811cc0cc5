// A process of its own, in which nothing has loaded the engine yet.

import { ChatTemplate, loadTemplateEngine, renderChat } from "../../src/tokenizer/chat.ts";
import { assertEquals, assertThrows, test } from "../harness.ts";

test("the engine of templates is loaded when it is asked for, not before", async () => {
  assertThrows(() => new ChatTemplate("hello"), "Await loadTemplateEngine() first");
  await loadTemplateEngine();
  assertEquals(renderChat("{{ messages[0].content }}", [{ role: "user", content: "hello" }]), "hello");
});
