// Rows of the instruction table: integer vectors that exist both for mm registers (no prefix) and for xmm registers
// (66), and what else MMX has. The format is in instruction-rows.ts.
//
// "mmx" in the table is what works on mm registers and on no xmm register, whichever extension added it; of SSE and
// SSE2, what mixes both.
//
// Intel SDM volume 1, chapters 9 to 12; volume 2, chapters 3 to 5.

import { type Row, rows } from "./instruction-rows.ts";

type Packed<M extends string> = readonly [mnemonic: M, opcode: string];

function packed<const M extends string>(list: readonly Packed<M>[]): readonly Packed<M>[] {
  return list;
}

function mmxRows<M extends string>(list: readonly Packed<M>[]): Row<M>[] {
  return list.map(([mnemonic, opcode]) => [mnemonic, `NP ${opcode} /r`, "Pq,Qq"]);
}

function xmmRows<M extends string>(list: readonly Packed<M>[]): Row<M>[] {
  return list.map(([mnemonic, opcode]) => [mnemonic, `66 ${opcode} /r`, "Vx,Wx"]);
}

const COMMON = packed([
  ["packsswb", "0F 63"],
  ["pcmpgtb", "0F 64"],
  ["pcmpgtw", "0F 65"],
  ["pcmpgtd", "0F 66"],
  ["packuswb", "0F 67"],
  ["punpckhbw", "0F 68"],
  ["punpckhwd", "0F 69"],
  ["punpckhdq", "0F 6A"],
  ["packssdw", "0F 6B"],
  ["pcmpeqb", "0F 74"],
  ["pcmpeqw", "0F 75"],
  ["pcmpeqd", "0F 76"],
  ["psrlw", "0F D1"],
  ["psrld", "0F D2"],
  ["psrlq", "0F D3"],
  ["paddq", "0F D4"],
  ["pmullw", "0F D5"],
  ["psubusb", "0F D8"],
  ["psubusw", "0F D9"],
  ["pminub", "0F DA"],
  ["pand", "0F DB"],
  ["paddusb", "0F DC"],
  ["paddusw", "0F DD"],
  ["pmaxub", "0F DE"],
  ["pandn", "0F DF"],
  ["pavgb", "0F E0"],
  ["psraw", "0F E1"],
  ["psrad", "0F E2"],
  ["pavgw", "0F E3"],
  ["pmulhuw", "0F E4"],
  ["pmulhw", "0F E5"],
  ["psubsb", "0F E8"],
  ["psubsw", "0F E9"],
  ["pminsw", "0F EA"],
  ["por", "0F EB"],
  ["paddsb", "0F EC"],
  ["paddsw", "0F ED"],
  ["pmaxsw", "0F EE"],
  ["pxor", "0F EF"],
  ["psllw", "0F F1"],
  ["pslld", "0F F2"],
  ["psllq", "0F F3"],
  ["pmuludq", "0F F4"],
  ["pmaddwd", "0F F5"],
  ["psadbw", "0F F6"],
  ["psubb", "0F F8"],
  ["psubw", "0F F9"],
  ["psubd", "0F FA"],
  ["psubq", "0F FB"],
  ["paddb", "0F FC"],
  ["paddw", "0F FD"],
  ["paddd", "0F FE"],
]);

const COMMON_SSSE3 = packed([
  ["pshufb", "0F 38 00"],
  ["phaddw", "0F 38 01"],
  ["phaddd", "0F 38 02"],
  ["phaddsw", "0F 38 03"],
  ["pmaddubsw", "0F 38 04"],
  ["phsubw", "0F 38 05"],
  ["phsubd", "0F 38 06"],
  ["phsubsw", "0F 38 07"],
  ["psignb", "0F 38 08"],
  ["psignw", "0F 38 09"],
  ["psignd", "0F 38 0A"],
  ["pmulhrsw", "0F 38 0B"],
  ["pabsb", "0F 38 1C"],
  ["pabsw", "0F 38 1D"],
  ["pabsd", "0F 38 1E"],
]);

