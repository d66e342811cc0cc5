// loss[row] = -log softmax(logits[row])[label]; with GRADIENT the logits become (softmax - onehot) * loss_scale in
// place: for GPUs with workgroup memory.
//   logits_inout: (rows, V); labels: (N), 0xffffffff = ignored; loss: (loss_first + N).
// Row r of the logits is row first + r of labels and of the losses from loss_first on. One workgroup per row: one pass
// of reading keeps a running maximum and sum in each thread, a second one writes. f32, no atomics. Launch: rows
// workgroups. Any V: threads stride. An ignored row has no loss and no gradient.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.y * groups.x + group.x;
  if (row >= params.n) { return; }
  let label = labels[params.first + row];
  let counts = label < params.V;
  let start = row * params.V;
  // A thread without a logit keeps a sum of 0; a NaN spoils its thread's sum whatever max() makes of it.
  var own_highest = -1e30;
  var own_sum = 0.0;
  for (var v = lane; v < params.V; v += ${WORKGROUP}u) {
    let logit = logits_inout[start + v];
    let next = max(own_highest, logit);
    own_sum = own_sum * exp(own_highest - next) + exp(logit - next);
    own_highest = next;
  }
  let highest = workgroup_max(lane, own_highest);
  let sum = workgroup_sum(lane, own_sum * exp(own_highest - highest));
  // The thread that owns the label's logit reads it before it overwrites it.
  if (lane == label % ${WORKGROUP}u) {
    var row_loss = 0.0;
    if (counts) { row_loss = log(sum) + highest - logits_inout[start + label]; }
    loss[params.loss_first + params.first + row] = row_loss;
  }
#if ${GRADIENT}
  let scale = select(0.0, schedule.loss_scale, counts);
  for (var v = lane; v < params.V; v += ${WORKGROUP}u) {
    let probability = exp(logits_inout[start + v] - highest) / sum;
    logits_inout[start + v] = (probability - select(0.0, 1.0, v == label)) * scale;
  }
#endif
}
