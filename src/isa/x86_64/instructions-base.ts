// Rows of the instruction table: what works on general registers, memory and flags alone. The format is in
// instruction-rows.ts.
//
// Rows that the assembler prefers come first: for `add eax, 1` 83 /0 before 05 before 81 /0.
//
// Intel SDM volume 2, chapters 3 to 5.

import { type Row, rows } from "./instruction-rows.ts";

const ARITHMETIC = ["add", "or", "adc", "sbb", "and", "sub", "xor", "cmp"] as const;

/** The eight operations of two operands, at eight opcodes each. */
const ARITHMETIC_ROWS = ARITHMETIC.flatMap((mnemonic, n): Row<(typeof ARITHMETIC)[number]>[] => {
  const lock = mnemonic === "cmp" ? undefined : "lock";
  return [
    [mnemonic, `83 /${n}`, "Ev,Ib", lock],
    [mnemonic, opcode(n * 8 + 4), "AL,Ib"],
    [mnemonic, opcode(n * 8 + 5), "rAX,Iz"],
    [mnemonic, `80 /${n}`, "Eb,Ib", lock],
    [mnemonic, `81 /${n}`, "Ev,Iz", lock],
    [mnemonic, `82 /${n}`, "Eb,Ib", lock === undefined ? "i64 alias" : "i64 alias lock"],
    [mnemonic, `${opcode(n * 8)} /r`, "Eb,Gb", lock],
    [mnemonic, `${opcode(n * 8 + 1)} /r`, "Ev,Gv", lock],
    [mnemonic, `${opcode(n * 8 + 2)} /r`, "Gb,Eb"],
    [mnemonic, `${opcode(n * 8 + 3)} /r`, "Gv,Ev"],
  ];
});

const SHIFTS = ["rol", "ror", "rcl", "rcr", "shl", "shr", "shl", "sar"] as const;
const SHIFT_ALIAS = 6;

const SHIFT_ROWS = SHIFTS.flatMap((mnemonic, n): Row<(typeof SHIFTS)[number]>[] => {
  const attributes = n === SHIFT_ALIAS ? "alias" : undefined;
  return [
    [mnemonic, `D0 /${n}`, "Eb,1", attributes],
    [mnemonic, `D1 /${n}`, "Ev,1", attributes],
    [mnemonic, `C0 /${n}`, "Eb,ub", attributes],
    [mnemonic, `C1 /${n}`, "Ev,ub", attributes],
    [mnemonic, `D2 /${n}`, "Eb,CL", attributes],
    [mnemonic, `D3 /${n}`, "Ev,CL", attributes],
  ];
});

function opcode(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}