export const MMX_ROWS = [
  ...mmxRows(COMMON),
  ...mmxRows(COMMON_SSSE3),
  ...rows([
    ["punpcklbw", "NP 0F 60 /r", "Pq,Qqd"],
    ["punpcklwd", "NP 0F 61 /r", "Pq,Qqd"],
    ["punpckldq", "NP 0F 62 /r", "Pq,Qqd"],
    ["movq", "NP 0F 6F /r", "Pq,Qq"],
    ["movq", "NP 0F 7F /r", "Qq,Pq"],
    ["movd", "NP 0F 6E /r w0", "Pq,Ed"],
    ["movq", "NP 0F 6E /r w1", "Pq,Eq"],
    ["movd", "NP 0F 7E /r w0", "Ed,Pq"],
    ["movq", "NP 0F 7E /r w1", "Eq,Pq"],
    ["movntq", "NP 0F E7 /r", "Mq,Pq"],
    ["maskmovq", "NP 0F F7 /r", "Pq,Nq"],
    ["pmovmskb", "NP 0F D7 /r", "Gd,Nq"],
    ["pinsrw", "NP 0F C4 /r", "Pq,Edw,ub"],
    ["pextrw", "NP 0F C5 /r", "Gd,Nq,ub"],
    ["pshufw", "NP 0F 70 /r", "Pq,Qq,ub"],
    ["palignr", "NP 0F 3A 0F /r", "Pq,Qq,ub"],
    ["psrlw", "NP 0F 71 /2", "Nq,ub"],
    ["psraw", "NP 0F 71 /4", "Nq,ub"],
    ["psllw", "NP 0F 71 /6", "Nq,ub"],
    ["psrld", "NP 0F 72 /2", "Nq,ub"],
    ["psrad", "NP 0F 72 /4", "Nq,ub"],
    ["pslld", "NP 0F 72 /6", "Nq,ub"],
    ["psrlq", "NP 0F 73 /2", "Nq,ub"],
    ["psllq", "NP 0F 73 /6", "Nq,ub"],
    ["emms", "NP 0F 77", ""],
  ]),
];

/** SSE2's integer vectors. */
export const SSE2_INTEGER_ROWS = [
  ...xmmRows(COMMON),
  ...rows([
    ["punpcklbw", "66 0F 60 /r", "Vx,Wx"],
    ["punpcklwd", "66 0F 61 /r", "Vx,Wx"],
    ["punpckldq", "66 0F 62 /r", "Vx,Wx"],
    ["punpcklqdq", "66 0F 6C /r", "Vx,Wx"],
    ["punpckhqdq", "66 0F 6D /r", "Vx,Wx"],
    ["movdqa", "66 0F 6F /r", "Vx,Wx"],
    ["movdqa", "66 0F 7F /r", "Wx,Vx"],
    ["movdqu", "F3 0F 6F /r", "Vx,Wx"],
    ["movdqu", "F3 0F 7F /r", "Wx,Vx"],
    ["movq", "F3 0F 7E /r", "Vq,Wq"],
    ["movq", "66 0F D6 /r", "Wq,Vq"],
    ["movd", "66 0F 6E /r w0", "Vx,Ed"],
    ["movq", "66 0F 6E /r w1", "Vx,Eq"],
    ["movd", "66 0F 7E /r w0", "Ed,Vx"],
    ["movq", "66 0F 7E /r w1", "Eq,Vx"],
    ["movq2dq", "F3 0F D6 /r", "Vx,Nq"],
    ["movdq2q", "F2 0F D6 /r", "Pq,Uq"],
    ["movntdq", "66 0F E7 /r", "Mx,Vx"],
    ["maskmovdqu", "66 0F F7 /r", "Vx,Ux"],
    ["pmovmskb", "66 0F D7 /r", "Gd,Ux"],
    ["pinsrw", "66 0F C4 /r", "Vx,Edw,ub"],
    ["pextrw", "66 0F C5 /r", "Gd,Ux,ub"],
    ["pshufd", "66 0F 70 /r", "Vx,Wx,ub"],
    ["pshufhw", "F3 0F 70 /r", "Vx,Wx,ub"],
    ["pshuflw", "F2 0F 70 /r", "Vx,Wx,ub"],
    ["psrlw", "66 0F 71 /2", "Ux,ub"],
    ["psraw", "66 0F 71 /4", "Ux,ub"],
    ["psllw", "66 0F 71 /6", "Ux,ub"],
    ["psrld", "66 0F 72 /2", "Ux,ub"],
    ["psrad", "66 0F 72 /4", "Ux,ub"],
    ["pslld", "66 0F 72 /6", "Ux,ub"],
    ["psrlq", "66 0F 73 /2", "Ux,ub"],
    ["psrldq", "66 0F 73 /3", "Ux,ub"],
    ["psllq", "66 0F 73 /6", "Ux,ub"],
    ["pslldq", "66 0F 73 /7", "Ux,ub"],
  ]),
];

