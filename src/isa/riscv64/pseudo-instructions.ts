// Pseudo-instructions: other ways to write one instruction of the table. The assembler reads a row from left to right,
// the disassembler from right to left, taking the first that fits. `$0`, `$1`, … are the operands. A row that only puts
// operands in another order (`bgt`) is for the assembler alone.
//
// RISC-V unprivileged ISA, chapter "RISC-V Assembly Programmer's Handbook", tables of pseudo-instructions. Those that may
// become several instructions (li, la, call, tail) are in assemble-instruction.ts; `li` is here for its one-instruction form.

/** A pseudo-instruction with its operands, and what it stands for. */
export type PseudoInstruction = readonly [pseudo: string, instruction: string];

export const PSEUDO_INSTRUCTIONS: readonly PseudoInstruction[] = [
  ["nop", "addi zero, zero, 0"],
  ["li $0, $1", "addi $0, zero, $1"],
  ["mv $0, $1", "addi $0, $1, 0"],
  ["not $0, $1", "xori $0, $1, -1"],
  ["neg $0, $1", "sub $0, zero, $1"],
  ["negw $0, $1", "subw $0, zero, $1"],
  ["sext.w $0, $1", "addiw $0, $1, 0"],
  ["zext.b $0, $1", "andi $0, $1, 255"],
  ["zext.w $0, $1", "add.uw $0, $1, zero"],
  ["seqz $0, $1", "sltiu $0, $1, 1"],
  ["snez $0, $1", "sltu $0, zero, $1"],
  ["sltz $0, $1", "slt $0, $1, zero"],
  ["sgtz $0, $1", "slt $0, zero, $1"],
  ["sgt $0, $1, $2", "slt $0, $2, $1"],
  ["sgtu $0, $1, $2", "sltu $0, $2, $1"],
  // Branches and jumps
  ["beqz $0, $1", "beq $0, zero, $1"],
  ["bnez $0, $1", "bne $0, zero, $1"],
  ["blez $0, $1", "bge zero, $0, $1"],
  ["bgez $0, $1", "bge $0, zero, $1"],
  ["bltz $0, $1", "blt $0, zero, $1"],
  ["bgtz $0, $1", "blt zero, $0, $1"],
  ["bgt $0, $1, $2", "blt $1, $0, $2"],
  ["ble $0, $1, $2", "bge $1, $0, $2"],
  ["bgtu $0, $1, $2", "bltu $1, $0, $2"],
  ["bleu $0, $1, $2", "bgeu $1, $0, $2"],
  ["j $0", "jal zero, $0"],
  ["jal $0", "jal ra, $0"],
  ["ret", "jalr zero, 0(ra)"],
  ["jr $0", "jalr zero, 0($0)"],
  ["jalr $0", "jalr ra, 0($0)"],
  // System
  ["rdcycle $0", "csrrs $0, cycle, zero"],
  ["rdtime $0", "csrrs $0, time, zero"],
  ["rdinstret $0", "csrrs $0, instret, zero"],
  ["frcsr $0", "csrrs $0, fcsr, zero"],
  ["fscsr $0", "csrrw zero, fcsr, $0"],
  ["fscsr $0, $1", "csrrw $0, fcsr, $1"],
  ["frrm $0", "csrrs $0, frm, zero"],
  ["fsrm $0", "csrrw zero, frm, $0"],
  ["fsrm $0, $1", "csrrw $0, frm, $1"],
  ["fsrmi $0", "csrrwi zero, frm, $0"],
  ["fsrmi $0, $1", "csrrwi $0, frm, $1"],
  ["frflags $0", "csrrs $0, fflags, zero"],
  ["fsflags $0", "csrrw zero, fflags, $0"],
  ["fsflags $0, $1", "csrrw $0, fflags, $1"],
  ["fsflagsi $0", "csrrwi zero, fflags, $0"],
  ["fsflagsi $0, $1", "csrrwi $0, fflags, $1"],
  ["unimp", "csrrw zero, cycle, zero"],
  ["csrr $0, $1", "csrrs $0, $1, zero"],
  ["csrw $0, $1", "csrrw zero, $0, $1"],
  ["csrs $0, $1", "csrrs zero, $0, $1"],
  ["csrc $0, $1", "csrrc zero, $0, $1"],
  ["csrwi $0, $1", "csrrwi zero, $0, $1"],
  ["csrsi $0, $1", "csrrsi zero, $0, $1"],
  ["csrci $0, $1", "csrrci zero, $0, $1"],
  ["fence", "fence iorw, iorw"],
  ["pause", "fence w, 0"],
  ["sfence.vma", "sfence.vma zero, zero"],
  ["sfence.vma $0", "sfence.vma $0, zero"],
  // Floating point
  ["fmv.s $0, $1", "fsgnj.s $0, $1, $1"],
  ["fneg.s $0, $1", "fsgnjn.s $0, $1, $1"],
  ["fabs.s $0, $1", "fsgnjx.s $0, $1, $1"],
  ["fgt.s $0, $1, $2", "flt.s $0, $2, $1"],
  ["fge.s $0, $1, $2", "fle.s $0, $2, $1"],
  ["fmv.d $0, $1", "fsgnj.d $0, $1, $1"],
  ["fneg.d $0, $1", "fsgnjn.d $0, $1, $1"],
  ["fabs.d $0, $1", "fsgnjx.d $0, $1, $1"],
  ["fgt.d $0, $1, $2", "flt.d $0, $2, $1"],
  ["fge.d $0, $1, $2", "fle.d $0, $2, $1"],
];

/** Splits `"bgt $0, $1"` into its mnemonic and its operands. */
export function splitTemplate(template: string): { mnemonic: string; operands: string[] } {
  const [mnemonic = "", ...rest] = template.split(" ");
  const operands = rest.join(" ");
  return { mnemonic, operands: operands === "" ? [] : operands.split(", ") };
}