export const BASE_ROWS = [
  ...ARITHMETIC_ROWS,
  ...SHIFT_ROWS,
  ...rows([
    // One operand
    ["inc", "40+r", "Zv", "i64"],
    ["dec", "48+r", "Zv", "i64"],
    ["inc", "FE /0", "Eb", "lock"],
    ["inc", "FF /0", "Ev", "lock"],
    ["dec", "FE /1", "Eb", "lock"],
    ["dec", "FF /1", "Ev", "lock"],
    ["not", "F6 /2", "Eb", "lock"],
    ["not", "F7 /2", "Ev", "lock"],
    ["neg", "F6 /3", "Eb", "lock"],
    ["neg", "F7 /3", "Ev", "lock"],
    ["mul", "F6 /4", "Eb"],
    ["mul", "F7 /4", "Ev"],
    ["imul", "F6 /5", "Eb"],
    ["imul", "F7 /5", "Ev"],
    ["div", "F6 /6", "Eb"],
    ["div", "F7 /6", "Ev"],
    ["idiv", "F6 /7", "Eb"],
    ["idiv", "F7 /7", "Ev"],
    ["imul", "0F AF /r", "Gv,Ev"],
    ["imul", "6B /r", "Gv,Ev,Ib"],
    ["imul", "69 /r", "Gv,Ev,Iz"],
    // Moves
    ["mov", "88 /r", "Eb,Gb"],
    ["mov", "89 /r", "Ev,Gv"],
    ["mov", "8A /r", "Gb,Eb"],
    ["mov", "8B /r", "Gv,Ev"],
    ["mov", "A0", "AL,Ob"],
    ["mov", "A1", "rAX,Ov"],
    ["mov", "A2", "Ob,AL"],
    ["mov", "A3", "Ov,rAX"],
    ["mov", "B0+r", "Zb,Ib"],
    ["mov", "B8+r", "Zv,Iv"],
    ["mov", "C6 /0", "Eb,Ib"],
    ["mov", "C7 /0", "Ev,Iz"],
    ["movzx", "0F B6 /r", "Gv,Eb"],
    ["movzx", "0F B7 /r", "Gv,Ew"],
    ["movsx", "0F BE /r", "Gv,Eb"],
    ["movsx", "0F BF /r", "Gv,Ew"],
    ["movsxd", "63 /r", "Gv,Ez", "o64"],
    ["movnti", "NP 0F C3 /r", "My,Gy"],
    ["lea", "8D /r", "Gv,M"],
    ["xlat", "D7", ""],
    ["cmovcc", "0F 40+cc /r", "Gv,Ev"],
    ["setcc", "0F 90+cc /r", "Eb"],
    ["bswap", "0F C8+r", "Zv"],
    // Exchanges
    ["pause", "F3 90 b0", ""],
    ["nop", "90 b0", ""],
    ["xchg", "90+r", "Zv,rAX"],
    ["xchg", "86 /r", "Eb,Gb", "lock"],
    ["xchg", "87 /r", "Ev,Gv", "lock"],
    ["xadd", "0F C0 /r", "Eb,Gb", "lock"],
    ["xadd", "0F C1 /r", "Ev,Gv", "lock"],
    ["cmpxchg", "0F B0 /r", "Eb,Gb", "lock"],
    ["cmpxchg", "0F B1 /r", "Ev,Gv", "lock"],
    ["cmpxchg8b", "0F C7 /1 w0", "Mq", "lock"],
    ["cmpxchg16b", "0F C7 /1 w1", "Mx", "lock"],
    // Bits
    ["test", "A8", "AL,Ib"],
    ["test", "A9", "rAX,Iz"],
    ["test", "F6 /0", "Eb,Ib"],
    ["test", "F7 /0", "Ev,Iz"],
    ["test", "F6 /1", "Eb,Ib", "alias"],
    ["test", "F7 /1", "Ev,Iz", "alias"],
    ["test", "84 /r", "Eb,Gb"],
    ["test", "85 /r", "Ev,Gv"],
    ["bt", "0F BA /4", "Ev,ub"],
    ["bts", "0F BA /5", "Ev,ub", "lock"],
    ["btr", "0F BA /6", "Ev,ub", "lock"],
    ["btc", "0F BA /7", "Ev,ub", "lock"],
    ["bt", "0F A3 /r", "Ev,Gv"],
    ["bts", "0F AB /r", "Ev,Gv", "lock"],
    ["btr", "0F B3 /r", "Ev,Gv", "lock"],
    ["btc", "0F BB /r", "Ev,Gv", "lock"],
    ["bsf", "0F BC /r", "Gv,Ev"],
    ["bsr", "0F BD /r", "Gv,Ev"],
    ["popcnt", "F3 0F B8 /r", "Gv,Ev"],
    ["crc32", "F2 0F 38 F0 /r", "Gy,Eb"],
    ["crc32", "F2 0F 38 F1 /r", "Gy,Ev"],
    ["shld", "0F A4 /r", "Ev,Gv,ub"],
    ["shld", "0F A5 /r", "Ev,Gv,CL"],
    ["shrd", "0F AC /r", "Ev,Gv,ub"],
    ["shrd", "0F AD /r", "Ev,Gv,CL"],
    // Sign extension in rax: cbw, cwde, cdqe; and into rdx: cwd, cdq, cqo
    ["cbw", "98", ""],
    ["cwd", "99", ""],
    // Flags
    ["lahf", "9F", ""],
    ["sahf", "9E", ""],
    ["cmc", "F5", ""],
    ["clc", "F8", ""],
    ["stc", "F9", ""],
    ["cld", "FC", ""],
    ["std", "FD", ""],
    // Stack
    ["push", "50+r", "Zv", "d64"],
    ["pop", "58+r", "Zv", "d64"],
    ["push", "6A", "Ib", "d64"],
    ["push", "68", "Iz", "d64"],
    ["push", "FF /6", "Ev", "d64"],
    ["pop", "8F /0", "Ev", "d64"],
    ["enter", "C8", "uw,ub", "d64"],
    ["leave", "C9", "", "d64"],
    // Control transfers
    ["jmp", "EB", "Jb", "f64"],
    ["jmp", "E9", "Jz", "f64"],
    ["jmp", "FF /4", "Ev", "f64"],
    ["jcc", "70+cc", "Jb", "f64"],
    ["jcc", "0F 80+cc", "Jz", "f64"],
    ["loopne", "E0", "Jb", "f64"],
    ["loope", "E1", "Jb", "f64"],
    ["loop", "E2", "Jb", "f64"],
    ["jcxz", "E3", "Jb", "f64"],
    ["call", "E8", "Jz", "f64"],
    ["call", "FF /2", "Ev", "f64"],
    ["ret", "C3", "", "f64"],
    ["ret", "C2", "uw", "f64"],
    // Hints: what no processor of this level acts on. 0F 0D and 0F 18 to 0F 1F are set aside for them.
    ["prefetchw", "0F 0D /1 m", "Mb"],
    ["nop", "0F 0D /r m", "Ev", "alias"],
    ["prefetchnta", "0F 18 /0", "Mb"],
    ["prefetcht0", "0F 18 /1", "Mb"],
    ["prefetcht1", "0F 18 /2", "Mb"],
    ["prefetcht2", "0F 18 /3", "Mb"],
    ["endbr64", "F3 0F 1E FA", ""],
    ["endbr32", "F3 0F 1E FB", ""],
    ["nop", "0F 1F /0", "Ev"],
    ["nop", "0F 18 /r", "Ev", "alias"],
    ["nop", "0F 19 /r", "Ev", "alias"],
    ["nop", "0F 1A /r", "Ev", "alias"],
    ["nop", "0F 1B /r", "Ev", "alias"],
    ["nop", "0F 1C /r", "Ev", "alias"],
    ["nop", "0F 1D /r", "Ev", "alias"],
    ["nop", "0F 1E /r", "Ev", "alias"],
    ["nop", "0F 1F /r", "Ev", "alias"],
    ["lfence", "NP 0F AE /5 r", ""],
    ["mfence", "NP 0F AE /6 r", ""],
    ["sfence", "NP 0F AE /7 r", ""],
    ["clflush", "NP 0F AE /7", "Mb"],
  ]),
];

