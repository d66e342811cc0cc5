// The SLICES threads that share a row of attention each have a part of its dot products: all of them get the sums, in a
// fixed order. All threads of the workgroup must call. `turn` counts the calls since the last barrier elsewhere: with
// two buffers in turn, a fast thread cannot overwrite what a slow one still reads, so one barrier is enough. A thread
// has whole rows unless SLICED.
#if ${SLICED}
var<workgroup> parts: array<${SUMS}, ${PARTS}>;

fn sum_slices(lane: u32, turn: u32, part: ${SUMS}) -> ${SUMS} {
  let start = turn % 2u * ${WORKGROUP}u;
  parts[start + lane] = part;
  workgroupBarrier();
  var sum = parts[start + lane % ${ROWS}u];
  for (var slice = 1u; slice < ${SLICES}u; slice++) { sum += parts[start + slice * ${ROWS}u + lane % ${ROWS}u]; }
  return sum;
}
#else
fn sum_slices(lane: u32, turn: u32, part: ${SUMS}) -> ${SUMS} { return part; }
#endif
