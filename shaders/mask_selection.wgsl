// selection = the words of a mask, each with the number of set bits before it, for lib/selection.wgsl.
// mask: (words); selection: (words, 2). One workgroup: each thread counts its range of words, adds up the ranges before
// it, and writes its own. Launch: 1 workgroup.

var<workgroup> counts: array<u32, ${WORKGROUP}>;

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(local_invocation_index) lane: u32) {
  let share = (params.words + ${WORKGROUP}u - 1u) / ${WORKGROUP}u;
  let first = min(lane * share, params.words);
  let end = min(first + share, params.words);
  var count = 0u;
  for (var i = first; i < end; i++) { count += countOneBits(mask[i]); }
  counts[lane] = count;
  workgroupBarrier();
  var before = 0u;
  for (var other = 0u; other < lane; other++) { before += counts[other]; }
  for (var i = first; i < end; i++) {
    selection[2u * i] = mask[i];
    selection[2u * i + 1u] = before;
    before += countOneBits(mask[i]);
  }
}
