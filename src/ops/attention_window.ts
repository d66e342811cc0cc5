import type { Constants } from "../gpu/preprocess.ts";

/** The keys that a position sees. */
export interface AttentionWindow {
  readonly causal: boolean;
  readonly documents: boolean;
}

export const PAST: AttentionWindow = { causal: true, documents: false };

/** False if each position sees its whole past and nothing else: shaders need no windows then. */
export const isWindowed = ({ causal, documents }: AttentionWindow): boolean => documents || !causal;

/**
 * Constants that all shaders of a window share, with the documents bound: they loop from `begin` to `end`, which
 * shaders/lib/attention_window.wgsl knows, over a position's keys or over the queries that see it.
 */
export function windowConstants(window: AttentionWindow, over: "keys" | "queries"): Constants {
  const WINDOWED = isWindowed(window);
  const plain = over === "queries" ? { BEGIN: "first", END: "params.T" } : { BEGIN: "0u", END: "end" };
  return {
    CAUSAL: window.causal,
    DOCUMENTS: window.documents,
    WINDOWED,
    BOUND: true,
    BEHIND_LSE: false,
    ...(WINDOWED ? { BEGIN: "begin", END: "end" } : plain),
  };
}
