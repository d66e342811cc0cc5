import type { Constants } from "../gpu/preprocess.ts";

/** The keys that a position sees. */
export interface AttentionWindow {
  /** False if it sees those after it too. */
  readonly causal: boolean;
  /** True if it sees only those of its document. */
  readonly documents: boolean;
  /** True if it sees only the last few up to its own. */
  readonly sliding: boolean;
}

/** Constants that all shaders of a window share: see shaders/lib/attention_window.wgsl. */
export const windowConstants = (window: AttentionWindow): Constants => ({
  CAUSAL: window.causal,
  SLIDING: window.sliding,
  WINDOWED: window.documents || window.sliding || !window.causal,
});
