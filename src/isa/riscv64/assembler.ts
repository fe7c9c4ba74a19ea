// The dialect of RISC-V: the kernel's boot and trampoline code, and the tests, are template strings with constants put in.
//
//         uservec:
//             csrrw  a0, sscratch, a0        # a0 = trapframe
//             sd     ra, ${TRAPFRAME.ra}(a0)
//     1:      ld     t0, 16(a0)
//             bnez   t0, 1b
//
// Understood: every instruction of the table and its pseudo-instructions; labels, local labels (`1:`, `1b`, `1f`); `#`,
// `//` and `/* */` comments; `;` between statements; and directives. A branch is never turned into a branch around a jump:
// one that does not reach is an error.

import {
  type AssembledCode,
  type AssemblerOptions,
  assembleSource,
  type Dialect,
  type DialectPass,
} from "../assembly/assembler.ts";
import { writeLittleEndian } from "../assembly/directives.ts";
import { OperandError } from "../assembly/errors.ts";
import { splitOperands } from "../assembly/source.ts";
import { assembleInstruction, type EncodedInstruction } from "./assemble-instruction.ts";

export type { AssembledCode, AssemblerOptions } from "../assembly/assembler.ts";
export { AssemblyError } from "../assembly/errors.ts";

/** Assembles a program; throws AssemblyError. */
export function assemble(source: string, options: AssemblerOptions): AssembledCode {
  return assembleSource(source, options, RISCV);
}

const RISCV: Dialect = {
  numberSizes: { ".byte": 1, ".half": 2, ".word": 4, ".dword": 8, ".quad": 8 },
  alignment: "power of two",
  beginPass,
};

function beginPass(): DialectPass {
  let compression: "rvc" | "norvc" = "norvc";
  return {
    assemble(mnemonic, operands, { address, scope, pass, previousSize }) {
      const encoded = assembleInstruction(mnemonic, splitOperands(operands), {
        address,
        scope,
        compression,
        fit: pass === "final" ? "required" : "assumed",
      });
      return padToPrevious(encoded, previousSize);
    },
    directives: {
      ".option"(operands) {
        const option = operands.trim();
        if (option !== "rvc" && option !== "norvc") throw new OperandError(`unknown option '${option}'`);
        compression = option;
      },
    },
    fillWithNops,
  };
}

/** Keeps a statement from shrinking, so that layout ends: what a longer earlier form leaves is filled with nops. */
function padToPrevious(encoded: readonly EncodedInstruction[], previousSize: number): Uint8Array {
  const size = encoded.reduce((sum, instruction) => sum + instruction.size, 0);
  const bytes = new Uint8Array(Math.max(size, previousSize));
  let at = 0;
  for (const instruction of encoded) {
    writeLittleEndian(bytes, at, BigInt(instruction.word >>> 0), instruction.size);
    at += instruction.size;
  }
  fillWithNops(bytes, at);
  return bytes;
}

const NOP = 0x00000013n;
const COMPRESSED_NOP = 0x0001n;

/** Fills from `start` to the end: zeros up to a half-word, then nops. The end is on an instruction boundary. */
function fillWithNops(bytes: Uint8Array, start: number): void {
  let at = start + ((bytes.length - start) % 2);
  if ((bytes.length - at) % 4 === 2) {
    writeLittleEndian(bytes, at, COMPRESSED_NOP, 2);
    at += 2;
  }
  for (; at < bytes.length; at += 4) writeLittleEndian(bytes, at, NOP, 4);
}
