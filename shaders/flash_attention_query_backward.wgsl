// Backward of flash_attention for the queries, the probabilities recomputed from the statistics:
//   delta[t] = dout[t].out[t];  dq[t] = scale * sum over its keys j of p[t,j] (dout[t].v[j] - delta[t]) k[j].
//   q, out, dout, dq: (B, T, H, D); k, v: (B, T, KV, D); statistics: (B, T, H, 2), whose
// second number becomes delta.
// Keys of a position, threads and launch as in flash_attention, one key at a time.

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
  let d${r}_${c} = load_dout(at${r} + ${c}u);
  var dq${r}_${c} = Vector();
#end
  var products${r} = d${r}_0 * load_out(at${r});
#for c in 1..CHUNKS
  products${r} = fma(d${r}_${c}, load_out(at${r} + ${c}u), products${r});
#end
  let lse${r} = statistics[row${r}].x;
  let delta${r} = lanes_of(products${r});
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
  for (var j = begin; j < end; j++) {
    let at = key_start + j * key_stride;
#for c in CHUNKS
    let k_${c} = load_k(at + ${c}u);
    let v_${c} = load_v(at + ${c}u);
#end
#for r in ROWS
    var qk${r} = q${r}_0 * k_0;
    var dv${r} = d${r}_0 * v_0;
#for c in 1..CHUNKS
    qk${r} = fma(q${r}_${c}, k_${c}, qk${r});
    dv${r} = fma(d${r}_${c}, v_${c}, dv${r});
#end
#if ${WINDOWED}
    let sees${r} = j - seen${r}.x < seen${r}.y;
#else
    let sees${r} = j <= t${r};
#endif
    let p${r} = select(0.0, exp(params.scale * lanes_of(qk${r}) - lse${r}), sees${r});
    let ds${r} = params.scale * p${r} * (lanes_of(dv${r}) - delta${r});
#for c in CHUNKS
    dq${r}_${c} = fma(Vector(ds${r}), k_${c}, dq${r}_${c});
#end
#end
  }
#for r in ROWS
  if (t${r} < params.T) {
#for c in CHUNKS
    store_dq(at${r} + ${c}u, dq${r}_${c});
#end
    statistics[row${r}].y = delta${r};
  }
#end
}
