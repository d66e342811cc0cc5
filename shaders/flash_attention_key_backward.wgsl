// Backward of flash_attention for keys and values, the probabilities recomputed from the statistics:
//   dv[j] = sum over t of p[t,j] dout[t];  dk[j] = scale * sum over t of p[t,j] (dout[t].v[j] - delta[t]) q[t],
// over the positions t that see j and over the query heads that share the key head, in a fixed order: no atomics.
// q, dout: (B, T, H, D); k, v, dk, dv: (B, T, KV, D); statistics: (B, T, H, 2) of the query backward. One thread per
// ROWS consecutive positions of one key head. Launch: ceil(B * KV * ceil(T / ROWS) / WORKGROUP) workgroups.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = thread_index(group, groups, lane);
  if (index >= params.n) { return; }
  let heads = params.B * params.KV;
  let first = index / heads * ${ROWS}u;
  let b = index % heads / params.KV;
  let h = index % params.KV;
  let shared_by = params.H / params.KV;
  let last = params.T - 1u;
#for r in ROWS
  let t${r} = first + ${r}u;
  let row${r} = (b * params.T + min(t${r}, last)) * params.KV + h;
  let at${r} = row${r} * ${CHUNKS}u;
#for c in CHUNKS
  let k${r}_${c} = load_k(at${r} + ${c}u);
  let v${r}_${c} = load_v(at${r} + ${c}u);
  var dk${r}_${c} = Vector();
  var dv${r}_${c} = Vector();
#end
#if ${WINDOWED}
  let seeing${r} = queries_seeing(b, min(t${r}, last));
#endif
#end
#if ${WINDOWED}
  let last_seeing = queries_seeing(b, min(first + ${ROWS}u - 1u, last));
  let begin = queries_seeing(b, first).x;
  let end = last_seeing.x + last_seeing.y;
#else
  let begin = first;
  let end = params.T;
#endif
  for (var head = h * shared_by; head < (h + 1u) * shared_by; head++) {
    for (var t = begin; t < end; t++) {
      let row = (b * params.T + t) * params.H + head;
      let at = row * ${CHUNKS}u;
      let of_row = statistics[row];
#for c in CHUNKS
      let q_${c} = load_q(at + ${c}u);
      let d_${c} = load_dout(at + ${c}u);
#end
#for r in ROWS
      var qk${r} = q_0 * k${r}_0;
      var dp${r} = d_0 * v${r}_0;
#for c in 1..CHUNKS
      qk${r} = fma(q_${c}, k${r}_${c}, qk${r});
      dp${r} = fma(d_${c}, v${r}_${c}, dp${r});
#end
#if ${WINDOWED}
      let sees${r} = t - seeing${r}.x < seeing${r}.y;
#else
      let sees${r} = t >= t${r};
#endif
      let p${r} = select(0.0, exp(params.scale * lanes_of(qk${r}) - of_row.x), sees${r});
      let ds${r} = params.scale * p${r} * (lanes_of(dp${r}) - of_row.y);
#for c in CHUNKS
      dv${r}_${c} = fma(Vector(p${r}), d_${c}, dv${r}_${c});
      dk${r}_${c} = fma(Vector(ds${r}), q_${c}, dk${r}_${c});
#end
#end
    }
  }
#for r in ROWS
  if (t${r} < params.T) {
#for c in CHUNKS
    store_dk(at${r} + ${c}u, dk${r}_${c});
    store_dv(at${r} + ${c}u, dv${r}_${c});
#end
  }
#end
}
