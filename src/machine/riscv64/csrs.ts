/**
 * The control and status registers: one row for each, with what reading gives and what writing keeps.
 *
 * RISC-V privileged architecture, chapters on M- and S-mode CSRs; Sstc; unprivileged ISA for fcsr and the counters. Who may
 * access a register is decided by its number (system.ts), and by the few rows with a condition of their own.
 */
import {
  COUNTER,
  CSR,
  csrNumber,
  CSR_FAMILIES,
  ENVCFG,
  FCSR,
  INTERRUPT_BIT,
  MENVCFG_HI,
  misaBit,
  MSTATUS,
  MSTATUS_HI,
  MSTATUS_SHIFT,
  PMPADDR_HI_MASK,
  PMPCFG,
  PMP_MATCH,
  PMPCFG_A_SHIFT,
  SATP_HI_SHIFT,
  SSTATUS_MASK,
  XLEN_64,
} from "../../isa/riscv64/csrs.ts";
import { SATP_MODE } from "../../isa/riscv64/paging.ts";
import { highHalf } from "../../lib/word64.ts";
import { CELL } from "./layout.ts";
import { PMP_ENTRIES, pmpConfig } from "./pmp.ts";
import type { Registers } from "./registers.ts";
import { hasSupervisorTimer, pendingInterrupts } from "./traps.ts";

/** The hart around the registers. */
export interface CsrHart {
  readonly id: number;
  readonly registers: Registers;
  /** What changed, so that what is derived from it follows: modes of translation, PMP, the timer, satp. */
  onTranslationChanged(): void;
  onPmpChanged(): void;
  onTimerChanged(): void;
  onSatpWritten(): void;
  /** Brings mip.STIP in line with stimecmp. */
  refreshTimer(): void;
}

/** The value of the last read. */
export interface CsrValue {
  lo: number;
  hi: number;
}

export interface CsrRow {
  read(hart: CsrHart, out: CsrValue): void;
  write(hart: CsrHart, lo: number, hi: number): void;
  /** A condition for access beyond the number's privilege; without it there is none. */
  mayAccess?(hart: CsrHart): boolean;
  /** What csrrs and csrrc combine with, where that is not what they read. */
  readForUpdate?(hart: CsrHart, out: CsrValue): void;
}

const set = (out: CsrValue, lo: number, hi: number): void => {
  out.lo = lo;
  out.hi = hi;
};

const ignore = (): void => undefined;

/** A register that reads as a constant; writes do nothing. */
const constant = (lo: number, hi: number): CsrRow => ({ read: (_, out) => set(out, lo, hi), write: ignore });

/** A register that keeps the bits of the masks. */
const plain = (cell: number, maskLo: number, maskHi: number): CsrRow => ({
  read: ({ registers }, out) => set(out, registers.get(cell), registers.get(cell + 4)),
  write: ({ registers }, lo, hi) => registers.setWords(cell, lo & maskLo, hi & maskHi),
});

const MSTATUS_WRITABLE =
  MSTATUS.SIE |
  MSTATUS.MIE |
  MSTATUS.SPIE |
  MSTATUS.MPIE |
  MSTATUS.SPP |
  MSTATUS.MPP |
  MSTATUS.FS |
  MSTATUS.MPRV |
  MSTATUS.SUM |
  MSTATUS.MXR |
  MSTATUS.TVM |
  MSTATUS.TW |
  MSTATUS.TSR;

const ALL_INTERRUPTS =
  INTERRUPT_BIT.SSI | INTERRUPT_BIT.MSI | INTERRUPT_BIT.STI | INTERRUPT_BIT.MTI | INTERRUPT_BIT.SEI | INTERRUPT_BIT.MEI;
const DELEGABLE_INTERRUPTS = INTERRUPT_BIT.SSI | INTERRUPT_BIT.STI | INTERRUPT_BIT.SEI;
/** All exceptions but environment calls from M-mode (11) and the reserved codes 10 and 14. */
const DELEGABLE_EXCEPTIONS = 0xb3ff;

const UXL_64 = XLEN_64;
const SXL_64 = XLEN_64 << 2;

/** SD: bit 63 tells that some extension's state is dirty. */
const dirtySummary = (status: number): number => ((status & MSTATUS.FS) === MSTATUS.FS ? MSTATUS_HI.SD : 0);

function writeStatus(hart: CsrHart, lo: number, mask: number): void {
  const { registers } = hart;
  const old = registers.get(CELL.mstatus);
  let next = (old & ~mask) | (lo & mask);
  // MPP = 2 is no mode: the field keeps what it had.
  if (((next >>> MSTATUS_SHIFT.MPP) & 3) === 2) next = (next & ~MSTATUS.MPP) | (old & MSTATUS.MPP);
  registers.set(CELL.mstatus, next);
  registers.refreshFloat();
  hart.onTranslationChanged();
}

