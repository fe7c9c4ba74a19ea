// ELF64 executables: checked, and reduced to what a loader needs. System V gABI, chapters 4 and 5; RISC-V ELF psABI.
//
//   file:  Ehdr (64 bytes) | program headers (56 bytes each) | segments …
//   PT_LOAD:     offset and vaddr are congruent modulo the page size; file bytes, then zeros up to memsz
//
//        vaddr           + filesz        + memsz
//     ...|###############|000000000000000|...        # mapped from the file, 0 zero-filled
//
// Nothing in a file is trusted: every number is checked before it is used, and a bad one is ENOEXEC.

import {
  EHDR_SIZE,
  ELF_MACHINES,
  ELF_MAGIC,
  ELFCLASS64,
  ELFDATA2LSB,
  ET_DYN,
  ET_EXEC,
  EV_CURRENT,
  PF_R,
  PF_W,
  PF_X,
  PHDR_SIZE,
  PT_GNU_STACK,
  PT_INTERP,
  PT_LOAD,
  PT_PHDR,
} from "../../abi/linux/elf.ts";
import { PAGE_SIZE } from "../../lib/address.ts";
import { readI64, readU16, readU32, readU8 } from "../../lib/bytes.ts";

export interface ElfSegment {
  readonly address: number;
  readonly memorySize: number;
  readonly fileOffset: number;
  readonly fileSize: number;
  readonly protection: { readonly read: boolean; readonly write: boolean; readonly execute: boolean };
}

export interface ElfImage {
  /** "fixed": addresses are final (ET_EXEC). "relocatable": they count from a base of the loader's choice (ET_DYN). */
  readonly placement: "fixed" | "relocatable";
  readonly entry: number;
  /** In order of address, not overlapping. */
  readonly segments: readonly ElfSegment[];
  /** Where the program headers lie in memory, relative to the base; undefined when no segment holds them. */
  readonly headersAddress: number | undefined;
  readonly headerCount: number;
  /** Bytes of the interpreter's path in the file. */
  readonly interpreter: { readonly offset: number; readonly size: number } | undefined;
  readonly executableStack: boolean;
  /** Largest alignment that a segment asks for: at least a page. */
  readonly alignment: number;
}

/** Why a file is not a program; `reason` is for the log. */
export interface ElfRejection {
  readonly error: "ENOEXEC" | "EINVAL" | "ENOMEM";
  readonly reason: string;
}

/** Bytes of the program headers that an Ehdr announces, or why there is none. `head` is the file's beginning. */
export function locateProgramHeaders(
  head: Uint8Array,
  machine: number,
): { offset: number; size: number } | ElfRejection {
  if (head.length < EHDR_SIZE || !isElf(head)) return reject("not an ELF file");
  if (readU8(head, 4) !== ELFCLASS64) return reject("a 32-bit ELF file");
  if (readU8(head, 5) !== ELFDATA2LSB) return reject("a big-endian ELF file");
  const itsMachine = readU16(head, 18);
  if (itsMachine !== machine) return reject(`built for ${ELF_MACHINES.get(itsMachine) ?? `machine ${itsMachine}`}`);
  if (readU8(head, 6) !== EV_CURRENT || readU32(head, 20) !== EV_CURRENT) return reject("an unknown ELF version");
  const type = readU16(head, 16);
  if (type !== ET_EXEC && type !== ET_DYN) return reject(`an ELF file of type ${type}, not a program`);
  const count = readU16(head, 56);
  if (readU16(head, 54) !== PHDR_SIZE) return reject("program headers of an unknown size");
  if (count === 0) return reject("no program headers");
  if (count * PHDR_SIZE > 65536) return reject("too many program headers");
  const offset = readI64(head, 32);
  if (!isSize(offset)) return reject("program headers at an impossible offset");
  return { offset, size: count * PHDR_SIZE };
}

