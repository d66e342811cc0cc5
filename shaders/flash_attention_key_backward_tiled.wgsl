// Backward of flash_attention for keys and values, the probabilities recomputed from the statistics, for GPUs with
// workgroup memory:
//   dv[j] = sum over t of p[t,j] dout[t];  dk[j] = scale * sum over t of p[t,j] (dout[t].v[j] - delta[t]) q[t],
// over the positions t that see j and over the query heads that share the key head, in a fixed order: no atomics.
// q, dout: (B, T, H, D); k, v, dk, dv: (B, T, KV, D); statistics: (B, T, H, 2). One workgroup per ROWS positions of one
// key head: the rows of its scores (lib/attention_tiles) are keys, the columns ROWS queries at a time, of those that
// see one of the keys. A thread has GROUPS times four columns of four rows of dk and dv. Sums in f32. Launch: B * KV *
// ceil(T / ROWS) workgroups. Any B, T, D, H, KV dividing H; rows past T read the last one and do not count, RAGGED
// columns past D are 0.

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let heads = params.B * params.KV;
  let index = group.y * groups.x + group.x;
  // The first positions have the most queries, so they start first.
  let first = index / heads * ${ROWS}u;
  if (first >= params.T) { return; }
  let b = index % heads / params.KV;
  let h = index % params.KV;
  let shared_by = params.H / params.KV;
  let last = params.T - 1u;
  let tm = lane / 16u;
  let tn = lane % 16u;
#for i in 4
  let j${i} = first + 4u * tm + ${i}u;
  let k${i} = head_start(b, j${i}, params.KV, h);
#for g in GROUPS
  var dk${g}_${i} = vec4f();
  var dv${g}_${i} = vec4f();
#end
#end
#if ${WINDOWED}
#for i in 4
  let seeing${i} = queries_seeing(b, min(j${i}, last));
#end
  let last_seeing = queries_seeing(b, min(first + ${ROWS}u - 1u, last));
  let begin = queries_seeing(b, first).x;
  let end = last_seeing.x + last_seeing.y;
#else
  let begin = first;
  let end = params.T;