const vector = (cell: number): CsrRow => ({
  ...plain(cell, -1, -1),
  // Modes 2 and 3 are reserved.
  write: ({ registers }, lo, hi) => registers.setWords(cell, lo & ~2, hi),
});

/** The counters that mcountinhibit stops. While stopped the cell is the value; else it is what to add to the source. */
const counter = (cell: number, bit: number, source: (registers: Registers) => number): CsrRow => ({
  read: ({ registers }, out) => {
    const isStopped = (registers.get(CELL.mcountinhibit) & bit) !== 0;
    addTo(out, registers.get(cell), registers.get(cell + 4), isStopped ? 0 : source(registers));
  },
  write: ({ registers }, lo, hi) => {
    const isStopped = (registers.get(CELL.mcountinhibit) & bit) !== 0;
    const out = { lo: 0, hi: 0 };
    // The instruction that writes is not counted in what it wrote.
    addTo(out, lo, hi, isStopped ? 0 : -(source(registers) + 1));
    registers.setWords(cell, out.lo, out.hi);
  },
});

function addTo(out: CsrValue, lo: number, hi: number, amount: number): void {
  const sum = (lo >>> 0) + (amount - Math.floor(amount / 4294967296) * 4294967296);
  out.lo = sum | 0;
  out.hi = (hi + highHalf(amount) + (sum >= 4294967296 ? 1 : 0)) | 0;
}

const retired = (registers: Registers): number => registers.retired;
const cycles = (registers: Registers): number => registers.timeNs;

const mcycle = counter(CELL.mcycle, COUNTER.CY, cycles);
const minstret = counter(CELL.minstret, COUNTER.IR, retired);

/** A user-level view of a counter: below M-mode mcounteren must show it, and in U-mode scounteren too. */
const counterView = (bit: number, read: CsrRow["read"]): CsrRow => ({
  read,
  write: ignore,
  mayAccess: ({ registers }) =>
    registers.privilege === 3 ||
    ((registers.get(CELL.mcounteren) & bit) !== 0 &&
      (registers.privilege === 1 || (registers.get(CELL.scounteren) & bit) !== 0)),
});

/** mtime runs at 10 MHz, and an instruction takes 1 ns. */
export const TIME_TICK_NS = 100;

const time: CsrRow["read"] = ({ registers }, out) => {
  const ticks = Math.floor(registers.timeNs / TIME_TICK_NS);
  set(out, ticks | 0, highHalf(ticks));
};

const floatRow = (
  read: (registers: Registers) => number,
  write: (registers: Registers, lo: number) => void,
): CsrRow => ({
  read: ({ registers }, out) => set(out, read(registers), 0),
  write: ({ registers }, lo) => {
    write(registers, lo);
    registers.set(CELL.mstatus, registers.get(CELL.mstatus) | MSTATUS.FS);
    registers.refreshFloat();
  },
  mayAccess: ({ registers }) => (registers.get(CELL.mstatus) & MSTATUS.FS) !== 0,
});

/** sie and sip show what mideleg delegates. */
const delegated = (registers: Registers): number => registers.get(CELL.mideleg);

function pmpcfgRow(first: number): CsrRow {
  const cell = CELL.pmpcfg + first;
  return {
    read: ({ registers }, out) => set(out, registers.get(cell), registers.get(cell + 4)),
    write: (hart, lo, hi) => {
      const { registers } = hart;
      let words = [lo, hi];
      words = words.map((word, half) => {
        let kept = 0;
        for (let i = 0; i < 4; i++) {
          const old = pmpConfig(registers, first + half * 4 + i);
          kept |= ((old & PMPCFG.L) !== 0 ? old : legalPmpConfig((word >>> (i * 8)) & 0xff)) << (i * 8);
        }
        return kept;
      });
      registers.setWords(cell, words[0] ?? 0, words[1] ?? 0);
      hart.onPmpChanged();
    },
  };
}

/** W without R is reserved, and reads back as neither. */
function legalPmpConfig(config: number): number {
  const legal = config & (PMPCFG.R | PMPCFG.W | PMPCFG.X | PMPCFG.A | PMPCFG.L);
  return (legal & (PMPCFG.R | PMPCFG.W)) === PMPCFG.W ? legal & ~PMPCFG.W : legal;
}

function pmpaddrRow(entry: number): CsrRow {
  const row = plain(CELL.pmpaddr + entry * 8, -1, PMPADDR_HI_MASK);
  return {
    ...row,
    write: (hart, lo, hi) => {
      const config = pmpConfig(hart.registers, entry);
      const next = entry + 1 < PMP_ENTRIES ? pmpConfig(hart.registers, entry + 1) : 0;
      const isNextTop = (next & PMPCFG.L) !== 0 && (next & PMPCFG.A) >> PMPCFG_A_SHIFT === PMP_MATCH.tor;
      if ((config & PMPCFG.L) !== 0 || isNextTop) return;
      row.write(hart, lo, hi);
      hart.onPmpChanged();
    },
  };
}

