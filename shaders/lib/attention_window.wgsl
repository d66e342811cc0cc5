// Windows of attention: the positions that a position sees, and those that see it, for documents packed into one
// sequence, for both directions, or for a SLIDING window of params.window positions up to its own. A document is
// [start, end), start <= t < end <= T, the same for all its positions, from documents (B, T, 2); it is [0, T) without
// them. A window is (first, count). Unsigned numbers wrap, so i is inside if i - first < count. This file is empty
// unless WINDOWED.
#if ${WINDOWED}
fn document_of(b: u32, t: u32) -> vec2u {
#if ${HAS_DOCUMENTS}
  return documents[b * params.T + t];
#else
  return vec2u(0u, params.T);
#endif
}

fn keys_seen(b: u32, t: u32) -> vec2u {
  let document = document_of(b, t);
#if ${CAUSAL}
#if ${SLIDING}
  let first = max(document.x, t + 1u - min(params.window, t + 1u));
#else
  let first = document.x;
#endif
  return vec2u(first, t + 1u - first);
#else
  return vec2u(document.x, document.y - document.x);
#endif
}

fn queries_seeing(b: u32, j: u32) -> vec2u {
  let document = document_of(b, j);
#if ${CAUSAL}
#if ${SLIDING}
  return vec2u(j, min(document.y - j, params.window));
#else
  return vec2u(j, document.y - j);
#endif
#else
  return vec2u(document.x, document.y - document.x);
#endif
}
#endif
