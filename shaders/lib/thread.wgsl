// The number of a thread in a launch that the host has spread over x and y (one dimension holds 65 535 workgroups).
fn thread_index(group: vec3u, groups: vec3u, lane: u32) -> u32 {
  return (group.y * groups.x + group.x) * ${WORKGROUP}u + lane;
}
