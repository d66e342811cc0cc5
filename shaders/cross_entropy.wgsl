// loss[row] = -log softmax(logits[row])[label]; with GRADIENT the logits become (softmax - onehot) * loss_scale in
// place.
//   logits_inout: (rows, V); labels: (N), 0xffffffff = ignored; loss: (loss_first + N).
// Row r of the logits is row first + r of labels and of the losses from loss_first on. One thread per row, no barriers,
// UNROLL Vectors a turn. Launch: ceil(rows / WORKGROUP) workgroups. Any V. An ignored row has no loss and no gradient.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = thread_index(group, groups, lane);
  if (row >= params.n) { return; }
  let label = labels[params.first + row];
  let counts = label < params.V;
  let width = params.V / ${WIDTH}u;
  let start = row * width;
  let end = start + width;
  let unrolled = start + width / ${UNROLL}u * ${UNROLL}u;

  var highest = logits_inout[start];
  for (var i = start; i < unrolled; i += ${UNROLL}u) {
#for u in UNROLL
    highest = max(highest, logits_inout[i + ${u}u]);
#end
  }
  for (var i = unrolled; i < end; i++) { highest = max(highest, logits_inout[i]); }
  let top = max_of(highest);

  var sums = Vector(0.0);
  for (var i = start; i < unrolled; i += ${UNROLL}u) {
    var part = exp(logits_inout[i] - top);
#for u in 1..UNROLL
    part += exp(logits_inout[i + ${u}u] - top);
#end
    sums += part;
  }
  for (var i = unrolled; i < end; i++) { sums += exp(logits_inout[i] - top); }
  let sum = sum_of(sums);

  let at = min(label, params.V - 1u);
#if ${IS_VECTOR}
  let label_logit = logits_inout[start + at / 4u][at % 4u];
#else
  let label_logit = logits_inout[start + at];
#endif
  loss[params.loss_first + params.first + row] = select(0.0, log(sum) + top - label_logit, counts);
#if ${GRADIENT}
  let scale = select(0.0, schedule.loss_scale, counts);
  for (var i = start; i < unrolled; i += ${UNROLL}u) {
#for u in UNROLL
    logits_inout[i + ${u}u] = exp(logits_inout[i + ${u}u] - top) * (scale / sum);
#end
  }
  for (var i = unrolled; i < end; i++) { logits_inout[i] = exp(logits_inout[i] - top) * (scale / sum); }
  // The label's own probability lacks its one so far.
#if ${IS_VECTOR}
  logits_inout[start + at / 4u][at % 4u] -= scale;
#else
  logits_inout[start + at] -= scale;
#endif
#endif
}
