// The instruction table of x86-64: one row for each encoding, from which decoder, assembler and disassembler are driven.
//
//     { mnemonic: "add", encoding: "00 /r", operands: "Eb,Gb" }
//
// An encoding is written as in the SDM: mandatory prefix (NP, 66, F3, F2), opcode bytes, then
//
//     /r        a ModRM byte with a register in its reg field          /0 … /7   a ModRM byte whose reg field is part of the opcode
//     +r        the low three bits of the opcode name a register       +cc       … name a condition (one row, sixteen opcodes: see expand)
//     m  r      after /r or /n: memory only, or register only (mod)     w0 w1     REX.W is part of the opcode
//     C0 …      a literal second byte stands for a whole ModRM byte
//     ib iw …   immediates are known from the operands
//
// Operands are in Intel's order, written as in SDM volume 2, appendix A.2: a letter for where (E ModRM.rm general register or memory, G ModRM.reg general
// register, M memory, R ModRM.rm general register, I immediate, J relative, O absolute address, Z opcode register, A far pointer, S segment, C control,
// D debug register, V xmm in reg, W xmm or memory, U xmm in rm, P mmx in reg, Q mmx or memory, N mmx in rm, X and Y string source and
// destination) and a letter for size (b 1, w 2, d 4, q 8, v 2/4/8 by operand size, z immediates of 2/4 by operand size, y 4/8, x 16, …); or a
// fixed register (AL, CL, DX, rAX, …) or 1. Flags are letters of `flags` below.
//
// Intel SDM volume 2, chapters 3 to 5 and appendix A (opcode map).
/** Opcode maps: one-byte, 0F, 0F 38, 0F 3A. */
export type OpcodeMap = "" | "0f" | "0f38" | "0f3a";
