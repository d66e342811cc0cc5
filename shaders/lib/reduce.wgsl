// Sum and maximum over a workgroup of WORKGROUP threads, a power of two; every thread gets the result. All threads must
// call: these have barriers. A tree of fixed shape: the same bits every time.
var<workgroup> reduced: array<f32, ${WORKGROUP}>;

fn workgroup_sum(lane: u32, value: f32) -> f32 {
  reduced[lane] = value;
  workgroupBarrier();
  for (var width = ${WORKGROUP}u / 2u; width > 0u; width /= 2u) {
    if (lane < width) { reduced[lane] += reduced[lane + width]; }
    workgroupBarrier();
  }
  let sum = reduced[0];
  // Nobody may start the next reduction before all have read this one.
  workgroupBarrier();
  return sum;
}

// The maximum over the workgroup. A NaN survives max() on some compilers only: sum something that it spoils as well.
fn workgroup_max(lane: u32, value: f32) -> f32 {
  reduced[lane] = value;
  workgroupBarrier();
  for (var width = ${WORKGROUP}u / 2u; width > 0u; width /= 2u) {
    if (lane < width) { reduced[lane] = max(reduced[lane], reduced[lane + width]); }
    workgroupBarrier();
  }
  let highest = reduced[0];
  workgroupBarrier();
  return highest;
}
