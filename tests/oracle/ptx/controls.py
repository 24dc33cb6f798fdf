"""Errors that are put into the PTX on purpose: each has to be found, or the comparison proves nothing."""

# Of which kernels (a part of the name), a pattern, what takes its place, and what is wrong then.
CONTROLS = [
    ("attention_hopper", r"(wgmma\.mma_async.*\}, %rd\d+, p, 1, 1), 1;", r"\1, 0;", "V is read as if it were K-major"),
    ("attention_hopper", r"(wgmma\.mma_async[^}]*\}, )(%rd\d+), (%rd\d+), p", r"\1\3, \2, p", "wgmma has its operands exchanged"),
    ("attention_hopper", r"(\}, \{%r\d+),(%r\d+),", r"\1,\1,", "wgmma has a register of its left operand twice"),
    ("attention_hopper", r"fence\.proxy\.async[^;]*;", "", "no fence between the proxies"),
    ("attention_hopper", r"wgmma\.wait_group\.sync\.aligned 0;", "wgmma.wait_group.sync.aligned 2;", "products are not waited for"),
    ("attention_hopper", r"(st\.shared\.v4\.b32 \[%r\d+)\]", r"\1+16]", "Q is stored elsewhere"),
    ("attention_hopper", r"\{(%r\d+), (%r\d+), (%r\d+), (%r\d+)\}\], \[", r"{\1, \3, \2, \4}], [", "a box has its coordinates exchanged"),
    ("attention_hopper", r"ex2\.approx\.ftz\.f32 (%f\d+), (%f\d+);", r"mov.f32 \1, \2;", "no exponentials"),
    ("attention_hopper", r"bar\.arrive[^;]*;", "", "nobody is given the turn"),
    ("attention_tiles", r"cvt\.rn\.(b?f16x2)\.f32 (%r\d+), (%f\d+), (%f\d+)", r"cvt.rn.\1.f32 \2, \4, \3", "pairs have their halves exchanged"),
    ("attention_tiles", r"\.trans\.shared", ".shared", "V is not transposed"),
    ("attention_tiles", r"cp\.async\.wait_group 0", "cp.async.wait_group 1", "the last copies are not waited for"),
    ("attention_tiles", r"(mma\.sync[^{]*\{[^}]*\}, \{%r\d+), (%r\d+), (%r\d+)", r"\1, \3, \2", "mma has registers exchanged"),
    ("attention_merge", r"ex2\.approx", "rcp.approx", "another function"),
    ("attention_tiles", r"(cp\.async\.cg[^;]*), %r\d+;", r"\1, 0;", "zeros are copied"),
    ("linear_tiles", r"(ldmatrix\.sync[^{]*)\{(%r\d+), (%r\d+)", r"\1{\3, \2", "ldmatrix has registers exchanged"),
    ("linear_blocks", r"fma\.rn\.bf16x2 (%r\d+), (%r\d+), (%r\d+), (%r\d+);", r"fma.rn.bf16x2 \1, \2, \4, \3;", "codes are scaled wrong"),
    ("linear_blocks", r"(mma\.sync[^}]*\}, \{[^}]*\}, )\{(%r\d+), (%r\d+)\}", r"\1{\3, \2}", "mma has the right operand exchanged"),
    ("norm_by", r"(shfl\.sync\.bfly\.b32 .*, .*, )%r\d+(, .*, .*);", r"\g<1>2\2;", "a sum leaves lanes out"),
    ("gemv", r"shfl\.sync\.bfly", "shfl.sync.up", "lanes take from others"),
    ("rope_kv", r"st\.global\.u16\s+\[(%rd\d+)\]", r"st.global.u16 [\1+2]", "K is stored elsewhere"),
    ("_Z6sample", r"atom\.shared\.add\.u64", "atom.shared.max.u64", "masses are not added"),
    ("_Z6sample", r"vote\.sync\.ballot", "vote.sync.any", "a vote of one bit"),
    ("route", r"setp\.gt\.f32", "setp.ge.f32", "ties go the other way"),
    ("pack", r"prmt\.b32 (.*), (%r\d+), (%r\d+), ", r"prmt.b32 \1, \3, \2, ", "bytes are exchanged"),
    ("x_to_16", r"cvt\.rn\.bf16x2\.f32 (%r\d+), (%f\d+), (%f\d+)", r"cvt.rn.bf16x2.f32 \1, \3, \2", "pairs have their halves exchanged"),
]

