import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { uniform } from "../random/philox.ts";
import type { GenerateProgram } from "./programs.ts";
import type { Session } from "./session.ts";

/** Options of continuing a text. */
export interface SampleOptions {
  /** The text that is continued. */
  readonly prompt: string;
  /** The longest continuation in tokens. */
  readonly max_new_tokens: number;
  /** 0 takes the likeliest token every time. */
  readonly temperature: number;
  /** Only the k likeliest tokens are drawn from; 0 = all. */
  readonly top_k: number;
  /** The start of all random numbers. */
  readonly seed: number;
  /** Tokens the model sees at once. */
  readonly max_length: number;
}

/**
 * Continues a prompt token by token, until the text ends. The result includes the prompt. Every token is a CPU-GPU sync
 * point.
 */
export async function sampleText(
  session: Session,
  program: GenerateProgram,
  tokenizer: Tokenizer,
  options: SampleOptions,
): Promise<string> {
  const { prompt, max_new_tokens, max_length, seed } = options;
  const { bos, eos } = tokenizer.special;
  // A model that was never shown an empty context starts after a line break, as its training text does.
  const start = prompt !== ""
    ? tokenizer.encode(prompt, { add_special_tokens: true })
    : bos !== undefined
    ? [bos]
    : tokenizer.encode("\n");
  const ids = start.length > 0 ? [...start] : [0];
  for (let index = 0; index < max_new_tokens; index++) {
    const logits = await session.nextLogits(program, ids.slice(-max_length));
    const id = pickToken(logits, options, uniform(seed, "sample", 0, index));
    if (id === eos) break;
    ids.push(id);
  }
  return tokenizer.decode(ids, { skip_special_tokens: true }).trimStart();
}

/** Draws a token: the one whose share of softmax(logits / temperature), over the top k, covers `random` in [0, 1). */
export function pickToken(
  logits: Float32Array,
  { temperature, top_k }: { readonly temperature: number; readonly top_k: number },
  random: number,
): number {
  const order = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]! || a - b);
  if (temperature === 0) return order[0]!;
  const candidates = top_k > 0 ? order.slice(0, top_k) : order;
  const highest = logits[candidates[0]!]!;
  const weights = candidates.map((id) => Math.exp((logits[id]! - highest) / temperature));
  let left = random * weights.reduce((a, b) => a + b, 0);
  const found = weights.findIndex((weight) => (left -= weight) < 0);
  return candidates[found < 0 ? candidates.length - 1 : found]!;
}
