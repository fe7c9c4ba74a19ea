/**
 * Instructions on the processor as a whole: interrupts and flags, model-specific registers, the time-stamp counter, translation caches,
 * and the door to the resident kernel. Intel SDM volume 2, "Operation" of each.
 */
import type { Decoded } from "../../isa/x86_64/decode-types.ts";
import { CR3, INVPCID } from "../../isa/x86_64/paging.ts";
import { CR4, GPR, RFLAGS } from "../../isa/x86_64/registers.ts";
import { VECTOR } from "../../isa/x86_64/vectors.ts";
import { toNumber } from "../../lib/word64.ts";
import { cpuid, XCR0_BITS } from "./cpuid.ts";
import { CELL } from "./layout.ts";
import { isCanonical } from "./mmu.ts";
import { readMsr, writeMsr } from "./msrs.ts";
import type { SystemHart, SystemOutcome, SystemSemantics } from "./system.ts";
import { shadow, SHADOW } from "./system-segments.ts";

const generalProtection = (hart: SystemHart): SystemOutcome => {
  hart.access.fail(VECTOR.GP);
  return "faulted";
};

/** For CPL 0 only. */
const privileged =
  (semantics: SystemSemantics): SystemSemantics =>
  (hart, decoded) =>
    hart.registers.cpl === 0 ? semantics(hart, decoded) : generalProtection(hart);

// --- Flags ---------------------------------------------------------------------------------------------------------

/** What popf loads whatever the privilege. */
const POPPED_FLAGS =
  RFLAGS.CF | RFLAGS.PF | RFLAGS.AF | RFLAGS.ZF | RFLAGS.SF | RFLAGS.TF | RFLAGS.DF | RFLAGS.OF | RFLAGS.NT;
const POPPED_WIDE_FLAGS = RFLAGS.AC | RFLAGS.ID;

const cli: SystemSemantics = (hart) => {
  const { registers } = hart;
  if (registers.cpl > registers.iopl) return generalProtection(hart);
  registers.setFlag(RFLAGS.IF, false);
  return "done";
};

const sti: SystemSemantics = (hart) => {
  const { registers } = hart;
  if (registers.cpl > registers.iopl) return generalProtection(hart);
  if (!registers.hasFlag(RFLAGS.IF)) shadow(hart, SHADOW.START);
  registers.setFlag(RFLAGS.IF, true);
  return "done";
};

const pushf: SystemSemantics = ({ registers, operands }, { operandSize }) =>
  operands.push(operandSize, registers.rflags, 0) ? "done" : "faulted";

const popf: SystemSemantics = (hart, { operandSize }) => {
  const { registers, operands } = hart;
  if (!operands.readStack(0, operandSize)) return "faulted";
  let mask = POPPED_FLAGS;
  if (operandSize > 2) mask |= POPPED_WIDE_FLAGS;
  if (registers.cpl <= registers.iopl) mask |= RFLAGS.IF;
  if (registers.cpl === 0) mask |= RFLAGS.IOPL;
  registers.setRflags((registers.rflags & ~mask) | (operands.valueLo & mask));
  operands.moveStack(operandSize);
  hart.onModesChanged();
  return "done";
};

const setAlignment =
  (isSet: boolean): SystemSemantics =>
  (hart) => {
    if (hart.registers.cpl !== 0) return "undefined";
    hart.registers.setFlag(RFLAGS.AC, isSet);
    hart.onModesChanged();
    return "done";
  };

const hlt = privileged(({ registers }) => {
  registers.set(CELL.waiting, 1);
  return "done";
});

// --- What the processor is, and its model-specific registers -------------------------------------------------------

const identify: SystemSemantics = ({ registers, id, hartCount }) => {
  const result = cpuid(registers, id, hartCount, registers.gprLo(GPR.rax), registers.gprLo(GPR.rcx));
  registers.setGpr(GPR.rax, result.eax, 0);
  registers.setGpr(GPR.rbx, result.ebx, 0);
  registers.setGpr(GPR.rcx, result.ecx, 0);
  registers.setGpr(GPR.rdx, result.edx, 0);
  return "done";
};

/** A 64-bit value into edx:eax. */
function setPair({ registers }: SystemHart, lo: number, hi: number): void {
  registers.setGpr(GPR.rax, lo, 0);
  registers.setGpr(GPR.rdx, hi, 0);
}

const rdmsr = privileged((hart) => {
  const value = readMsr(hart, hart.registers.gprLo(GPR.rcx));
  if (value === undefined) return generalProtection(hart);
  setPair(hart, value.lo, value.hi);
  return "done";
});

