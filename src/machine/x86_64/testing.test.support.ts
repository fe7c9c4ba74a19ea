/**
 * For tests: a machine in 64-bit mode with a program in it, run to its end on either tier.
 *
 *     0x1000 page tables   0x5000 GDT   0x6000 IDT   0x7000 TSS   0x9000 handlers   0x10000 program
 *     stacks, downwards: 0x80000 kernel, 0x90000 ist1, 0xa0000 rsp0, 0xb0000 user
 *     0x200000-0x3fffff: 4-KiB pages, which tests may change by `setPage`
 *     0x400000-0x5fffff: the first 2 MiB again, for the supervisor alone: where tables and its stacks are used
 *
 * All other pages can be used at every privilege. An exception or interrupt without a handler of the program's (`catch_N`) is
 * noted, and ends the run.
 */
import { assemble } from "../../isa/x86_64/assembler.ts";
import { PTE } from "../../isa/x86_64/paging.ts";
import { CR0, CR4, EFER, GPR, SEGMENT } from "../../isa/x86_64/registers.ts";
import { createMachine } from "../create-machine.ts";
import type { Machine, MachineOptions, TrapEvent } from "../machine.ts";
import { x86Processor } from "./engine.ts";
import type { X86Hart } from "./hart.ts";

/** The joined interpreter, the plain one, the exact tier. */
export const TIERS = ["run", "plain", "step"] as const;
export type TestTier = (typeof TIERS)[number];

const PML4 = 0x1000;
const PDPT = 0x2000;
const PD = 0x3000;
const PT = 0x4000;
const GDT = 0x5000;
const IDT = 0x6000;
export const TSS = 0x7000;
/** Where vectors without a handler go. */
export const HANDLERS = 0x9000;
export const PROGRAM = 0x10000;
/** The first 2 MiB as only the supervisor sees them. */
export const SUPERVISOR_ALIAS = 0x40_0000;
export const STACK = {
  kernel: SUPERVISOR_ALIAS + 0x80000,
  ist1: SUPERVISOR_ALIAS + 0x90000,
  rsp0: SUPERVISOR_ALIAS + 0xa0000,
  user: 0xb0000,
} as const;
/** The first page that `setPage` changes. */
export const PAGES = 0x20_0000;

/** Selectors. sysret's are where it wants them: 32-bit code, data, 64-bit code. */
export const SELECTORS = {
  code: 0x08,
  data: 0x10,
  userCode32: 0x18 | 3,
  userData: 0x20 | 3,
  userCode: 0x28 | 3,
  code32: 0x30,
  task: 0x38,
  /** 16 bytes that tests may fill: a call gate, an LDT. */
  spare: 0x48,
  absent: 0x58,
  readOnly: 0x60,
} as const;

const DESCRIPTORS: readonly (readonly [selector: number, lo: number, hi: number])[] = [
  [SELECTORS.code, 0, 0x0020_9b00],
  [SELECTORS.data, 0xffff, 0x00cf_9300],
  [SELECTORS.userCode32 & ~3, 0xffff, 0x00cf_fb00],
  [SELECTORS.userData & ~3, 0xffff, 0x00cf_f300],
  [SELECTORS.userCode & ~3, 0, 0x0020_fb00],
  [SELECTORS.code32, 0xffff, 0x00cf_9b00],
  [SELECTORS.task, (TSS << 16) | 0x1067, 0x0000_8900],
  [SELECTORS.absent, 0xffff, 0x00cf_1300],
  [SELECTORS.readOnly, 0xffff, 0x00cf_9100],
];

/** Names that every program can use. */
const NAMES = `
        .set   CODE, ${SELECTORS.code}
        .set   DATA, ${SELECTORS.data}
        .set   USER_CODE32, ${SELECTORS.userCode32}
        .set   USER_DATA, ${SELECTORS.userData}
        .set   USER_CODE, ${SELECTORS.userCode}
        .set   CODE32, ${SELECTORS.code32}
        .set   TASK, ${SELECTORS.task}
        .set   SPARE, ${SELECTORS.spare}
        .set   ABSENT, ${SELECTORS.absent}
        .set   READ_ONLY, ${SELECTORS.readOnly}
        .set   PAGES, ${PAGES}
`;

/** … and routines: `user` goes on at rsi with CPL 3. */
const EPILOGUE = `
        .code64
stop:   cli
        hlt
        jmp    stop
user:   push   USER_DATA
        push   ${STACK.user}
        push   2
        push   USER_CODE
        push   rsi
        iretq
`;

export interface Bench {
  readonly machine: Machine<X86Hart>;
  readonly hart: X86Hart;
  /** What was taken, in order. */
  readonly traps: TrapEvent[];
  /** Runs until the program halts, or so many instructions. */
  finish(instructions?: number): void;
  symbol(name: string): number;
  gpr(name: keyof typeof GPR): number;
  /** 64 bits of memory, as a number; the address may be one of the alias. */
  quad(address: number): number;
  /** The entry of a page from PAGES on: where it leads, and its flags (all that there are, by default). */
  setPage(page: number, physical: number, flags?: number, flagsHi?: number): void;
  pageEntry(page: number): number;
  /** A gate: interrupt gate, DPL 0, no IST, unless the second word says otherwise. */
  setGate(vector: number, handler: number, high?: number): void;
}

