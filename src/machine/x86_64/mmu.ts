/**
 * The page-table walker, from the manual: Intel SDM volume 3, 4.5 (4-level paging), 4.6 (access rights), 4.7 (page faults),
 * 4.8 (accessed and dirty flags).
 *
 *     CR3 -> PML4 entry -> PDPT entry -> PD entry -> PT entry -> page
 *                              |PS           |PS
 *                              v             v
 *                            1 GiB         2 MiB
 *
 * U/S and R/W must be set at every level to count, XD at any. What an access is denied is reported by an error code. A is set in
 * each entry that was used, and D in the last one by a write, before the access; a walk that faults changes nothing. Written apart
 * from the kernel's page-table editor, which shares only bit numbers with it: each is the other's oracle.
 */
import { CR3, LEVELS, levelShift, PTE, PTE_HI } from "../../isa/x86_64/paging.ts";
import { PAGE_FAULT } from "../../isa/x86_64/vectors.ts";
import type { AccessType } from "../hart.ts";

/** Physical addresses of the processor, as CPUID leaf 0x80000008 tells it. Bits 51-46 of an entry are reserved. */
export const PHYSICAL_ADDRESS_BITS = 46;
/** The reserved address bits in the high half of an entry, of CR3, or of an MSR with an address. */
export const RESERVED_ADDRESS_HI = PTE_HI.ADDRESS & ~((1 << (PHYSICAL_ADDRESS_BITS - 32)) - 1);

/** What the walk needs of the world. Addresses are physical. */
export interface WalkMemory {
  /** Reads an aligned entry into `pteLo` and `pteHi`; where there is no memory, all ones are read. */
  readPte(address: number): void;
  pteLo: number;
  pteHi: number;
  /** Writes the low half of an entry, which has been read. */
  writePteLow(address: number, lo: number): void;
}

/** What decides an access beside the address and the tables. */
export interface WalkRequest {
  lo: number;
  hi: number;
  access: AccessType;
  cr3Lo: number;
  cr3Hi: number;
  /** At CPL 3, and not an implicit access to a system table. */
  isUser: boolean;
  /** CR0.WP. */
  writeProtect: boolean;
  /** CR4.SMEP. */
  smep: boolean;
  /** CR4.SMAP, and RFLAGS.AC does not lift it. */
  smap: boolean;
  /** EFER.NXE. */
  nxe: boolean;
  /** Whether A and D are set; otherwise the walk only looks. */
  updates: boolean;
}

/** The outcome of a walk, to be filled. */
export interface WalkResult {
  /** Of the page fault, if the walk failed. */
  errorCode: number;
  /** Physical address of the 4-KiB page. */
  page: number;
  /** log2 of the size of the mapping: 12, 21 or 30. */
  shift: number;
}

const TWO_32 = 0x1_0000_0000;
/** Entries that were passed through and lack A: their addresses and low halves. */
const unmarkedAddress = new Float64Array(LEVELS);
const unmarkedLow = new Int32Array(LEVELS);

/** Walks a canonical address; false when the access faults, with the error code in `out`. */
export function walk(memory: WalkMemory, request: WalkRequest, out: WalkResult): boolean {
  const { lo, hi, access, nxe } = request;
  let table = physicalAddress(request.cr3Lo & CR3.ADDRESS, request.cr3Hi);
  /** The rights that all levels have in common. */
  let common = PTE.W | PTE.U;
  let isExecutable = true;
  let unmarked = 0;
  for (let level = LEVELS - 1; ; level--) {
    const address = table + tableIndex(lo, hi, level) * 8;
    memory.readPte(address);
    const { pteLo, pteHi } = memory;
    if ((pteLo & PTE.P) === 0) return fail(request, out, 0);
    const isLeaf = level === 0 || (pteLo & PTE.PS) !== 0;
    if (hasReservedBits(pteLo, pteHi, level, isLeaf, nxe))
      return fail(request, out, PAGE_FAULT.PRESENT | PAGE_FAULT.RESERVED);
    common &= pteLo;
    if (pteHi < 0) isExecutable = false;
    if (!isLeaf) {
      if ((pteLo & PTE.A) === 0) {
        unmarkedAddress[unmarked] = address;
        unmarkedLow[unmarked++] = pteLo;
      }
      table = physicalAddress(pteLo & PTE.ADDRESS, pteHi);
      continue;
    }
    if (!isAllowed(request, common, isExecutable)) return fail(request, out, PAGE_FAULT.PRESENT);
    if (request.updates) {
      for (let i = 0; i < unmarked; i++) memory.writePteLow(unmarkedAddress[i] ?? 0, (unmarkedLow[i] ?? 0) | PTE.A);
      const needed = access === "store" ? PTE.A | PTE.D : PTE.A;
      if ((pteLo & needed) !== needed) memory.writePteLow(address, pteLo | needed);
    }
    const shift = levelShift(level);
    // Within the mapping all of the offset's bits are in the low half: a page has at most 2^30 bytes.
    const offset = lo & (2 ** shift - 1) & -4096;
    out.errorCode = 0;
    out.page = physicalAddress(pteLo & -(2 ** shift), pteHi) + offset;
    out.shift = shift;
    return true;
  }
}

const physicalAddress = (lo: number, hi: number): number => (hi & PTE_HI.ADDRESS) * TWO_32 + (lo >>> 0);

/** The bits of the address that choose an entry at a level. */
function tableIndex(lo: number, hi: number, level: number): number {
  switch (level) {
    case 0:
      return (lo >>> 12) & 511;
    case 1:
      return (lo >>> 21) & 511;
    case 2:
      return ((lo >>> 30) | (hi << 2)) & 511;
    default:
      return (hi >>> 7) & 511;
  }
}

/** SDM volume 3, tables 4-15 to 4-20: what must be 0 in an entry that is present. */
function hasReservedBits(pteLo: number, pteHi: number, level: number, isLeaf: boolean, nxe: boolean): boolean {
  if ((pteHi & RESERVED_ADDRESS_HI) !== 0 || (pteHi < 0 && !nxe)) return true;
  if (!isLeaf || level === 0) return false;
  if (level === LEVELS - 1) return true;
  // The bits between the PAT bit and the page's address.
  return (pteLo & (2 ** levelShift(level) - 1) & ~0x1fff) !== 0;
}

/** SDM volume 3, 4.6.1. */
export function isAllowed(request: WalkRequest, common: number, isExecutable: boolean): boolean {
  const isUserPage = (common & PTE.U) !== 0;
  const isWritable = (common & PTE.W) !== 0;
  if (request.isUser) {
    if (!isUserPage) return false;
  } else if (isUserPage && (request.access === "execute" ? request.smep : request.smap)) {
    return false;
  }
  switch (request.access) {
    case "load":
      return true;
    case "store":
      return isWritable || (!request.isUser && !request.writeProtect);
    case "execute":
      return isExecutable;
  }
}

/** The error code: `bits`, and what kind of access it was. */
function fail(request: WalkRequest, out: WalkResult, bits: number): false {
  let code = bits;
  if (request.access === "store") code |= PAGE_FAULT.WRITE;
  if (request.isUser) code |= PAGE_FAULT.USER;
  if (request.access === "execute" && (request.nxe || request.smep)) code |= PAGE_FAULT.FETCH;
  out.errorCode = code;
  return false;
}

/** Whether bits 63-47 of an address are alike. */
export function isCanonical(hi: number): boolean {
  const upper = hi >> 15;
  return upper === 0 || upper === -1;
}
