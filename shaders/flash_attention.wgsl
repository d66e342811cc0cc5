// Grouped-query attention, one pass over the keys with a running maximum (Dao et al., FlashAttention, 2022):
//   out[t] = sum over its keys j of softmax_j(scale q[t].k[j]) v[j];  statistics[t] = (log of the softmax's
// denominator, 0).
// Its keys: CAUSAL: all up to t, else all. With documents: only those in [start, end) of the document around t
// (lib/attention_window).
// q, out: (B, T, H, D); k, v: (B, T, KV, D); statistics: (B, T, H, 2); documents: (B, T, 2). Vector holds WIDTH numbers
// of a head, D = CHUNKS * WIDTH. One thread per ROWS consecutive positions of one head, KEYS keys at a time, everything
// in registers, no barriers. Neighbouring threads take the same positions of different heads, so that they loop equally
// long. Launch: ceil(B * H * ceil(T / ROWS) / WORKGROUP) workgroups. Any B, T, H, KV dividing H, D.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = thread_index(group, groups, lane);
  if (index >= params.n) { return; }
  let heads = params.B * params.H;
  let first = index / heads * ${ROWS}u;
  let b = index % heads / params.H;
  let h = index % params.H;
  let key_stride = params.KV * ${CHUNKS}u;
  let key_start = b * params.T * key_stride + h / (params.H / params.KV) * ${CHUNKS}u;
  let last = params.T - 1u;
#for r in ROWS
  let t${r} = first + ${r}u;
  let row${r} = (b * params.T + min(t${r}, last)) * params.H + h;
  let at${r} = row${r} * ${CHUNKS}u;
#for c in CHUNKS
  let q${r}_${c} = load_q(at${r} + ${c}u);
  var o${r}_${c} = Vector();
#end
  var highest${r} = -1e30;
  var sum${r} = 0.0;
#if ${WINDOWED}
  let seen${r} = keys_seen(b, min(t${r}, last));
#endif
#end
#if ${WINDOWED}
  let last_seen = keys_seen(b, min(first + ${ROWS}u - 1u, last));
  let begin = keys_seen(b, first).x;
  let end = last_seen.x + last_seen.y;
#else
  let begin = 0u;
  let end = min(first + ${ROWS}u, params.T);
#endif
  for (var j = begin; j < end; j += ${KEYS}u) {
#for j in KEYS
    let at_key${j} = key_start + min(j + ${j}u, last) * key_stride;
#for c in CHUNKS
    let k${j}_${c} = load_k(at_key${j} + ${c}u);
#end
#for r in ROWS
    var qk${r}_${j} = q${r}_0 * k${j}_0;
#for c in 1..CHUNKS
    qk${r}_${j} = fma(q${r}_${c}, k${j}_${c}, qk${r}_${j});
#end
    // A score far below the first `highest`: a row that has seen none of its keys yet counts none of the others.
#if ${WINDOWED}
    let s${r}_${j} = select(-2e30, params.scale * lanes_of(qk${r}_${j}), j + ${j}u - seen${r}.x < seen${r}.y);
#else
    let s${r}_${j} = select(-1e30, params.scale * lanes_of(qk${r}_${j}), j + ${j}u <= t${r});
#endif
#end
#end
#for r in ROWS
    var next${r} = max(highest${r}, s${r}_0);
#for j in 1..KEYS
    next${r} = max(next${r}, s${r}_${j});
#end
    let shrink${r} = exp(highest${r} - next${r});
    highest${r} = next${r};
    let p${r}_0 = exp(s${r}_0 - next${r});
    var added${r} = p${r}_0;
#for j in 1..KEYS
    let p${r}_${j} = exp(s${r}_${j} - next${r});
    added${r} += p${r}_${j};
#end
    sum${r} = sum${r} * shrink${r} + added${r};
#for c in CHUNKS
    o${r}_${c} *= shrink${r};
#end
#end
#for j in KEYS
#for c in CHUNKS
    let v${j}_${c} = load_v(at_key${j} + ${c}u);
#for r in ROWS
    o${r}_${c} = fma(Vector(p${r}_${j}), v${j}_${c}, o${r}_${c});
#end
#end
#end
  }
#for r in ROWS
  if (t${r} < params.T) {
#for c in CHUNKS
    store_out(at${r} + ${c}u, o${r}_${c} / sum${r});
#end
    statistics[row${r}] = vec2f(highest${r} + log(sum${r}), 0.0);
  }
#end
}
