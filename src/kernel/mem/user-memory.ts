// Reading and writing a program's memory from the kernel (K7: every user pointer is checked).
//
// Each page of the range is looked up in the page table, as user mode would access it, and faulted in where needed, before the
// first byte is moved: EFAULT leaves nothing half-done, unless a page that was there has been swapped out since and cannot be read back. A write into a copy-on-write page breaks the sharing as a user's write would.

import { PAGE_SIZE, pageBase, pageOffset, virtAddr } from "../../lib/address.ts";
import { highHalf, toNumber } from "../../lib/word64.ts";
import type { Kernel } from "../kernel.ts";
import { handlePageFault } from "./fault.ts";
import { findEntry, foundLevel } from "./page-table.ts";
import type { AddressSpace } from "./types.ts";

/** Checks that user mode may do `access` to all of the range, and faults its pages in. */
export function checkUserRange(
  k: Kernel,
  space: AddressSpace,
  address: number,
  length: number,
  access: "read" | "write",
): 0 | "EFAULT" {
  if (length === 0) return 0;
  // More than all of memory cannot be there at once: a hostile length must not be walked page by page.
  if (!isUserRange(k, address, length) || length > k.memory.size) return "EFAULT";
  for (let page: number = pageBase(address); page < address + length; page += PAGE_SIZE) {
    if (userPage(k, space, page, access) === NOT_ACCESSIBLE) return "EFAULT";
  }
  return 0;
}

/** A copy of the bytes. */
export function copyFromUser(k: Kernel, space: AddressSpace, address: number, length: number): Uint8Array | "EFAULT" {
  if (length !== 0 && !isUserRange(k, address, length)) return "EFAULT"; // before a hostile length is allocated
  if (length > PAGE_SIZE && checkUserRange(k, space, address, length, "read") !== 0) return "EFAULT";
  const bytes = new Uint8Array(length);
  return copyFromUserInto(k, space, address, bytes) === 0 ? bytes : "EFAULT";
}

/** Fills `target` from user memory. */
export function copyFromUserInto(k: Kernel, space: AddressSpace, address: number, target: Uint8Array): 0 | "EFAULT" {
  const { length } = target;
  if (length === 0) return 0;
  const offset = pageOffset(address);
  if (offset + length <= PAGE_SIZE) {
    const physical = userByte(k, space, address, "read");
    if (physical === NOT_ACCESSIBLE) return "EFAULT";
    k.memory.readInto(physical, target);
    return 0;
  }
  if (checkUserRange(k, space, address, length, "read") !== 0) return "EFAULT";
  for (let done = 0; done < length;) {
    const count = Math.min(length - done, PAGE_SIZE - pageOffset(address + done));
    const physical = userByte(k, space, address + done, "read");
    if (physical === NOT_ACCESSIBLE) return "EFAULT";
    k.memory.readInto(physical, target.subarray(done, done + count));
    done += count;
  }
  return 0;
}

/** Stores the bytes in user memory. */
export function copyToUser(k: Kernel, space: AddressSpace, address: number, bytes: Uint8Array): 0 | "EFAULT" {
  const { length } = bytes;
  if (length === 0) return 0;
  const offset = pageOffset(address);
  if (offset + length <= PAGE_SIZE) {
    const physical = userByte(k, space, address, "write");
    if (physical === NOT_ACCESSIBLE) return "EFAULT";
    k.memory.write(physical, bytes);
    return 0;
  }
  if (checkUserRange(k, space, address, length, "write") !== 0) return "EFAULT";
  for (let done = 0; done < length;) {
    const count = Math.min(length - done, PAGE_SIZE - pageOffset(address + done));
    const physical = userByte(k, space, address + done, "write");
    if (physical === NOT_ACCESSIBLE) return "EFAULT";
    k.memory.write(physical, bytes.subarray(done, done + count));
    done += count;
  }
  return 0;
}

/** Fills a range of user memory with zeros. */
export function clearUser(k: Kernel, space: AddressSpace, address: number, length: number): 0 | "EFAULT" {
  if (checkUserRange(k, space, address, length, "write") !== 0) return "EFAULT";
  for (let done = 0; done < length;) {
    const count = Math.min(length - done, PAGE_SIZE - pageOffset(address + done));
    const physical = userByte(k, space, address + done, "write");
    if (physical === NOT_ACCESSIBLE) return "EFAULT";
    k.memory.fill(physical, count, 0);
    done += count;
  }
  return 0;
}

