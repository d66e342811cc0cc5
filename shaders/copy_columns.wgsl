// part[row, c] = whole[row, first + c], or with INTO the other way round; added to what is there when ACCUMULATE.
//   part: (N, C); whole: (N, width). C, width and first count VECTORs.
// One thread per VECTOR of the part, n of them. Launch: ceil(n / WORKGROUP) workgroups.

struct Params { n: u32, C: u32, width: u32, first: u32 }

#if ${INTO}
@group(0) @binding(0) var<storage, read> part: array<${VECTOR}>;
@group(0) @binding(1) var<storage, read_write> whole: array<${VECTOR}>;
#else
@group(0) @binding(0) var<storage, read> whole: array<${VECTOR}>;
@group(0) @binding(1) var<storage, read_write> part: array<${VECTOR}>;
#endif
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n) { return; }
  let row = i / params.C;
  let at = row * params.width + params.first + (i - row * params.C);
#if ${ACCUMULATE}
  whole[at] += part[i];
#elif ${INTO}
  whole[at] = part[i];
#else
  part[i] = whole[at];
#endif
}
