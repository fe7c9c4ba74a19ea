/**
 * What CPUID says: an x86-64-v2 processor that has exactly what is implemented here.
 *
 * The vendor is GenuineIntel, family 6, model 26: software chooses code by vendor and model, and this pair stands for the level of
 * features that we have; leaves 4, 0xb and 0x15 are Intel's forms. Speculation, performance counters, virtualization, and everything
 * after SSE4.2 are absent. Intel SDM volume 2, CPUID.
 */
import { APIC_BASE, MISC_ENABLE, MISC_ENABLE_HI } from "../../isa/x86_64/msrs.ts";
import { CR4 } from "../../isa/x86_64/registers.ts";
import { CELL } from "./layout.ts";
import { PHYSICAL_ADDRESS_BITS } from "./mmu.ts";
import type { Registers } from "./registers.ts";

export interface CpuidResult {
  eax: number;
  ebx: number;
  ecx: number;
  edx: number;
}

const VENDOR = "GenuineIntel";
const BRAND = "Vitrine x86-64";
/** Family 6, model 0x1a, stepping 5. */
export const SIGNATURE = 0x000106a5;
const LAST_BASIC_LEAF = 0x16;
/** … with IA32_MISC_ENABLE's "limit CPUID maxval". */
const LIMITED_LEAF = 3;
const LAST_EXTENDED_LEAF = 0x80000008;
/** The time-stamp counter and the local APIC's timer count nanoseconds. */
const CLOCK_HZ = 1_000_000_000;
const LINE_BYTES = 64;
/** x87 and SSE state: the legacy area and the header. */
export const XSAVE_BYTES = 576;
export const XCR0_BITS = 3;

const bits = (...numbers: number[]): number => numbers.reduce((all, bit) => all | (1 << bit), 0);

/** Leaf 1, ecx: SSE3, SSSE3, CMPXCHG16B, PCID, SSE4.1, SSE4.2, POPCNT, TSC-deadline, XSAVE; 27 follows CR4.OSXSAVE. */
const FEATURES_ECX = bits(0, 9, 13, 17, 19, 20, 23, 24, 26);
const OSXSAVE = 1 << 27;
/**
 * Leaf 1, edx: FPU, DE, PSE, TSC, MSR, PAE, MCE, CX8, SEP, PGE, MCA, CMOV, PAT, PSE36, CLFSH, MMX, FXSR, SSE, SSE2; 9 follows whether
 * the local APIC is enabled.
 */
const APIC = 1 << 9;
const FEATURES_EDX = bits(0, 2, 3, 4, 5, 6, 7, 8, 11, 13, 14, 15, 16, 17, 19, 23, 24, 25, 26);
const HTT = 1 << 28;
/** Leaf 7, ebx: FSGSBASE, SMEP, ERMS (rep movsb copies by the page here), INVPCID, no FPU CS and DS, SMAP. */
const STRUCTURED_EBX = bits(0, 7, 9, 10, 13, 20);
/** Leaf 7, ecx: UMIP. edx: IA32_ARCH_CAPABILITIES. */
const STRUCTURED_ECX = bits(2);
const STRUCTURED_EDX = bits(29);
/** Leaf 0x80000001, ecx: LAHF in 64-bit mode, PREFETCHW. edx: NX, 1-GiB pages, RDTSCP, long mode; SYSCALL, seen in 64-bit code only. */
const EXTENDED_ECX = bits(0, 8);
const NX = 1 << 20;
const EXTENDED_EDX = bits(26, 27, 29);
const SYSCALL = 1 << 11;
/** Leaf 6, eax: the APIC timer never stops. Leaf 0x80000007, edx: the time-stamp counter neither stops nor changes. */
const ALWAYS_RUNNING_TIMER = 1 << 2;
const INVARIANT_TSC = 1 << 8;

/** Caches of which software wants to know the size: type, level, ways, sets. */
const CACHES = [
  { type: 1, level: 1, ways: 8, sets: 64 },
  { type: 2, level: 1, ways: 8, sets: 64 },
  { type: 3, level: 2, ways: 8, sets: 512 },
  { type: 3, level: 3, ways: 16, sets: 8192 },
] as const;

const NOTHING: CpuidResult = { eax: 0, ebx: 0, ecx: 0, edx: 0 };

/** What cpuid gives a hart of a machine with so many of them. */
export function cpuid(registers: Registers, id: number, harts: number, leaf: number, subleaf: number): CpuidResult {
  const number = leaf >>> 0;
  if (number >= 0x80000000 && number <= LAST_EXTENDED_LEAF) return extendedLeaf(registers, number);
  // What is beyond the last leaf is the last basic one.
  const last = lastBasicLeaf(registers);
  return basicLeaf(registers, id, harts, number <= last ? number : last, subleaf >>> 0);
}

const lastBasicLeaf = (registers: Registers): number =>
  (registers.get(CELL.miscEnable) & MISC_ENABLE.LIMIT_CPUID) === 0 ? LAST_BASIC_LEAF : LIMITED_LEAF;