const wrmsr = privileged((hart) => {
  const { registers } = hart;
  const isTaken = writeMsr(hart, registers.gprLo(GPR.rcx), registers.gprLo(GPR.rax), registers.gprLo(GPR.rdx));
  return isTaken ? "done" : generalProtection(hart);
});

const isTimeHidden = ({ registers }: SystemHart): boolean =>
  registers.cpl !== 0 && (registers.get(CELL.cr4) & CR4.TSD) !== 0;

const rdtsc: SystemSemantics = (hart) => {
  if (isTimeHidden(hart)) return generalProtection(hart);
  const { lo, hi } = hart.registers.tsc;
  setPair(hart, lo, hi);
  return "done";
};

const rdtscp: SystemSemantics = (hart, decoded) => {
  const outcome = rdtsc(hart, decoded);
  if (outcome === "done") hart.registers.setGpr(GPR.rcx, hart.registers.get(CELL.tscAux), 0);
  return outcome;
};

const hasXsave = ({ registers }: SystemHart): boolean => (registers.get(CELL.cr4) & CR4.OSXSAVE) !== 0;

const xgetbv: SystemSemantics = (hart) => {
  const { registers } = hart;
  if (!hasXsave(hart)) return "undefined";
  if (registers.gprLo(GPR.rcx) !== 0) return generalProtection(hart);
  setPair(hart, registers.get(CELL.xcr0), 0);
  return "done";
};

const xsetbv: SystemSemantics = (hart) => {
  const { registers } = hart;
  if (!hasXsave(hart)) return "undefined";
  const lo = registers.gprLo(GPR.rax);
  // x87 state cannot be turned off.
  const isFit = registers.gprLo(GPR.rdx) === 0 && (lo & ~XCR0_BITS) === 0 && (lo & 1) !== 0;
  if (registers.cpl !== 0 || registers.gprLo(GPR.rcx) !== 0 || !isFit) return generalProtection(hart);
  registers.set(CELL.xcr0, lo);
  return "done";
};

// --- Caches --------------------------------------------------------------------------------------------------------

const hasPcids = ({ registers }: SystemHart): boolean => (registers.get(CELL.cr4) & CR4.PCIDE) !== 0;
const currentPcid = (hart: SystemHart): number => (hasPcids(hart) ? hart.registers.get(CELL.cr3) & CR3.PCID : 0);

const invlpg = privileged((hart, decoded) => {
  const { operands, access } = hart;
  // A non-canonical address has no translation.
  if (!operands.linear(decoded, 0, 1, "load")) return "done";
  hart.flush(toNumber(access.linearHi, access.linearLo), currentPcid(hart), true);
  return "done";
});

const invpcid = privileged((hart, decoded) => {
  const { operands } = hart;
  const descriptor = new Uint8Array(16);
  if (!operands.readMemory(decoded, descriptor)) return "faulted";
  const view = new DataView(descriptor.buffer);
  const pcid = view.getUint32(0, true);
  const addressLo = view.getInt32(8, true);
  const addressHi = view.getInt32(12, true);
  operands.read(decoded, 0);
  const kind = operands.valueLo >>> 0;
  const hasPcid = hasPcids(hart);
  if (operands.valueHi !== 0 || kind > INVPCID.all) return generalProtection(hart);
  if (pcid > 0xfff || view.getUint32(4, true) !== 0) return generalProtection(hart);
  if (kind <= INVPCID.pcid && !hasPcid && pcid !== 0) return generalProtection(hart);
  if (kind === INVPCID.address && !isCanonical(addressHi)) return generalProtection(hart);
  hart.flush(
    kind === INVPCID.address ? toNumber(addressHi, addressLo) : undefined,
    kind <= INVPCID.pcid ? pcid : undefined,
    kind === INVPCID.allWithGlobal,
  );
  return "done";
});

/** Memory is always coherent. */
const nothing = privileged(() => "done");

const kentry: SystemSemantics = (hart, { immLo }: Decoded) =>
  hart.enterKernel(immLo & 0xff) ? "entered" : "undefined";

export const machineSemantics = {
  cli,
  sti,
  pushf,
  popf,
  clac: setAlignment(false),
  stac: setAlignment(true),
  hlt,
  cpuid: identify,
  rdmsr,
  wrmsr,
  rdtsc,
  rdtscp,
  // There are no performance counters, and so no index that is one's.
  rdpmc: generalProtection,
  xgetbv,
  xsetbv,
  invlpg,
  invpcid,
  invd: nothing,
  wbinvd: nothing,
  // CPUID tells of no MONITOR.
  monitor: () => "undefined",
  mwait: () => "undefined",
  kentry,
} satisfies Record<string, SystemSemantics>;
