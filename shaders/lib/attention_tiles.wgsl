// Flash attention as products of tiles, for GPUs with workgroup memory. 16 x 16 threads hold a 64 x 64 block of scores
// in registers: thread (tm, tn) has rows 4 tm + i and columns 4 tn + c. The factors of a product pass through workgroup
// memory depth first: left[k][tm] are four rows at depth k, right[k][tn] four columns. All threads of the workgroup
// must call each function here. Both dimensions of an array have their own index, as compilers then need no check of
// bounds in the inner loop.
var<workgroup> left: array<array<vec4f, 16>, 32>;
var<workgroup> right: array<array<vec4f, 16>, 32>;

// Start of a position's head in a (B, T, heads, D) tensor. Positions past T are the last one.
fn head_start(b: u32, position: u32, heads: u32, head: u32) -> u32 {
  return ((b * params.T + min(position, params.T - 1u)) * heads + head) * ${D}u;
}

// The sum, and the maximum, of a row's numbers over its 16 threads, in a fixed order; for four rows.
fn sum_over_row(tm: u32, tn: u32, part: vec4f) -> vec4f {
  workgroupBarrier();
  left[tn][tm] = part;
  workgroupBarrier();
  var sum = left[0][tm];
#for n in 1..16
  sum += left[${n}][tm];
#end
  return sum;
}

fn max_over_row(tm: u32, tn: u32, part: vec4f) -> vec4f {
  workgroupBarrier();
  left[tn][tm] = part;
  workgroupBarrier();
  var most = left[0][tm];
#for n in 1..16
  most = max(most, left[${n}][tm]);
#end
  return most;
}