export const SSSE3_ROWS = [...xmmRows(COMMON_SSSE3), ...rows([["palignr", "66 0F 3A 0F /r", "Vx,Wx,ub"]])];

export const SSE41_INTEGER_ROWS = [
  ...xmmRows(
    packed([
      ["ptest", "0F 38 17"],
      ["pmuldq", "0F 38 28"],
      ["pcmpeqq", "0F 38 29"],
      ["packusdw", "0F 38 2B"],
      ["pminsb", "0F 38 38"],
      ["pminsd", "0F 38 39"],
      ["pminuw", "0F 38 3A"],
      ["pminud", "0F 38 3B"],
      ["pmaxsb", "0F 38 3C"],
      ["pmaxsd", "0F 38 3D"],
      ["pmaxuw", "0F 38 3E"],
      ["pmaxud", "0F 38 3F"],
      ["pmulld", "0F 38 40"],
      ["phminposuw", "0F 38 41"],
    ]),
  ),
  ...rows([
    ["pblendvb", "66 0F 38 10 /r", "Vx,Wx,XMM0"],
    ["pmovsxbw", "66 0F 38 20 /r", "Vx,Wq"],
    ["pmovsxbd", "66 0F 38 21 /r", "Vx,Wd"],
    ["pmovsxbq", "66 0F 38 22 /r", "Vx,Ww"],
    ["pmovsxwd", "66 0F 38 23 /r", "Vx,Wq"],
    ["pmovsxwq", "66 0F 38 24 /r", "Vx,Wd"],
    ["pmovsxdq", "66 0F 38 25 /r", "Vx,Wq"],
    ["movntdqa", "66 0F 38 2A /r", "Vx,Mx"],
    ["pmovzxbw", "66 0F 38 30 /r", "Vx,Wq"],
    ["pmovzxbd", "66 0F 38 31 /r", "Vx,Wd"],
    ["pmovzxbq", "66 0F 38 32 /r", "Vx,Ww"],
    ["pmovzxwd", "66 0F 38 33 /r", "Vx,Wq"],
    ["pmovzxwq", "66 0F 38 34 /r", "Vx,Wd"],
    ["pmovzxdq", "66 0F 38 35 /r", "Vx,Wq"],
    ["pblendw", "66 0F 3A 0E /r", "Vx,Wx,ub"],
    ["pextrb", "66 0F 3A 14 /r", "Edb,Vx,ub"],
    ["pextrw", "66 0F 3A 15 /r", "Edw,Vx,ub"],
    ["pextrd", "66 0F 3A 16 /r w0", "Ed,Vx,ub"],
    ["pextrq", "66 0F 3A 16 /r w1", "Eq,Vx,ub"],
    ["pinsrb", "66 0F 3A 20 /r", "Vx,Edb,ub"],
    ["pinsrd", "66 0F 3A 22 /r w0", "Vx,Ed,ub"],
    ["pinsrq", "66 0F 3A 22 /r w1", "Vx,Eq,ub"],
    ["mpsadbw", "66 0F 3A 42 /r", "Vx,Wx,ub"],
  ]),
];

export const SSE42_ROWS = rows([
  ["pcmpgtq", "66 0F 38 37 /r", "Vx,Wx"],
  ["pcmpestrm", "66 0F 3A 60 /r", "Vx,Wx,ub"],
  ["pcmpestri", "66 0F 3A 61 /r", "Vx,Wx,ub"],
  ["pcmpistrm", "66 0F 3A 62 /r", "Vx,Wx,ub"],
  ["pcmpistri", "66 0F 3A 63 /r", "Vx,Wx,ub"],
]);
