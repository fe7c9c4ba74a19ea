/**
 * The page-table walker, from the manual: RISC-V privileged architecture, "Virtual Address Translation Process".
 *
 *     satp.PPN -> root table
 *              VPN[levels-1] -> PTE (a pointer: R = W = X = 0) -> table -> … -> PTE (a leaf) -> frame
 *
 * A leaf above level 0 maps a superpage and must be aligned to its size. A and D are set here, before the access; D for
 * stores only. Written apart from the kernel's page-table editor, which shares only bit numbers with it: each is the other's
 * oracle.
 */
import { EXCEPTION } from "../../isa/riscv64/causes.ts";
import { PMPADDR_HI_MASK, SATP_HI, SATP_HI_SHIFT } from "../../isa/riscv64/csrs.ts";
import { levelShift, PTE, PTE_HI, SATP_MODE, SV39, SV48, type PagingScheme } from "../../isa/riscv64/paging.ts";
import type { AccessType } from "../hart.ts";
import type { Privilege } from "./hart.ts";

/** What the walk needs of the world. Addresses are physical. */
export interface WalkMemory {
  /** Reads an aligned doubleword into `pteLo` and `pteHi`; false where there is no memory, or none that may be read. */
  readPte(address: number): boolean;
  pteLo: number;
  pteHi: number;
  /** Writes the low half of a PTE; false where that is not allowed. */
  writePteLow(address: number, lo: number): boolean;
}

export interface WalkRequest {
  lo: number;
  hi: number;
  access: AccessType;
  /** U or S; M-mode does not translate. */
  privilege: Privilege;
  satpLo: number;
  satpHi: number;
  sum: boolean;
  mxr: boolean;
  /** Whether A and D are set; otherwise the walk only looks. */
  updates: boolean;
}

/** The outcome of a walk, to be filled. */
export interface WalkResult {
  /** 0, or the exception that the access raises. */
  cause: number;
  /** Physical address of the 4 KiB page. */
  page: number;
  /** log2 of the size of the mapping: 12, 21, 30 or 39. */
  shift: number;
  global: boolean;
}

const PAGE_FAULT: Readonly<Record<AccessType, number>> = {
  load: EXCEPTION.loadPageFault,
  store: EXCEPTION.storePageFault,
  execute: EXCEPTION.instructionPageFault,
};

export const ACCESS_FAULT: Readonly<Record<AccessType, number>> = {
  load: EXCEPTION.loadAccessFault,
  store: EXCEPTION.storeAccessFault,
  execute: EXCEPTION.instructionAccessFault,
};

const TWO_32 = 0x1_0000_0000;

/** The scheme that satp selects; undefined when translation is off. */
export function schemeOf(satpHi: number): PagingScheme | undefined {
  const mode = satpHi >>> SATP_HI_SHIFT.MODE;
  return mode === SATP_MODE.sv39 ? SV39 : mode === SATP_MODE.sv48 ? SV48 : undefined;
}

/** Walks; false when the access faults, with the cause in `out`. */
export function walk(memory: WalkMemory, request: WalkRequest, out: WalkResult): boolean {
  const { lo, hi, access, satpHi } = request;
  const scheme = schemeOf(satpHi) ?? SV39;
  out.cause = PAGE_FAULT[access];
  // Bits 63 to the top of the address must all equal its top bit.
  const signExtended = hi >> (scheme.virtualAddressBits - 33);
  if (signExtended !== 0 && signExtended !== -1) return false;
  let table = ((satpHi & SATP_HI.PPN) * TWO_32 + (request.satpLo >>> 0)) * 4096;
  for (let level = scheme.levels - 1; level >= 0; level--) {
    const address = table + virtualPageNumber(lo, hi, level) * 8;
    if (!memory.readPte(address)) {
      out.cause = ACCESS_FAULT[access];
      return false;
    }
    const pteLo = memory.pteLo;
    const pteHi = memory.pteHi;
    if ((pteLo & PTE.V) === 0 || (pteLo & (PTE.R | PTE.W)) === PTE.W) return false;
    if ((pteHi & (PTE_HI.RESERVED | PTE_HI.PBMT | PTE_HI.N)) !== 0) return false;
    const target = ((pteHi & PMPADDR_HI_MASK) * 4194304 + (pteLo >>> 10)) * 4096;
    if ((pteLo & (PTE.R | PTE.X)) === 0) {
      // A, D and U are reserved in a pointer.
      if (level === 0 || (pteLo & (PTE.A | PTE.D | PTE.U)) !== 0) return false;
      table = target;
      continue;
    }
    if (!isAllowed(request, pteLo)) return false;
    const size = 2 ** levelShift(level);
    if (target % size !== 0) return false;
    const needed = access === "store" ? PTE.A | PTE.D : PTE.A;
    if ((pteLo & needed) !== needed && request.updates && !memory.writePteLow(address, pteLo | needed)) {
      out.cause = ACCESS_FAULT[access];
      return false;
    }
    const pageInMapping = level === 0 ? 0 : ((hi & 0xffff) * TWO_32 + (lo >>> 0)) % size;
    out.cause = 0;
    out.page = target + pageInMapping - (pageInMapping % 4096);
    out.shift = levelShift(level);
    out.global = (pteLo & PTE.G) !== 0;
    return true;
  }
  return false;
}

/** Bits [20 + 9·level : 12 + 9·level] of the address. */
function virtualPageNumber(lo: number, hi: number, level: number): number {
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

/** Privilege and permission of a leaf. S-mode never executes a user page, and reaches it only with SUM. */
export function isAllowed(request: WalkRequest, pteLo: number): boolean {
  const isUserPage = (pteLo & PTE.U) !== 0;
  if (request.privilege === 0 ? !isUserPage : isUserPage && (request.access === "execute" || !request.sum))
    return false;
  switch (request.access) {
    case "load":
      return (pteLo & PTE.R) !== 0 || (request.mxr && (pteLo & PTE.X) !== 0);
    case "store":
      return (pteLo & PTE.W) !== 0;
    case "execute":
      return (pteLo & PTE.X) !== 0;
  }
}

/** The rights that a leaf's low half gives, for people: "rw- user, dirty". */
export function describeRights(pteLo: number): string {
  const letter = (bit: number, name: string): string => ((pteLo & bit) !== 0 ? name : "-");
  const rights = letter(PTE.R, "r") + letter(PTE.W, "w") + letter(PTE.X, "x");
  return `${rights} ${(pteLo & PTE.U) !== 0 ? "user" : "supervisor"}, ${(pteLo & PTE.D) !== 0 ? "dirty" : "clean"}`;
}
