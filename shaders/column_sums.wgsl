// sums (+)= sum over rows of TERM, column by column: the gradient of a vector that is added to every row (TERM is dy),
// or that every normalised row is multiplied with (NORM: dy times the normalised x). Added to sums when ACCUMULATE.
//   x, dy: (N, C); statistics: (N), numbers that normalise a row of x; sums: (C).
// One thread per VECTOR of columns, no barriers. Launch: ceil(C / WIDTH / WORKGROUP) workgroups. Any C; N below 65 535.

struct Params { n: u32, C: u32 }

#if ${NORM}
@group(0) @binding(0) var<storage, read> x: array<${VECTOR}>;
@group(0) @binding(1) var<storage, read> statistics: array<${STATISTIC}>;
@group(0) @binding(2) var<storage, read> dy: array<${VECTOR}>;
@group(0) @binding(3) var<storage, read_write> sums: array<${VECTOR}>;
#else
@group(0) @binding(0) var<storage, read> dy: array<${VECTOR}>;
@group(0) @binding(1) var<storage, read_write> sums: array<${VECTOR}>;
#endif
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let column = thread_index(group, groups, lane);
  let width = params.C / ${WIDTH}u;
  if (column >= width) { return; }
  var sum = ${VECTOR}(0.0);
  for (var row = 0u; row < params.n; row++) {
    let i = row * width + column;
    sum += ${TERM};
  }
#if ${ACCUMULATE}
  sums[column] += sum;
#else
  sums[column] = sum;
#endif
}