const rows: Partial<Record<number, CsrRow>> = {
  [CSR.fflags]: floatRow(
    (r) => r.get(CELL.fflags),
    (r, lo) => r.set(CELL.fflags, lo & FCSR.FFLAGS),
  ),
  [CSR.frm]: floatRow(
    (r) => r.get(CELL.frm),
    (r, lo) => r.set(CELL.frm, lo & 7),
  ),
  [CSR.fcsr]: floatRow(
    (r) => r.get(CELL.fflags) | (r.get(CELL.frm) << FCSR.FRM_SHIFT),
    (r, lo) => {
      r.set(CELL.fflags, lo & FCSR.FFLAGS);
      r.set(CELL.frm, (lo & FCSR.FRM) >>> FCSR.FRM_SHIFT);
    },
  ),
  [CSR.cycle]: counterView(COUNTER.CY, mcycle.read),
  [CSR.time]: counterView(COUNTER.TM, time),
  [CSR.instret]: counterView(COUNTER.IR, minstret.read),

  [CSR.sstatus]: {
    read: ({ registers }, out) => {
      const status = registers.get(CELL.mstatus);
      set(out, status & SSTATUS_MASK, UXL_64 | dirtySummary(status));
    },
    write: (hart, lo) => writeStatus(hart, lo, SSTATUS_MASK & MSTATUS_WRITABLE),
  },
  [CSR.sie]: {
    read: ({ registers }, out) => set(out, registers.get(CELL.mie) & delegated(registers), 0),
    write: ({ registers }, lo) => {
      const mask = delegated(registers);
      registers.set(CELL.mie, (registers.get(CELL.mie) & ~mask) | (lo & mask));
    },
  },
  [CSR.stvec]: vector(CELL.stvec),
  [CSR.scounteren]: plain(CELL.scounteren, COUNTER.CY | COUNTER.TM | COUNTER.IR, 0),
  [CSR.senvcfg]: plain(CELL.senvcfg, ENVCFG.FIOM, 0),
  [CSR.sscratch]: plain(CELL.sscratch, -1, -1),
  [CSR.sepc]: plain(CELL.sepc, ~1, -1),
  [CSR.scause]: plain(CELL.scause, -1, -1),
  [CSR.stval]: plain(CELL.stval, -1, -1),
  [CSR.sip]: {
    read: (hart, out) => {
      hart.refreshTimer();
      set(out, pendingInterrupts(hart.registers) & delegated(hart.registers), 0);
    },
    write: ({ registers }, lo) => {
      const mask = delegated(registers) & INTERRUPT_BIT.SSI;
      registers.set(CELL.mip, (registers.get(CELL.mip) & ~mask) | (lo & mask));
    },
  },
  [CSR.stimecmp]: {
    read: ({ registers }, out) => set(out, registers.get(CELL.stimecmp), registers.get(CELL.stimecmp + 4)),
    write: (hart, lo, hi) => {
      hart.registers.setWords(CELL.stimecmp, lo, hi);
      hart.onTimerChanged();
    },
    mayAccess: ({ registers }) =>
      registers.privilege === 3 ||
      (hasSupervisorTimer(registers) && (registers.get(CELL.mcounteren) & COUNTER.TM) !== 0),
  },
  [CSR.satp]: {
    read: ({ registers }, out) => set(out, registers.get(CELL.satp), registers.get(CELL.satp + 4)),
    write: (hart, lo, hi) => {
      const mode = hi >>> SATP_HI_SHIFT.MODE;
      // An unsupported mode: "the entire write has no effect".
      if (mode !== SATP_MODE.bare && mode !== SATP_MODE.sv39 && mode !== SATP_MODE.sv48) return;
      hart.registers.setWords(CELL.satp, lo, hi);
      hart.onTranslationChanged();
      hart.onSatpWritten();
    },
    mayAccess: ({ registers }) => registers.privilege === 3 || (registers.get(CELL.mstatus) & MSTATUS.TVM) === 0,
  },

  [CSR.mstatus]: {
    read: ({ registers }, out) => {
      const status = registers.get(CELL.mstatus);
      set(out, status, UXL_64 | SXL_64 | dirtySummary(status));
    },
    write: (hart, lo) => writeStatus(hart, lo, MSTATUS_WRITABLE),
  },
  [CSR.misa]: constant(
    [..."abcdfimsu"].reduce((bits, letter) => bits | misaBit(letter), 0),
    XLEN_64 << 30,
  ),
  [CSR.medeleg]: plain(CELL.medeleg, DELEGABLE_EXCEPTIONS, 0),
  [CSR.mideleg]: plain(CELL.mideleg, DELEGABLE_INTERRUPTS, 0),
  [CSR.mie]: plain(CELL.mie, ALL_INTERRUPTS, 0),
  [CSR.mtvec]: vector(CELL.mtvec),
  [CSR.mcounteren]: plain(CELL.mcounteren, COUNTER.CY | COUNTER.TM | COUNTER.IR, 0),
  [CSR.menvcfg]: {
    ...plain(CELL.menvcfg, ENVCFG.FIOM, MENVCFG_HI.STCE),
    write: (hart, lo, hi) => {
      hart.registers.setWords(CELL.menvcfg, lo & ENVCFG.FIOM, hi & MENVCFG_HI.STCE);
      hart.onTimerChanged();
    },
  },
  [CSR.mcountinhibit]: {
    ...plain(CELL.mcountinhibit, COUNTER.CY | COUNTER.IR, 0),
    write: (hart, lo) => {
      // Both counters keep their values across the change.
      const values = [mcycle, minstret].map((row) => {
        const out = { lo: 0, hi: 0 };
        row.read(hart, out);
        return out;
      });
      hart.registers.set(CELL.mcountinhibit, lo & (COUNTER.CY | COUNTER.IR));
      [mcycle, minstret].forEach((row, i) => row.write(hart, values[i]?.lo ?? 0, values[i]?.hi ?? 0));
    },
  },
  [CSR.mscratch]: plain(CELL.mscratch, -1, -1),
  [CSR.mepc]: plain(CELL.mepc, ~1, -1),
  [CSR.mcause]: plain(CELL.mcause, -1, -1),
  [CSR.mtval]: plain(CELL.mtval, -1, -1),
  [CSR.mip]: {
    read: (hart, out) => {
      hart.refreshTimer();
      set(out, pendingInterrupts(hart.registers), 0);
    },
    write: ({ registers }, lo) => {
      let mask = INTERRUPT_BIT.SSI | INTERRUPT_BIT.SEI;
      if (!hasSupervisorTimer(registers)) mask |= INTERRUPT_BIT.STI;
      registers.set(CELL.mip, (registers.get(CELL.mip) & ~mask) | (lo & mask));
    },
    // "Only the software-writable SEIP bit participates in the read-modify-write."
    readForUpdate: ({ registers }, out) => set(out, registers.get(CELL.mip), 0),
  },
  [CSR.mseccfg]: constant(0, 0),
  [CSR.mcycle]: mcycle,
  [CSR.minstret]: minstret,
  [CSR.mvendorid]: constant(0, 0),
  [CSR.marchid]: constant(0, 0),
  [CSR.mimpid]: constant(0, 0),
  [CSR.mhartid]: { read: ({ id }, out) => set(out, id, 0), write: ignore },
  [CSR.mconfigptr]: constant(0, 0),
  // No trigger: tselect reads as 0 whatever is written, and type 0 of tdata1 says that there is none at that index.
  [CSR.tselect]: constant(0, 0),
  [CSR.tdata1]: constant(0, 0),
  [CSR.tdata2]: constant(0, 0),
  [CSR.tdata3]: constant(0, 0),
  [CSR.tinfo]: constant(1, 0),
};

