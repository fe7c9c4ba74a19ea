// The ELF64 file format (System V gABI, chapters 4 and 5): the numbers and offsets that a loader needs.

export const ELF_MAGIC = [0x7f, 0x45, 0x4c, 0x46] as const;
export const ELFCLASS32 = 1;
export const ELFCLASS64 = 2;
export const ELFDATA2LSB = 1;
export const ELFDATA2MSB = 2;
export const EV_CURRENT = 1;

export const ET_EXEC = 2;
export const ET_DYN = 3;

export const PT_NULL = 0;
export const PT_LOAD = 1;
export const PT_DYNAMIC = 2;
export const PT_INTERP = 3;
export const PT_NOTE = 4;
export const PT_PHDR = 6;
export const PT_TLS = 7;
export const PT_GNU_STACK = 0x6474_e551;
export const PT_GNU_RELRO = 0x6474_e552;
export const PT_RISCV_ATTRIBUTES = 0x7000_0003;

export const PF_X = 1;
export const PF_W = 2;
export const PF_R = 4;

export const EHDR_SIZE = 64;
export const PHDR_SIZE = 56;

/** Machines that a report may have to name. */
export const ELF_MACHINES: ReadonlyMap<number, string> = new Map([
  [2, "SPARC"],
  [3, "x86 (32-bit)"],
  [8, "MIPS"],
  [20, "PowerPC"],
  [21, "PowerPC 64"],
  [22, "S/390"],
  [40, "ARM (32-bit)"],
  [42, "SuperH"],
  [43, "SPARC v9"],
  [50, "IA-64"],
  [62, "x86-64"],
  [183, "AArch64"],
  [243, "RISC-V"],
  [247, "BPF"],
  [258, "LoongArch"],
]);
export const EM_X86_64 = 62;
export const EM_RISCV = 243;
