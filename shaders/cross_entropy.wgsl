// loss[row] = -log softmax(logits[row])[label]; with GRADIENT the logits become (softmax - onehot) * loss_scale in place.
//   logits_inout: (rows, V); labels: (N), 0xffffffff = ignored; loss: (loss_first + N).
//   Row r of the logits is row first + r of labels and of the losses from loss_first on.
// One thread per row, no barriers. Launch: ceil(rows / WORKGROUP) workgroups. Any V. An ignored row has no loss and no gradient.

struct Params { n: u32, V: u32, first: u32, loss_first: u32 }

@group(0) @binding(0) var<storage, read> labels: array<u32>;
@group(0) @binding(1) var<storage, read> schedule: Schedule;
@group(0) @binding(2) var<storage, read_write> logits_inout: array<f32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = thread_index(group, groups, lane);
  if (row >= params.n) { return; }
  let label = labels[params.first + row];
  let counts = label < params.V;
  let start = row * params.V;
  var highest = logits_inout[start];
  for (var v = 1u; v < params.V; v++) { highest = max(highest, logits_inout[start + v]); }
  var sum = 0.0;
  for (var v = 0u; v < params.V; v++) { sum += exp(logits_inout[start + v] - highest); }
  let target_logit = logits_inout[start + min(label, params.V - 1u)];
  loss[params.loss_first + params.first + row] = select(0.0, log(sum) + highest - target_logit, counts);
#if ${GRADIENT}
  let scale = select(0.0, schedule.loss_scale, counts);
  for (var v = 0u; v < params.V; v++) {
    let probability = exp(logits_inout[start + v] - highest) / sum;
    logits_inout[start + v] = (probability - select(0.0, 1.0, v == label)) * scale;
  }
#endif
}