/** Whether the bytes begin like an ELF file of any kind. */
export function isElf(head: Uint8Array): boolean {
  return ELF_MAGIC.every((byte, i) => head[i] === byte);
}

/** Reads the checked Ehdr and its program headers. `addressLimit` is the end of what programs may map. */
export function parseElf(head: Uint8Array, headers: Uint8Array, addressLimit: number): ElfImage | ElfRejection {
  const placement = readU16(head, 16) === ET_DYN ? "relocatable" : "fixed";
  const segments: ElfSegment[] = [];
  let interpreter: ElfImage["interpreter"];
  let headersAddress: number | undefined;
  let executableStack = false;
  let alignment = PAGE_SIZE;
  for (let at = 0; at + PHDR_SIZE <= headers.length; at += PHDR_SIZE) {
    const type = readU32(headers, at);
    const flags = readU32(headers, at + 4);
    const fileOffset = readI64(headers, at + 8);
    const address = readI64(headers, at + 16);
    const fileSize = readI64(headers, at + 32);
    const memorySize = readI64(headers, at + 40);
    const align = readI64(headers, at + 48);
    if (type === PT_INTERP) {
      if (!isSize(fileOffset) || fileSize < 2 || fileSize > 4096) return reject("a malformed interpreter path");
      interpreter ??= { offset: fileOffset, size: fileSize };
    } else if (type === PT_GNU_STACK) {
      executableStack = (flags & PF_X) !== 0;
    } else if (type === PT_PHDR) {
      headersAddress = address;
    } else if (type === PT_LOAD && memorySize !== 0) {
      if (!isSize(fileOffset) || !isSize(fileSize) || !isSize(memorySize) || !isSize(address))
        return reject("a segment with impossible numbers");
      if (fileSize > memorySize) return reject("a segment with more in the file than in memory");
      if (address + memorySize > addressLimit)
        return { error: "ENOMEM", reason: "a segment beyond the user address space" };
      if (fileSize > 0 && address % PAGE_SIZE !== fileOffset % PAGE_SIZE)
        return reject("a segment whose address and offset differ within the page");
      const previous = segments.at(-1);
      if (previous !== undefined && address < previous.address + previous.memorySize)
        return reject("segments overlap or are out of order");
      if (isPowerOfTwo(align) && align > alignment && align <= 2 ** 30) alignment = align;
      segments.push({ address, memorySize, fileOffset, fileSize, protection: protectionOf(flags) });
    }
  }
  if (segments.length === 0) return reject("no loadable segment");
  const headersOffset = readI64(head, 32);
  headersAddress ??= addressOf(segments, headersOffset);
  const entry = readI64(head, 24);
  if (!isSize(entry) || entry >= addressLimit)
    return { error: "EINVAL", reason: "an entry point outside the address space" };
  return {
    placement,
    entry,
    segments,
    headersAddress,
    headerCount: headers.length / PHDR_SIZE,
    interpreter,
    executableStack,
    alignment,
  };
}

/** Where a file offset is mapped, if a segment holds it. */
function addressOf(segments: readonly ElfSegment[], offset: number): number | undefined {
  for (const segment of segments) {
    if (offset >= segment.fileOffset && offset < segment.fileOffset + segment.fileSize) {
      return segment.address + (offset - segment.fileOffset);
    }
  }
  return undefined;
}

function protectionOf(flags: number): ElfSegment["protection"] {
  return { read: (flags & PF_R) !== 0, write: (flags & PF_W) !== 0, execute: (flags & PF_X) !== 0 };
}

/** A 64-bit field that is a plain, exactly represented size or offset. */
function isSize(value: number): boolean {
  return value >= 0 && value <= Number.MAX_SAFE_INTEGER;
}

function isPowerOfTwo(value: number): boolean {
  return isSize(value) && value > 0 && Number.isInteger(Math.log2(value));
}

function reject(reason: string): ElfRejection {
  return { error: "ENOEXEC", reason };
}
