import {
  type ChatMessage,
  ChatTemplate,
  encodeChat,
  loadTemplateEngine,
  renderChat,
} from "../../src/tokenizer/chat.ts";
import { loadTokenizer } from "../../src/tokenizer/load_tokenizer.ts";
import { tokenizerFromFiles } from "../../src/tokenizer/tokenizer_from_files.ts";
import { ByteTokenizer, type Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { assert, assertEquals, assertThrows, readShared, skip, test } from "../harness.ts";

interface ChatCases {
  readonly cases: readonly {
    messages: ChatMessage[];
    add_generation_prompt: boolean;
    text: string;
    ids: number[];
    assistant_mask: number[];
  }[];
  readonly rejected: readonly { messages: ChatMessage[]; error: string }[];
}

await loadTemplateEngine();

for (const name of ["tokenizer-gpt2-style", "tokenizer-llama3-style"]) {
  const path = `fixtures/models/${name}`;
  for (const config of ["tokenizer_config.json", "tokenizer_config.v4.json"]) {
    test(`conversations with the template of ${name}, ${config}, are those of transformers`, async () => {
      const bytes = await readShared(`${path}/chat_cases.json`);
      if (!bytes) skip(`the shared folder has no ${path}`);
      const { cases, rejected } = JSON.parse(new TextDecoder().decode(bytes)) as ChatCases;
      const tokenizer = await loadTokenizer((file) =>
        readShared(`${path}/${file === "tokenizer_config.json" ? config : file}`)
      );
      assertEquals(cases.length, 6);
      const { special, chat_template = "" } = tokenizer;
      const tokens = { bos_token: tokenizer.token(special.bos!), eos_token: tokenizer.token(special.eos!) };
      const unmarked = withTemplate(tokenizer, chat_template.replaceAll(/\{%-?\s*(end)?generation\s*-?%\}/g, ""));
      for (const { messages, add_generation_prompt, text, ids, assistant_mask } of cases) {
        assertEquals(renderChat(chat_template, messages, { ...tokens, add_generation_prompt }), text);
        const { input_ids, assistant_mask: mask } = encodeChat(tokenizer, messages, { add_generation_prompt });
        assertEquals([[...input_ids], [...mask]], [ids, assistant_mask]);
        // The turns found by rendering the messages before them are the same, without the tags that mark them.
        const found = encodeChat(unmarked, messages, { add_generation_prompt });
        assertEquals([[...found.input_ids], [...found.assistant_mask]], [ids, assistant_mask]);
      }
      for (const { messages, error } of rejected) {
        const thrown = assertThrows(() => encodeChat(tokenizer, messages), error);
        assert(
          thrown instanceof RangeError && !thrown.message.includes("\n"),
          `not a RangeError of one line: ${thrown}`,
        );
      }
    });
  }
}

function withTemplate(tokenizer: Tokenizer, template: string): Tokenizer {
  return tokenizerFromFiles(new Map([...tokenizer.files(), ["chat_template.jinja", template]]));
}

const say = (role: string, content: string): ChatMessage => ({ role, content });
const TALK = [say("user", "q"), say("assistant", "yes"), say("user", "p"), say("assistant", "no")];

/** The parts of a conversation that the mask marks, with a byte a token. */
function marked(template: string, messages: readonly ChatMessage[]): string {
  const { input_ids, assistant_mask } = encodeChat(withTemplate(new ByteTokenizer(), template), messages);
  return new TextDecoder().decode(
    Uint8Array.from([...input_ids].map((id, place) => assistant_mask[place] ? id : 0x5f)),
  );
}

test("the assistant's turns are what they add to the turns before with their generation prompt", () => {
  const template =
    "{% for m in messages %}{{ m.role[0] }}:{{ m.content }};{% endfor %}{% if add_generation_prompt %}a:{% endif %}";
  assertEquals(marked(template, TALK), "______yes;______no;");
  assertEquals(marked(template, TALK.slice(0, 3)), "______yes;____");
  const headless = "{% for m in messages %}{{ '[' ~ m.content ~ ']' if m.role == 'user' else m.content }}{% endfor %}";
  assertEquals(marked(headless, TALK), "___yes___no");
});

test(
  "a template whose earlier turns change once more follow is refused, unless it marks what the " +
    "assistant writes",
  () => {
    const last = (body: string) => `{% for m in messages %}{% if loop.last %}!{% endif %}${body};{% endfor %}`;
    assertThrows(() => marked(last("{{ m.content }}"), TALK), "what the assistant writes in message 2");
    assertEquals(
      marked(
        last(
          "{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}{% else %}{{ m.content " +
            "}}{% endif %}",
        ),
        TALK,
      ),
      "__yes____no_",
    );
  },
);

test("generation tags treat the white space around them as other blocks do", () => {
  const lines =
    "{% for m in messages %}\n    {%- if true %}\n  {% generation %}\n  {{ m.content }}\n  {%- endgeneration %}\n\n " +
    " {% endif %}\n{% endfor %}";
  const { text, spans } = new ChatTemplate(lines).renderMarked(TALK.slice(0, 2));
  // As Jinja 3.1 with trim_blocks and lstrip_blocks renders the same template, with `if true` for the tags.
  assertEquals(text, "  q\n  yes\n");
  assertEquals(spans.map(({ start, end }) => text.slice(start, end)), ["  q", "  yes"]);
});

test("templates have transformers' functions and filters", () => {
  const tools = [{ name: "f", parameters: { a: [1, 2.5, null, true], "é": "\u2028<&>'" } }];
  assertEquals(
    renderChat("{{ tools | tojson }}", [], { tools }),
    '[{"name": "f", "parameters": {"a": [1, 2.5, null, true], "é": "\u2028<&>\'"}}]',
  );
  assertEquals(renderChat("{{ tools is none }} {{ bos_token is defined }}|{{ bos_token }}|", []), "true false||");
  assert(/^20\d\d$/.test(renderChat("{{ strftime_now('%Y') }}", [])), "the year");
  assertEquals(renderChat("{{ eos_token }}", [], { eos_token: "</s>" }), "</s>");
});

test("a template that is broken, missing, or met by private characters ends in an error of one line", () => {
  assert(
    assertThrows(() => new ChatTemplate("{% for %}"), "Cannot use the chat template") instanceof TypeError,
    "not a TypeError",
  );
  assertThrows(() => encodeChat(new ByteTokenizer(), TALK), "has no chat template");
  assertThrows(() => renderChat("{{ messages }}", [say("user", "\u{f0000}")]), "private character");
  assertThrows(() => renderChat("{{ raise_exception('two\nlines') }}", []), 'says "two lines"');
});
