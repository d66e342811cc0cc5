// y[row] = weight[ids[row]]
//   ids: (N); weight: (V, C); y: (N, C).
// C counts VECTORs. With IS_PACKED the weight is stored in another format than f32, and a VECTOR is four numbers.
// One thread for each of y. Launch: ceil(N * C / WORKGROUP) workgroups. Any N, C; an id past V reads the last row.

struct Params { n: u32, C: u32, V: u32 }

@group(0) @binding(0) var<storage, read> ids: array<u32>;
#if ${IS_PACKED}
@group(0) @binding(1) var<storage, read> weight: array<${WEIGHT4}>;
#else
@group(0) @binding(1) var<storage, read> weight: array<${VECTOR}>;
#endif
@group(0) @binding(2) var<storage, read_write> y: array<${VECTOR}>;
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
  let id = min(ids[row], params.V - 1u);
#if ${IS_PACKED}
  y[i] = load_weight4(id * params.C + (i - row * params.C));
#else
  y[i] = weight[id * params.C + (i - row * params.C)];
#endif
}
