// Windows of attention: the positions that a position sees, and those that see it, for documents packed into one
// sequence, or for both directions. A document is [start, end), start <= t < end <= T, the same for all its positions;
// it is [0, T) unless DOCUMENTS. A window is (first, count). Unsigned numbers wrap, so i is inside if i - first <
// count. This file is empty unless WINDOWED. If BOUND, documents are (B, T, 2). Flash attention's forward pass leaves
// them BEHIND_LSE, (B, T, H), then (B, T, 2), for its backward kernels, which already have the eight buffers of
// WebGPU's guarantee: as numbers, not bits (small bits are denormal), exact below 2^24.
#if ${WINDOWED}
#if ${DOCUMENTS}
#if ${BEHIND_LSE}
fn place_behind_lse(b: u32, t: u32) -> u32 { return params.B * params.T * params.H + 2u * (b * params.T + t); }

#endif
#if ${BOUND}
fn document_of(b: u32, t: u32) -> vec2u { return documents[b * params.T + t]; }

#if ${BEHIND_LSE}
fn keep_document(b: u32, t: u32) {
  let document = document_of(b, t);
  let place = place_behind_lse(b, t);
  lse[place] = f32(document.x);
  lse[place + 1u] = f32(document.y);
}
#endif
#else
fn document_of(b: u32, t: u32) -> vec2u {
  let place = place_behind_lse(b, t);
  return vec2u(u32(lse[place]), u32(lse[place + 1u]));
}
#endif
#else
fn document_of(b: u32, t: u32) -> vec2u { return vec2u(0u, params.T); }
#endif

fn keys_seen(b: u32, t: u32) -> vec2u {
  let document = document_of(b, t);
#if ${CAUSAL}
  return vec2u(document.x, t + 1u - document.x);
#else
  return vec2u(document.x, document.y - document.x);
#endif
}

fn queries_seeing(b: u32, j: u32) -> vec2u {
  let document = document_of(b, j);
#if ${CAUSAL}
  return vec2u(j, document.y - j);
#else
  return vec2u(document.x, document.y - document.x);
#endif
}
#endif
