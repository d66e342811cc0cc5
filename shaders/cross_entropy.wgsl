// loss[row] = -log softmax(logits[row])[label]; with GRADIENT the logits become (softmax - onehot) * loss_scale in
// place.
//   logits_inout: (rows, V); labels: (N), 0xffffffff = ignored; loss: (loss_first + N).
// Row r of the logits is row first + r of labels and of the losses from loss_first on. One thread per row, no barriers,
// UNROLL VECTORs a turn. Launch: ceil(rows / WORKGROUP) workgroups. Any V. An ignored row has no loss and no gradient.

struct Params { n: u32, V: u32, first: u32, loss_first: u32 }

@group(0) @binding(0) var<storage, read> labels: array<u32>;
@group(0) @binding(1) var<storage, read> schedule: Schedule;
@group(0) @binding(2) var<storage, read_write> logits_inout: array<${VECTOR}>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

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
  for (var i = start; i < unrolled; i += ${UNROLL}u) { highest = ${HIGHEST}; }
  for (var i = unrolled; i < end; i++) { highest = max(highest, logits_inout[i]); }
  let top = max_of(highest);

  var sums = ${VECTOR}(0.0);
  for (var i = start; i < unrolled; i += ${UNROLL}u) { sums += ${EXPONENTIALS}; }
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
${WRITES}
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