/** IA32_MISC_ENABLE turns NX off: CPUID hides it, and EFER.NXE cannot be set. */
export const isExecuteDisableOff = (registers: Registers): boolean =>
  (registers.get(CELL.miscEnable + 4) & MISC_ENABLE_HI.XD_DISABLE) !== 0;

function basicLeaf(registers: Registers, id: number, harts: number, leaf: number, subleaf: number): CpuidResult {
  switch (leaf) {
    case 0: {
      const [ebx, edx, ecx] = [0, 4, 8].map((at) => textWord(VENDOR, at)) as [number, number, number]; // three words
      return { eax: lastBasicLeaf(registers), ebx, ecx, edx };
    }
    case 1: {
      const hasOsXsave = (registers.get(CELL.cr4) & CR4.OSXSAVE) !== 0;
      const hasApic = (registers.get(CELL.apicBase) & APIC_BASE.ENABLE) !== 0;
      return {
        eax: SIGNATURE,
        ebx: (id << 24) | (harts << 16) | ((LINE_BYTES / 8) << 8),
        ecx: FEATURES_ECX | (hasOsXsave ? OSXSAVE : 0),
        edx: FEATURES_EDX | (hasApic ? APIC : 0) | (harts > 1 ? HTT : 0),
      };
    }
    case 2:
      // "See leaf 4."
      return { eax: 0x00feff01, ebx: 0, ecx: 0, edx: 0 };
    case 4:
      return cacheLeaf(harts, subleaf);
    case 6:
      return { ...NOTHING, eax: ALWAYS_RUNNING_TIMER };
    case 7:
      return subleaf === 0 ? { eax: 0, ebx: STRUCTURED_EBX, ecx: STRUCTURED_ECX, edx: STRUCTURED_EDX } : NOTHING;
    case 0xb:
      return topologyLeaf(id, harts, subleaf);
    case 0xd:
      if (subleaf === 0) return { eax: XCR0_BITS, ebx: XSAVE_BYTES, ecx: XSAVE_BYTES, edx: 0 };
      // Of XSAVE's relatives there is XSAVEOPT.
      return subleaf === 1 ? { ...NOTHING, eax: 1 } : NOTHING;
    case 0x15:
      return { eax: 1, ebx: 1, ecx: CLOCK_HZ, edx: 0 };
    case 0x16:
      return { eax: CLOCK_HZ / 1e6, ebx: CLOCK_HZ / 1e6, ecx: 100, edx: 0 };
    default:
      return NOTHING;
  }
}

function extendedLeaf(registers: Registers, leaf: number): CpuidResult {
  switch (leaf) {
    case 0x80000000:
      return { ...NOTHING, eax: LAST_EXTENDED_LEAF | 0 };
    case 0x80000001:
      return {
        ...NOTHING,
        ecx: EXTENDED_ECX,
        edx: EXTENDED_EDX | (isExecuteDisableOff(registers) ? 0 : NX) | (registers.codeMode === 64 ? SYSCALL : 0),
      };
    case 0x80000002:
    case 0x80000003:
    case 0x80000004: {
      const start = (leaf - 0x80000002) * 16;
      const [eax, ebx, ecx, edx] = [0, 4, 8, 12].map((at) => textWord(BRAND, start + at)) as [
        number,
        number,
        number,
        number,
      ]; // four words
      return { eax, ebx, ecx, edx };
    }
    case 0x80000006:
      // The second-level cache: 256 KiB, 8 ways.
      return { ...NOTHING, ecx: (256 << 16) | (6 << 12) | LINE_BYTES };
    case 0x80000007:
      return { ...NOTHING, edx: INVARIANT_TSC };
    case 0x80000008:
      return { ...NOTHING, eax: (48 << 8) | PHYSICAL_ADDRESS_BITS };
    default:
      return NOTHING;
  }
}

/** Leaf 4: the third level is shared by all harts. */
function cacheLeaf(harts: number, subleaf: number): CpuidResult {
  const cache = CACHES[subleaf];
  if (cache === undefined) return NOTHING;
  const { type, level, ways, sets } = cache;
  const sharing = level === 3 ? roundUpToPower(harts) - 1 : 0;
  return {
    eax: type | (level << 5) | (1 << 8) | (sharing << 14) | ((roundUpToPower(harts) - 1) << 26),
    ebx: (LINE_BYTES - 1) | ((ways - 1) << 22),
    ecx: sets - 1,
    edx: 0,
  };
}

/** Leaf 0xb: a hart is a core, and all cores are one package. */
function topologyLeaf(id: number, harts: number, subleaf: number): CpuidResult {
  if (subleaf === 0) return { eax: 0, ebx: 1, ecx: 0x100, edx: id };
  if (subleaf === 1) return { eax: 31 - Math.clz32(roundUpToPower(harts)), ebx: harts, ecx: 0x201, edx: id };
  return { eax: 0, ebx: 0, ecx: subleaf & 0xff, edx: id };
}

const roundUpToPower = (n: number): number => (n <= 1 ? 1 : 1 << (32 - Math.clz32(n - 1)));

/** Four characters of a text as a word. */
function textWord(text: string, at: number): number {
  let word = 0;
  for (let i = 0; i < 4; i++) word |= (text.charCodeAt(at + i) || 0) << (i * 8);
  return word;
}