/** The event counters count nothing: "a legal implementation is to make both the counter and its selector read-only 0". */
for (const [prefix, count] of [
  ["mhpmcounter", CSR_FAMILIES.mhpmcounter],
  ["mhpmevent", CSR_FAMILIES.mhpmevent],
] as const) {
  for (let i = 3; i < 3 + count; i++) rows[csrNumber(`${prefix}${i}`) ?? 0] = constant(0, 0);
}
for (let i = 3; i < 3 + CSR_FAMILIES.hpmcounter; i++) {
  rows[csrNumber(`hpmcounter${i}`) ?? 0] = counterView((2 ** i) | 0, constant(0, 0).read);
}
for (let i = 0; i < CSR_FAMILIES.pmpaddr; i++) {
  rows[CSR.pmpaddr0 + i] = i < PMP_ENTRIES ? pmpaddrRow(i) : constant(0, 0);
}
// RV64 has only the even-numbered ones, of eight entries each.
for (let i = 0; i < CSR_FAMILIES.pmpcfg; i += 2) {
  rows[CSR.pmpcfg0 + i] = i * 4 < PMP_ENTRIES ? pmpcfgRow(i * 4) : constant(0, 0);
}

const table: readonly (CsrRow | undefined)[] = Array.from({ length: 4096 }, (_, n) => rows[n]);

/** The row of a CSR, if there is such a CSR. */
export function findCsr(n: number): CsrRow | undefined {
  return table[n];
}
