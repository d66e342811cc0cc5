// The counts of a kernel, from a small sample of what RADV prints.

import { assertEquals, test } from "../../harness.ts";
import { mainTurn } from "./machine_code.ts";
import { parsePrinted } from "./printed.ts";

/** A loop over tiles, unknown how many, with an inner one of 64 / 16 turns and another that nobody has counted. */
const TILES = `BB0:
	s_mov_b32 s3, 0                                             ; be830380
	v_mov_b32_e32 v1, 0                                         ; 7e020280
BB1:
	buffer_load_dword v2, v0, s[4:7], 0 offen                   ; e0301000 80010200
	s_waitcnt vmcnt(0)                                          ; bf8c3f70
	ds_write_b32 v0, v2                                         ; d8340000 00000200
	s_barrier                                                   ; bf8a0000
BB2:
	ds_read_b128 v[4:7], v0                                     ; dbfc0000 04000000
	v_fmac_f32_e32 v1, v4, v5                                   ; 56020b04
	v_fma_f32 v1, v6, v7, v1                                    ; d54b0001 04060f06
	v_mad_u32_u24 v0, v0, 4, v0                                 ; d5430000 04010900
	s_add_u32 s3, s3, 16                                        ; 80039003
	s_cmp_ge_u32 s3, 64                                         ; bf09c003
	s_cbranch_scc0 BB2                                          ; bf84fff0
BB3:
	v_max_f32_e32 v1, v1, v2                                    ; 20020501
	s_cbranch_execnz BB3                                        ; bf89fff0
	s_cmp_lt_u32 s8, s9                                         ; bf0a0908
	s_cbranch_scc1 BB1                                          ; bf85ffe0
	buffer_store_dword v1, v0, s[4:7], 0 offen                  ; e0701000 80010100
	s_endpgm                                                    ; bf810000
`;

const printed = (index: number, code: string, message = ""): string => `
@@kernel ${index} 
shader: MESA_SHADER_COMPUTE
workgroup-size: 16, 4, 1
disasm:
${code}

Compute Shader:
*** SHADER STATS ***
SGPRs: 128
VGPRs: 40
Spilled SGPRs: 2
Spilled VGPRs: 3
Code size: 204
LDS size: 512
Scratch size: 256
Subgroups per SIMD: 18
********************

@@end ${index} ${message}
`;

test("machine code: a turn of the loop over tiles holds all turns of those within that are known", () => {
  const inner = { fma: 2, valu: 3, salu: 3, lds: 1, vmem: 0 };
  assertEquals(mainTurn(TILES), {
    fma: 4 * inner.fma,
    valu: 4 * inner.valu + 1,
    salu: 4 * inner.salu + 1 + 2,
    lds: 4 * inner.lds + 1,
    vmem: 1,
  });
});

test("machine code: without loops all of it counts, and both halves of a pair", () => {
  const code = "BB0:\n  v_dual_fmac_f32 v0, v1, v2 :: v_dual_add_f32 v3, v4, v5\n  s_endpgm\n";
  assertEquals(mainTurn(code), { fma: 1, valu: 2, salu: 0, lds: 0, vmem: 0 });
});

test("what RADV prints: registers, spills, waves; messages; kernels that a crash has cut off are left out", () => {
  const text = `noise\n@@adapter RADV\n${printed(4, TILES)}Warning${printed(5, "", "no main")}\n@@kernel 6\nshader: …`;
  const [first, second, ...others] = parsePrinted(text);
  assertEquals(others, []);
  assertEquals(second, { index: 5, result: "no main" });
  assertEquals(first, {
    index: 4,
    result: {
      threads: 64,
      registers: 40,
      workgroupBytes: 512,
      spills: 5,
      scratchBytes: 256,
      waves: 18,
      codeBytes: 204,
      turn: mainTurn(TILES),
      assembly: TILES,
    },
  });
});