/**
 * A NUL-terminated string as a byte string, without the NUL. ENAMETOOLONG when none of the first `limit` bytes is NUL. Only the
 * pages up to the NUL need to be readable.
 */
export function readUserString(
  k: Kernel,
  space: AddressSpace,
  address: number,
  limit: number,
): string | "EFAULT" | "ENAMETOOLONG" {
  let text = "";
  for (let at = address; text.length < limit;) {
    if (!isUserRange(k, at, 1)) return "EFAULT";
    const physical = userByte(k, space, at, "read");
    if (physical === NOT_ACCESSIBLE) return "EFAULT";
    const count = Math.min(PAGE_SIZE - pageOffset(at), limit - text.length);
    // Short strings are the rule: look at 64 bytes before taking all of a page. (A long string in pieces of 64 is twice the memory.)
    for (let done = 0; done < count;) {
      const chunk = k.memory.read(physical + done, text === "" ? Math.min(64, count - done) : count - done);
      const end = chunk.indexOf(0);
      text += String.fromCharCode(...(end === -1 ? chunk : chunk.subarray(0, end)));
      if (end !== -1) return text;
      done += chunk.length;
    }
    at += count;
  }
  return "ENAMETOOLONG";
}

/** `count` little-endian 32-bit words. */
export function readUserWords(k: Kernel, space: AddressSpace, address: number, count: number): Int32Array | "EFAULT" {
  const bytes = copyFromUser(k, space, address, count * 4);
  return bytes === "EFAULT" ? bytes : new Int32Array(bytes.buffer, bytes.byteOffset, count);
}

/** A signed 32-bit integer, or undefined where it cannot be read. */
export function readUser32(k: Kernel, space: AddressSpace, address: number): number | undefined {
  return readUserWords32(k, space, address, 1)?.[0];
}

/** A 64-bit integer as a JS number (signed; nearest beyond 2^53), or undefined where it cannot be read. */
export function readUser64(k: Kernel, space: AddressSpace, address: number): number | undefined {
  const words = readUserWords32(k, space, address, 2);
  return words === undefined ? undefined : toNumber(words[1] ?? 0, words[0] ?? 0);
}

export function writeUser32(k: Kernel, space: AddressSpace, address: number, value: number): 0 | "EFAULT" {
  return copyToUser(k, space, address, new Uint8Array(Int32Array.of(value).buffer));
}

/** Stores an integer in [-2^63, 2^64). */
export function writeUser64(k: Kernel, space: AddressSpace, address: number, value: number): 0 | "EFAULT" {
  return copyToUser(k, space, address, new Uint8Array(Int32Array.of(value, highHalf(value)).buffer));
}

const NOT_ACCESSIBLE = -1;

function readUserWords32(k: Kernel, space: AddressSpace, address: number, count: number): Int32Array | undefined {
  const words = readUserWords(k, space, address, count);
  return words === "EFAULT" ? undefined : words;
}

/** False for NaN, which stands for a non-canonical pointer. */
function isUserRange(k: Kernel, address: number, length: number): boolean {
  return address >= 0 && length >= 0 && address + length <= k.arch.layout.userTop;
}

function userByte(k: Kernel, space: AddressSpace, address: number, access: "read" | "write"): number {
  if (!isUserRange(k, address, 1)) return NOT_ACCESSIBLE;
  const page = userPage(k, space, pageBase(address), access);
  return page === NOT_ACCESSIBLE ? page : page + pageOffset(address);
}

/** Physical address of a page that user mode may access so, faulted in if need be. */
function userPage(k: Kernel, space: AddressSpace, page: number, access: "read" | "write"): number {
  const { format } = k.arch;
  for (let attempt = 0; attempt < 2; attempt++) {
    const location = findEntry(k, space, virtAddr(page));
    const lo = k.memory.read32(location);
    const hi = k.memory.read32(location + 4);
    if (format.isValid(hi, lo) && format.isLeaf(hi, lo, foundLevel) && format.allowsUser(hi, lo, access)) {
      const { size } = format.levels[foundLevel] ?? { size: PAGE_SIZE };
      return format.frame(hi, lo) * PAGE_SIZE + (page - Math.floor(page / size) * size);
    }
    const outcome = handlePageFault(k, space, virtAddr(page), access);
    if (outcome.kind === "out-of-memory") k.state.memory.isShort = true;
    if (outcome.kind !== "resolved") return NOT_ACCESSIBLE;
    if (outcome.unmapped !== undefined) return outcome.unmapped * PAGE_SIZE;
  }
  return NOT_ACCESSIBLE;
}
