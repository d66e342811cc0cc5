import type { Template } from "@huggingface/jinja";
import type { EncodedSpans, Span, Tokenizer } from "./tokenizer.ts";

let engine: typeof import("@huggingface/jinja") | undefined;

/**
 * Loads the engine that renders chat templates, which most programs do without. `loadTokenizer` does it for a tokenizer
 * with a template; who makes a `ChatTemplate` of other text calls it first.
 */
export async function loadTemplateEngine(): Promise<void> {
  engine ??= await import("@huggingface/jinja");
}

/** A turn of a conversation. Templates may use further keys, such as `tool_calls`. */
export interface ChatMessage {
  /** Who speaks: `system`, `user`, `assistant`, or another name that the chat template knows. */
  readonly role: string;
  /** The text, or what the template takes in its place. */
  readonly content?: unknown;
}

/** Values that a chat template is given beside the messages. */
export interface RenderOptions {
  /** End with the header of the assistant's next turn. */
  readonly add_generation_prompt?: boolean;
  /** The token that begins a text. */
  readonly bos_token?: string | undefined;
  /** The token that ends a text. */
  readonly eos_token?: string | undefined;
  /** JSON schemas of functions, for templates that list them for the model. */
  readonly tools?: readonly object[] | undefined;
}

/** A rendered conversation. */
export interface RenderedChat {
  /** The rendered text. */
  readonly text: string;
  /** Parts that the template puts in `{% generation %}`. */
  readonly spans: readonly Span[];
}

/**
 * Private characters that stand for `{% generation %}` and `{% endgeneration %}` in a rendering; replaced if a
 * conversation has them.
 */
const MARKS = ["\u{f0000}", "\u{f0001}"] as const;
const GENERATION = /\{%([-+]?)\s*(end)?generation\s*(-?)%\}/g;

/**
 * A chat template, rendered as transformers does it (utils/chat_template_utils.py): trim_blocks, lstrip_blocks,
 * `raise_exception`, `strftime_now` and Python's separators in `tojson`, all of them in @huggingface/jinja. That
 * library drops `{% generation %}` tags, so here a block with a mark takes their place, with the same effect on the
 * white space around.
 */
export class ChatTemplate {
  readonly #template: Template;
  /** True if the template itself marks the assistant's text. */
  readonly marks_generation: boolean;

  /** Throws TypeError if the template is not valid Jinja, Error if its engine is not loaded. */
  constructor(source: string) {
    if (!engine) {
      throw new Error("Cannot use a chat template: its engine is not there. Await loadTemplateEngine() first");
    }
    this.marks_generation = source.search(GENERATION) >= 0;
    const marked = source.replaceAll(
      GENERATION,
      (_, left: string, end: string | undefined, right: string) =>
        `{%${left} if true %}${MARKS[end ? 1 : 0]}{% endif ${right}%}`,
    );
    try {
      this.#template = new engine.Template(marked);
    } catch (error) {
      throw new TypeError(
        `Cannot use the chat template: ${oneLine(error)}. Give the model's folder another chat_template.jinja`,
      );
    }
  }

  /** The conversation as text. Throws RangeError if the template does not accept it. */
  render(messages: readonly ChatMessage[], options: RenderOptions = {}): string {
    return this.renderMarked(messages, options).text;
  }

  /** The conversation as text, and the parts of it that the template marks as the assistant's. */
  renderMarked(
    messages: readonly ChatMessage[],
    { add_generation_prompt = false, bos_token, eos_token, tools }: RenderOptions = {},
  ): RenderedChat {
    const mark = new RegExp(`[${MARKS.join("")}]`, "u");
    if (mark.test(JSON.stringify([messages, tools ?? null]))) {
      throw new RangeError(
        "Cannot render the conversation: it holds the private character U+F0000 or U+F0001. Remove it",
      );
    }
    let rendered: string;
    try {
      rendered = this.#template.render({
        messages,
        add_generation_prompt,
        tools: tools ?? null,
        documents: null,
        ...(bos_token !== undefined && { bos_token }),
        ...(eos_token !== undefined && { eos_token }),
      });
    } catch (error) {
      throw new RangeError(
        `Cannot render the conversation: the model's chat template says "${oneLine(error)}". Change the messages`,
      );
    }
    let text = "", start = 0;
    const spans: Span[] = [];
    for (const part of rendered.split(new RegExp(`(${mark.source})`, "u"))) {
      if (part === MARKS[0]) start = text.length;
      else if (part === MARKS[1]) spans.push({ start, end: text.length });
      else text += part;
    }
    return { text, spans };
  }
}

