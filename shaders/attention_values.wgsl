// out[t] = sum over its keys j of p[t, j] x[j]: the values of attention by their probabilities, and the gradient of the
// queries. When TRANSPOSE: out[j] = sum over the t that see j and over the query heads that share the key head of p[t,
// j] x[t]: the gradients of values and keys; heads in order, no atomics.
//   p: (B, H, T, T), 0 where j is no key of t; x: (B, T, KV, D), out: (B, T, H, D); the other way round when TRANSPOSE.
// Its keys: j <= t. WINDOWED: those of lib/attention_window. documents: (B, T, 2). One thread per 4 positions and RUN
// vectors of one head of out, everything in registers, no barriers. A head is CHUNKS times Vector. Launch: ceil(B *
// heads * ceil(T / 4) * CHUNKS / RUN / WORKGROUP) workgroups. Any B, T, H, KV dividing H, D. Sums in f32.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = thread_index(group, groups, lane);
  if (index >= params.n) { return; }
  let runs = ${CHUNKS}u / ${RUN}u;
  let blocks = (params.T - 1u) / 4u + 1u;
  let c = index % runs * ${RUN}u;
  let first = index / runs % blocks * 4u;
  let head = index / (runs * blocks);
  let last = params.T - 1u;
  let shared_by = params.H / params.KV;
#for r in 4
#for c in RUN
  var sum${r}_${c} = Vector();
#end
#end
#if ${TRANSPOSE}
  let b = head / params.KV;
  let h = head % params.KV;
  let heads = params.KV;
#if ${WINDOWED}
  let last_seen = queries_seeing(b, min(first + 3u, last));
  let begin = queries_seeing(b, first).x;
  let end = last_seen.x + last_seen.y;
#else
  let begin = first;
  let end = params.T;
#endif
  for (var query_head = h * shared_by; query_head < (h + 1u) * shared_by; query_head++) {
    let p_start = (b * params.H + query_head) * params.T * params.T;
    for (var i = begin; i < end; i++) {
      let source = ((b * params.T + i) * params.H + query_head) * ${CHUNKS}u + c;
#for r in 4
      let p${r} = p[p_start + i * params.T + min(first + ${r}u, last)];
#end
#for c in RUN
      let x${c} = load_x(source + ${c}u);
#end
#for r in 4
#for c in RUN
      sum${r}_${c} = fma(Vector(p${r}), x${c}, sum${r}_${c});
#end
#end
    }
  }
#else
  let b = head / params.H;
  let h = head % params.H;
  let heads = params.H;
  let p_start = head * params.T * params.T;
#if ${WINDOWED}
  let last_seen = keys_seen(b, min(first + 3u, last));
  let begin = keys_seen(b, first).x;
  let end = last_seen.x + last_seen.y;
#else
  let begin = 0u;
  let end = min(first + 4u, params.T);
#endif
  for (var i = begin; i < end; i++) {
    let source = ((b * params.T + i) * params.KV + h / shared_by) * ${CHUNKS}u + c;
#for r in 4
    let p${r} = p[p_start + min(first + ${r}u, last) * params.T + i];
#end
#for c in RUN
    let x${c} = load_x(source + ${c}u);
#end
#for r in 4
#for c in RUN
    sum${r}_${c} = fma(Vector(p${r}), x${c}, sum${r}_${c});
#end
#end
  }
#endif
#for r in 4
  if (first + ${r}u < params.T) {
    let to = ((b * params.T + first + ${r}u) * heads + h) * ${CHUNKS}u + c;
#for c in RUN
    store_out(to + ${c}u, sum${r}_${c});
#end
  }
#end
}
