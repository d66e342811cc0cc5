// slices[s] = sum over the s-th share of the rows, column by column: of dy, or of dy times the normalised x (RMS_NORM,
// LAYER_NORM). For GPUs with workgroup memory, and for very many rows.
// x, dy: (N, C); statistics: (N), numbers that normalise a row of x; slices: (count, C), which sum_slices adds up. One
// workgroup per COLUMNS columns and share of the rows: LANES threads a column take every LANES-th row, their sums are
// added in order. A single dispatch would have too few workgroups (C / COLUMNS), or read the rows in pieces too narrow
// for the memory. Launch: (ceil(C / COLUMNS), count). Any N, C. Sums in f32.

var<workgroup> partial: array<f32, ${WORKGROUP}>;

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let column = group.x * ${COLUMNS}u + lane % ${COLUMNS}u;
  let share = (params.n - 1u) / params.count + 1u;
  let end = min((group.y + 1u) * share, params.n);
  var sum = 0.0;
  if (column < params.C) {
    for (var row = group.y * share + lane / ${COLUMNS}u; row < end; row += ${LANES}u) {
      let i = row * params.C + column;
#if ${LAYER_NORM}
      sum += load_dy(i) * ((load_x(i) - statistics[row].x) * statistics[row].y);
#elif ${RMS_NORM}
      sum += load_dy(i) * load_x(i) * statistics[row];
#else
      sum += load_dy(i);
#endif
    }
  }
  partial[lane] = sum;
  workgroupBarrier();
  if (lane < ${COLUMNS}u && column < params.C) {
    for (var i = 1u; i < ${LANES}u; i++) { sum += partial[i * ${COLUMNS}u + lane]; }
    slices[group.y * params.C + column] = sum;
  }
}
