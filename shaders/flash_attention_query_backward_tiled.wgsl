// Backward of flash_attention for the queries, the probabilities recomputed from the statistics, for GPUs with
// workgroup memory:
//   delta[t] = dout[t].out[t];  dq[t] = scale * sum over its keys j of p[t,j] (dout[t].v[j] - delta[t]) k[j].
//   q, out, dout, dq: (B, T, H, D); k, v: (B, T, KV, D); statistics: (B, T, H, 2).
// Keys of a position, workgroups, threads, launch and edges as in flash_attention_tiled.

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let blocks = (params.T - 1u) / ${ROWS}u + 1u;
  let heads = params.B * params.H;
  let index = group.y * groups.x + group.x;
  if (index >= heads * blocks) { return; }
  let first = (blocks - 1u - index / heads) * ${ROWS}u;
  let b = index % heads / params.H;
  let h = index % params.H;
  let kv = h / (params.H / params.KV);
  let last = params.T - 1u;
  let tm = lane / 16u;
  let tn = lane % 16u;
#for i in 4
  let t${i} = first + 4u * tm + ${i}u;
  let q${i} = head_start(b, t${i}, params.H, h);
#for g in GROUPS
  var dq${g}_${i} = vec4f();
#end
#end
  let row_lse = vec4f(
    statistics[q0 / ${D}u].x,
    statistics[q1 / ${D}u].x,
    statistics[q2 / ${D}u].x,
    statistics[q3 / ${D}u].x,
  );
  var products = vec4f();
  for (var d = tn; d < ${D}u; d += 16u) {
    let y = vec4f(load_out(q0 + d), load_out(q1 + d), load_out(q2 + d), load_out(q3 + d));
    products = fma(vec4f(load_dout(q0 + d), load_dout(q1 + d), load_dout(q2 + d), load_dout(q3 + d)), y, products);
  }
  let row_delta = sum_over_row(tm, tn, products);
#if ${WINDOWED}
#for i in 4
  let seen${i} = keys_seen(b, min(t${i}, last));
#end
  let last_seen = keys_seen(b, min(first + ${ROWS}u - 1u, last));
  let begin = keys_seen(b, first).x;
  let end = last_seen.x + last_seen.y;
#else
  let begin = 0u;
  let end = min(first + ${ROWS}u, params.T);
#endif
  for (var tile = begin; tile < end; tile += ${ROWS}u) {
#for i in 4
    let k${i} = head_start(b, tile + 4u * tm + ${i}u, params.KV, kv);
    var s${i} = vec4f();
    var dp${i} = vec4f();
#end
    for (var chunk = 0u; chunk < ${D}u; chunk += 16u) {
      let d = min(chunk + tn, ${D}u - 1u);
      var query = vec4f(load_q(q0 + d), load_q(q1 + d), load_q(q2 + d), load_q(q3 + d));
      var dy = vec4f(load_dout(q0 + d), load_dout(q1 + d), load_dout(q2 + d), load_dout(q3 + d));
      var key = vec4f(load_k(k0 + d), load_k(k1 + d), load_k(k2 + d), load_k(k3 + d));
      var value = vec4f(load_v(k0 + d), load_v(k1 + d), load_v(k2 + d), load_v(k3 + d));
#if ${RAGGED}
      if (chunk + tn >= ${D}u) { query = vec4f(); dy = vec4f(); key = vec4f(); value = vec4f(); }
#endif
      workgroupBarrier();
      left[tn][tm] = query;
      left[tn + 16u][tm] = dy;
      right[tn][tm] = key;
      right[tn + 16u][tm] = value;
      workgroupBarrier();
      for (var step = 0u; step < 8u; step++) {
#for u in 2
        { let x = left[step * 2u + ${u}u][tm];
          let y = right[step * 2u + ${u}u][tn];
          let dx = left[step * 2u + ${u}u + 16u][tm];
          let z = right[step * 2u + ${u}u + 16u][tn];
#for i in 4
          s${i} = fma(vec4f(x[${i}]), y, s${i});
          dp${i} = fma(vec4f(dx[${i}]), z, dp${i});
#end
        }
#end
      }
    }
    let j = vec4u(tile + 4u * tn) + vec4u(0u, 1u, 2u, 3u);
#for i in 4
#if ${WINDOWED}
    s${i} = select(vec4f(-2e30), params.scale * s${i}, j - seen${i}.x < vec4u(seen${i}.y));
#else
    s${i} = select(vec4f(-2e30), params.scale * s${i}, j <= vec4u(t${i}));
#endif
    let ds${i} = params.scale * exp(s${i} - row_lse[${i}]) * (dp${i} - row_delta[${i}]);
#end
    for (var half = 0u; half < 2u; half++) {
      let near = head_start(b, tile + 32u * half + tm, params.KV, kv);
      let far = head_start(b, tile + 32u * half + 16u + tm, params.KV, kv);
#for g in GROUPS
      {
#for c in 4
        let d${c} = min(64u * ${g}u + 4u * tn + ${c}u, ${D}u - 1u);
#end
        let near_keys = vec4f(load_k(near + d0), load_k(near + d1), load_k(near + d2), load_k(near + d3));
        let far_keys = vec4f(load_k(far + d0), load_k(far + d1), load_k(far + d2), load_k(far + d3));
        workgroupBarrier();
        if (tn / 8u == half) {
#for c in 4
          left[tn % 8u * 4u + ${c}u][tm] = vec4f(ds0[${c}], ds1[${c}], ds2[${c}], ds3[${c}]);
#end
        }
        right[tm][tn] = near_keys;
        right[tm + 16u][tn] = far_keys;
        workgroupBarrier();
        for (var step = 0u; step < 8u; step++) {
#for u in 4
          { let x = left[step * 4u + ${u}u][tm];
            let y = right[step * 4u + ${u}u][tn];
#for i in 4
            dq${g}_${i} = fma(vec4f(x[${i}]), y, dq${g}_${i});
#end
          }
#end
        }
      }
#end
    }
  }
#for i in 4
  if (t${i} < params.T) {
#for g in GROUPS
#if ${WHOLE_FOURS}
    if (${64 * g}u + 4u * tn < ${D}u) { store4_dq((q${i} + ${64 * g}u + 4u * tn) / 4u, dq${g}_${i}); }
#else
#for c in 4
    if (${64 * g + c}u + 4u * tn < ${D}u) { store1_dq(q${i} + ${64 * g + c}u + 4u * tn, dq${g}_${i}[${c}]); }
#end
#endif
#end
    if (tn == 0u) { statistics[q${i} / ${D}u].y = row_delta[${i}]; }
  }
#end
}