/** String instructions; their names say no size (`movs`, not `movsb`), so that SSE has `movsd` and `cmpsd` for itself. */
export const STRING_ROWS = rows([
  ["movs", "A4", "Yb,Xb", "rep"],
  ["movs", "A5", "Yv,Xv", "rep"],
  ["cmps", "A6", "Xb,Yb", "repe"],
  ["cmps", "A7", "Xv,Yv", "repe"],
  ["stos", "AA", "Yb,AL", "rep"],
  ["stos", "AB", "Yv,rAX", "rep"],
  ["lods", "AC", "AL,Xb", "rep"],
  ["lods", "AD", "rAX,Xv", "rep"],
  ["scas", "AE", "AL,Yb", "repe"],
  ["scas", "AF", "rAX,Yv", "repe"],
  ["ins", "6C", "Yb,DX", "rep"],
  ["ins", "6D", "Yz,DX", "rep"],
  ["outs", "6E", "DX,Xb", "rep"],
  ["outs", "6F", "DX,Xz", "rep"],
]);

/** What 64-bit mode has not. */
export const LEGACY_ROWS = rows([
  ["daa", "27", "", "i64"],
  ["das", "2F", "", "i64"],
  ["aaa", "37", "", "i64"],
  ["aas", "3F", "", "i64"],
  ["aam", "D4", "ub", "i64"],
  ["aad", "D5", "ub", "i64"],
  ["pusha", "60", "", "i64"],
  ["popa", "61", "", "i64"],
  ["bound", "62 /r", "Gv,Ma", "i64"],
]);
