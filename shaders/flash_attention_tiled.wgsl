// Grouped-query attention, one pass over the keys with a running maximum (Dao et al., FlashAttention, 2022), for GPUs
// with workgroup memory: out[t] = sum over its keys j of softmax_j(scale q[t].k[j]) v[j]; statistics[t] = (log of the
// softmax's denominator, 0).
// Its keys: CAUSAL: all up to t, else all. With documents: only those in [start, end) of the document around t
// (lib/attention_window).
// q, out: (B, T, H, D); k, v: (B, T, KV, D); statistics: (B, T, H, 2); documents: (B, T, 2). One workgroup per ROWS
// positions of one head, ROWS keys at a time (lib/attention_tiles); tiles that no position sees are skipped. A thread
// has GROUPS times four columns of four rows of out. Sums in f32, in a fixed order: no atomics. Launch: B * H * ceil(T
// / ROWS) workgroups. Any B, T, D, H, KV dividing H; rows and keys past T read the last one and do not count, RAGGED
// columns past D are 0.

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
  // The last positions have the most keys, so they start first.
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
  var o${g}_${i} = vec4f();
#end
#end
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
  var highest = vec4f(-1e30);
  var sum = vec4f();
  for (var tile = begin; tile < end; tile += ${ROWS}u) {
#for i in 4
    let k${i} = head_start(b, tile + 4u * tm + ${i}u, params.KV, kv);
    var s${i} = vec4f();
#end
    for (var chunk = 0u; chunk < ${D}u; chunk += 16u) {
      let d = min(chunk + tn, ${D}u - 1u);
      var rows = vec4f(load_q(q0 + d), load_q(q1 + d), load_q(q2 + d), load_q(q3 + d));
      var keys = vec4f(load_k(k0 + d), load_k(k1 + d), load_k(k2 + d), load_k(k3 + d));
#if ${RAGGED}
      if (chunk + tn >= ${D}u) { rows = vec4f(); keys = vec4f(); }
#endif
      workgroupBarrier();
      left[tn][tm] = rows;
      right[tn][tm] = keys;
      workgroupBarrier();
      for (var step = 0u; step < 4u; step++) {
#for u in 4
        { let x = left[step * 4u + ${u}u][tm];
          let y = right[step * 4u + ${u}u][tn];
#for i in 4
          s${i} = fma(vec4f(x[${i}]), y, s${i});
#end
        }
#end
      }
    }
    let j = vec4u(tile + 4u * tn) + vec4u(0u, 1u, 2u, 3u);
#for i in 4
    // A score far below the first `highest`: a row that has seen none of its keys yet counts none of the others.
#if ${WINDOWED}
    s${i} = select(vec4f(-2e30), params.scale * s${i}, j - seen${i}.x < vec4u(seen${i}.y));
#else
    s${i} = select(vec4f(-2e30), params.scale * s${i}, j <= vec4u(t${i}));
#endif
    let most${i} = max(max(s${i}.x, s${i}.y), max(s${i}.z, s${i}.w));
#end
    let next = max(highest, max_over_row(tm, tn, vec4f(most0, most1, most2, most3)));
    let shrink = exp(highest - next);
    highest = next;
#for i in 4
    let p${i} = exp(s${i} - next[${i}]);
#for g in GROUPS
    o${g}_${i} *= shrink[${i}];
#end
#end
    sum = sum * shrink + vec4f(dot(p0, vec4f(1.0)), dot(p1, vec4f(1.0)), dot(p2, vec4f(1.0)), dot(p3, vec4f(1.0)));
    for (var half = 0u; half < 2u; half++) {
      let v0 = head_start(b, tile + 32u * half + tm, params.KV, kv);
      let v1 = head_start(b, tile + 32u * half + 16u + tm, params.KV, kv);
#for g in GROUPS
      {
#if ${WHOLE_FOURS}
        let d = min(${64 * g}u + 4u * tn, ${D}u - 4u);
        let near = load4_v((v0 + d) / 4u);
        let far = load4_v((v1 + d) / 4u);
#else
#for c in 4
        let d${c} = min(${64 * g + c}u + 4u * tn, ${D}u - 1u);
#end
        let near = vec4f(load1_v(v0 + d0), load1_v(v0 + d1), load1_v(v0 + d2), load1_v(v0 + d3));
        let far = vec4f(load1_v(v1 + d0), load1_v(v1 + d1), load1_v(v1 + d2), load1_v(v1 + d3));
#endif
        workgroupBarrier();
        if (tn / 8u == half) {
#for c in 4
          left[tn % 8u * 4u + ${c}u][tm] = vec4f(p0[${c}], p1[${c}], p2[${c}], p3[${c}]);
#end
        }
        right[tm][tn] = near;
        right[tm + 16u][tn] = far;
        workgroupBarrier();
        for (var step = 0u; step < 8u; step++) {
#for u in 4
          { let x = left[step * 4u + ${u}u][tm];
            let y = right[step * 4u + ${u}u][tn];
#for i in 4
            o${g}_${i} = fma(vec4f(x[${i}]), y, o${g}_${i});
#end
          }
#end
        }
      }
#end
    }
  }
  let total = sum_over_row(tm, tn, sum);
#for i in 4
  if (t${i} < params.T) {
#for g in GROUPS
#if ${WHOLE_FOURS}
    if (${64 * g}u + 4u * tn < ${D}u) { store4_out((q${i} + ${64 * g}u + 4u * tn) / 4u, o${g}_${i} / total[${i}]); }
#else
#for c in 4
    if (${64 * g + c}u + 4u * tn < ${D}u) {
      store1_out(q${i} + ${64 * g + c}u + 4u * tn, o${g}_${i}[${c}] / total[${i}]);
    }
#end
#endif
#end
    if (tn == 0u) {
      statistics[(b * params.T + t${i}) * params.H + h] = vec2f(highest[${i}] + log(total[${i}]), 0.0);
    }
  }
#end
}