#endif
  for (var head = h * shared_by; head < (h + 1u) * shared_by; head++) {
    for (var tile = begin; tile < end; tile += ${ROWS}u) {
#for i in 4
      let q${i} = head_start(b, tile + 4u * tm + ${i}u, params.H, head);
      var s${i} = vec4f();
      var dp${i} = vec4f();
#end
      for (var chunk = 0u; chunk < ${D}u; chunk += 16u) {
        let d = min(chunk + tn, ${D}u - 1u);
        var key = vec4f(load_k(k0 + d), load_k(k1 + d), load_k(k2 + d), load_k(k3 + d));
        var value = vec4f(load_v(k0 + d), load_v(k1 + d), load_v(k2 + d), load_v(k3 + d));
        var query = vec4f(load_q(q0 + d), load_q(q1 + d), load_q(q2 + d), load_q(q3 + d));
        var dy = vec4f(load_dout(q0 + d), load_dout(q1 + d), load_dout(q2 + d), load_dout(q3 + d));
#if ${RAGGED}
        if (chunk + tn >= ${D}u) { key = vec4f(); value = vec4f(); query = vec4f(); dy = vec4f(); }
#endif
        workgroupBarrier();
        left[tn][tm] = key;
        left[tn + 16u][tm] = value;
        right[tn][tm] = query;
        right[tn + 16u][tm] = dy;
        workgroupBarrier();
        for (var step = 0u; step < 8u; step++) {
#for u in 2
          { let x = left[step * 2u + ${u}u][tm];
            let y = right[step * 2u + ${u}u][tn];
            let z = left[step * 2u + ${u}u + 16u][tm];
            let dz = right[step * 2u + ${u}u + 16u][tn];
#for i in 4
            s${i} = fma(vec4f(x[${i}]), y, s${i});
            dp${i} = fma(vec4f(z[${i}]), dz, dp${i});
#end
          }
#end
        }
      }
      let t = vec4u(tile + 4u * tn) + vec4u(0u, 1u, 2u, 3u);
#for c in 4
      let of_row${c} = statistics[head_start(b, t[${c}], params.H, head) / ${D}u];
#end
      let row_lse = vec4f(of_row0.x, of_row1.x, of_row2.x, of_row3.x);
      let row_delta = vec4f(of_row0.y, of_row1.y, of_row2.y, of_row3.y);
#for i in 4
#if ${WINDOWED}
      s${i} = select(vec4f(-2e30), params.scale * s${i}, t - seeing${i}.x < vec4u(seeing${i}.y));
#else
      s${i} = select(vec4f(-2e30), params.scale * s${i}, (t >= vec4u(j${i})) & (t < vec4u(params.T)));
#endif
      let p${i} = exp(s${i} - row_lse);
      let ds${i} = params.scale * p${i} * (dp${i} - row_delta);
#end
      for (var half = 0u; half < 2u; half++) {
        let near = head_start(b, tile + 32u * half + tm, params.H, head);
        let far = head_start(b, tile + 32u * half + 16u + tm, params.H, head);
#for g in GROUPS
        {
#for c in 4
          let d${c} = min(64u * ${g}u + 4u * tn + ${c}u, ${D}u - 1u);
#end
          let near_dy = vec4f(load_dout(near + d0), load_dout(near + d1), load_dout(near + d2), load_dout(near + d3));
          let far_dy = vec4f(load_dout(far + d0), load_dout(far + d1), load_dout(far + d2), load_dout(far + d3));
          workgroupBarrier();
          if (tn / 8u == half) {
#for c in 4
            left[tn % 8u * 4u + ${c}u][tm] = vec4f(p0[${c}], p1[${c}], p2[${c}], p3[${c}]);
#end
          }
          right[tm][tn] = near_dy;
          right[tm + 16u][tn] = far_dy;
          workgroupBarrier();
          for (var step = 0u; step < 8u; step++) {
#for u in 4
            { let x = left[step * 4u + ${u}u][tm];
              let y = right[step * 4u + ${u}u][tn];
#for i in 4
              dv${g}_${i} = fma(vec4f(x[${i}]), y, dv${g}_${i});
#end
            }
#end
          }
          let near_queries = vec4f(load_q(near + d0), load_q(near + d1), load_q(near + d2), load_q(near + d3));
          let far_queries = vec4f(load_q(far + d0), load_q(far + d1), load_q(far + d2), load_q(far + d3));
          workgroupBarrier();
          if (tn / 8u == half) {
#for c in 4
            left[tn % 8u * 4u + ${c}u][tm] = vec4f(ds0[${c}], ds1[${c}], ds2[${c}], ds3[${c}]);
#end
          }
          right[tm][tn] = near_queries;
          right[tm + 16u][tn] = far_queries;
          workgroupBarrier();
          for (var step = 0u; step < 8u; step++) {
#for u in 4
            { let x = left[step * 4u + ${u}u][tm];
              let y = right[step * 4u + ${u}u][tn];
#for i in 4
              dk${g}_${i} = fma(vec4f(x[${i}]), y, dk${g}_${i});
#end
            }
#end
          }
        }
#end
      }
    }
  }
#for i in 4
  if (j${i} < params.T) {
#for g in GROUPS
#if ${WHOLE_FOURS}
    if (${64 * g}u + 4u * tn < ${D}u) {
      store4_dk((k${i} + ${64 * g}u + 4u * tn) / 4u, dk${g}_${i});
      store4_dv((k${i} + ${64 * g}u + 4u * tn) / 4u, dv${g}_${i});
    }
#else
#for c in 4
    if (${64 * g + c}u + 4u * tn < ${D}u) {
      store1_dk(k${i} + ${64 * g + c}u + 4u * tn, dk${g}_${i}[${c}]);
      store1_dv(k${i} + ${64 * g + c}u + 4u * tn, dv${g}_${i}[${c}]);
    }
#end
#endif
#end
  }
#end
}