/**
 * The conversation as text. Throws TypeError if the template is not valid, RangeError if it does not accept the
 * conversation.
 */
export function renderChat(template: string, messages: readonly ChatMessage[], options: RenderOptions = {}): string {
  return new ChatTemplate(template).render(messages, options);
}

/** The ids of a conversation, and 1 for each token that the assistant writes, the end of its turn included. */
export interface EncodedConversation {
  /** Token ids in the order of the text. */
  readonly input_ids: Uint32Array<ArrayBuffer>;
  /** 1 at each token that the assistant wrote. */
  readonly assistant_mask: Uint8Array<ArrayBuffer>;
}

const templates = new WeakMap<Tokenizer, ChatTemplate>();

/**
 * Encodes a conversation with the tokenizer's chat template, as transformers' `apply_chat_template` with
 * `return_assistant_tokens_mask`. If the template has no `{% generation %}`, the assistant's text is the part that its
 * turn adds to the turns before with their generation prompt.
 * @throws RangeError if there is no template, it does not accept the conversation, or turns cannot be distinguished in
 * it.
 */
export function encodeChat(
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  options: Pick<RenderOptions, "add_generation_prompt" | "tools"> = {},
): EncodedConversation {
  if (tokenizer.chat_template === undefined) {
    throw new RangeError(
      "Cannot encode a conversation: the model's tokenizer has no chat template. Add a chat_template.jinja to its " +
        "folder, or use rows of text",
    );
  }
  let template = templates.get(tokenizer);
  if (!template) templates.set(tokenizer, template = new ChatTemplate(tokenizer.chat_template));
  const { bos, eos } = tokenizer.special;
  const token = (id: number | undefined): string | undefined => id === undefined ? undefined : tokenizer.token(id);
  const settings = { ...options, bos_token: token(bos), eos_token: token(eos) };
  const { text, spans } = template.marks_generation
    ? template.renderMarked(messages, settings)
    : turns(template, messages, settings);
  const { input_ids, mask }: EncodedSpans = tokenizer.encodeSpans(text, spans);
  return { input_ids, assistant_mask: mask };
}

function turns(template: ChatTemplate, messages: readonly ChatMessage[], options: RenderOptions): RenderedChat {
  const text = template.render(messages, options);
  const spans: Span[] = [];
  messages.forEach(({ role }, turn) => {
    if (role !== "assistant") return;
    const before = template.render(messages.slice(0, turn), { ...options, add_generation_prompt: true });
    const after = template.render(messages.slice(0, turn + 1), { ...options, add_generation_prompt: false });
    if (!after.startsWith(before) || !text.startsWith(after)) {
      throw new RangeError(
        `Cannot tell what the assistant writes in message ${turn + 1}: the chat template renders the messages before ` +
          "it differently once more follow, and has no {% generation %}. Add {% generation %} around the assistant's " +
          "text in chat_template.jinja, or train on all tokens",
      );
    }
    spans.push({
      start: before.length,
      end: before.length + written(after.slice(before.length), options.eos_token).length,
    });
  });
  return { text, spans };
}

/** A turn without the white space that a template puts behind its end: the model never writes it. */
function written(turn: string, eos_token: string | undefined): string {
  const trimmed = turn.trimEnd();
  return eos_token !== undefined && trimmed.endsWith(eos_token) ? trimmed : turn;
}

function oneLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, " ");
}