const ALL = PTE.P | PTE.W | PTE.U;
const INTERRUPT_GATE = 0x8e00;

export function bench(
  tier: TestTier,
  source: string,
  start: keyof typeof STACK = "kernel",
  options: Partial<MachineOptions> = {},
): Bench {
  const machine = createMachine({
    ...options,
    processor: x86Processor,
    ramBase: 0,
    ramSize: 4 << 20,
    harts: 1,
    tier: tier === "step" ? "step" : "run",
    joinAfter: tier === "plain" ? Infinity : 0,
  });
  const { memory } = machine;
  const program = assemble(`${NAMES}main:\n${source}\n${EPILOGUE}`, { base: PROGRAM });
  memory.write(program.base, program.bytes);
  const write64 = (address: number, lo: number, hi = 0): void => {
    memory.write32(address, lo);
    memory.write32(address + 4, hi);
  };
  write64(PML4, PDPT | ALL);
  write64(PDPT, PD | ALL);
  write64(PD, ALL | PTE.PS);
  write64(PD + 8, PT | ALL);
  write64(PD + 16, PTE.P | PTE.W | PTE.PS);
  const setPage = (page: number, physical: number, flags: number = ALL, flagsHi = 0): void =>
    write64(PT + ((page - PAGES) / 4096) * 8, physical | flags, flagsHi);
  for (let page = PAGES; page < 2 * PAGES; page += 4096) setPage(page, page);
  for (const [selector, lo, hi] of DESCRIPTORS) write64(GDT + selector, lo, hi);
  write64(TSS + 4, STACK.rsp0);
  write64(TSS + 36, STACK.ist1);
  // There is no I/O bitmap: it begins beyond the limit.
  memory.write16(TSS + 102, 0x2000);
  const setGate = (vector: number, handler: number, high = INTERRUPT_GATE): void => {
    write64(IDT + vector * 16, (SELECTORS.code << 16) | (handler & 0xffff), (handler & 0xffff0000) | high);
    write64(IDT + vector * 16 + 8, 0);
  };
  for (let vector = 0; vector < 256; vector++) {
    setGate(vector, program.symbols.get(`catch_${vector}`) ?? HANDLERS);
  }
  memory.write8(HANDLERS, 0xf4);
  const [hart] = machine.harts;
  if (hart === undefined) throw new Error("no hart");
  hart.setSystemRegister("cr4", CR4.PAE | CR4.OSFXSR | CR4.OSXMMEXCPT | CR4.FSGSBASE | CR4.OSXSAVE, 0);
  hart.setSystemRegister("cr3", PML4, 0);
  hart.setSystemRegister("efer", EFER.LME | EFER.SCE | EFER.NXE, 0);
  hart.setSystemRegister("cr0", CR0.PE | CR0.PG | CR0.WP | CR0.NE, 0);
  hart.setSystemRegister("gdtrBase", SUPERVISOR_ALIAS + GDT, 0);
  hart.setSystemRegister("gdtrLimit", 0x6f, 0);
  hart.setSystemRegister("idtrBase", SUPERVISOR_ALIAS + IDT, 0);
  hart.setSystemRegister("idtrLimit", 0xfff, 0);
  const base = { hi: 0, lo: 0 };
  hart.setSegment(SEGMENT.cs, { selector: SELECTORS.code, base, limit: 0, attributes: 0x209b });
  hart.setSegment(SEGMENT.ss, { selector: SELECTORS.data, base, limit: 0xffffffff, attributes: 0xc093 });
  hart.setSegment(7, {
    selector: SELECTORS.task,
    base: { hi: 0, lo: SUPERVISOR_ALIAS + TSS },
    limit: 0x1067,
    attributes: 0x8b,
  });
  hart.setGprNumber(GPR.rsp, STACK[start]);
  hart.setPc(PROGRAM);
  const traps: TrapEvent[] = [];
  machine.probes.trap = (_, trap) => void traps.push(trap);
  const symbol = (name: string): number => {
    const address = program.symbols.get(name);
    if (address === undefined) throw new Error(`no symbol ${name}`);
    return address;
  };
  return {
    machine,
    hart,
    traps,
    finish: (instructions = 100_000) => void machine.run({ instructions }),
    symbol,
    gpr: (name) => hart.gpr(GPR[name]),
    quad: (address) => {
      const physical = address % SUPERVISOR_ALIAS;
      return memory.read32(physical + 4) * 2 ** 32 + (memory.read32(physical) >>> 0);
    },
    setPage,
    pageEntry: (page) => memory.read32(PT + ((page - PAGES) / 4096) * 8),
    setGate,
  };
}
