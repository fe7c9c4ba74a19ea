// Reading what calls pass by reference: string vectors, times, signal sets.

import { readI32, readI64 } from "../../lib/bytes.ts";
import type { Errno } from "../../abi/linux/errno.ts";
import { SIGSET_SIZE } from "../../abi/linux/signals.ts";
import { decodeTimespec, TIMESPEC_SIZE, type TimeValue } from "../../abi/linux/time.ts";
import type { Kernel } from "../kernel.ts";
import type { AddressSpace } from "../mem/types.ts";
import { copyFromUser, readUserString } from "../mem/user-memory.ts";
import type { SignalSet } from "./types.ts";

/** Longest string in a vector (MAX_ARG_STRLEN), and most bytes altogether. */
const STRING_LIMIT = 131072;
const VECTOR_LIMIT = 6 * 1024 * 1024;

/** A NULL-terminated array of string pointers; a null pointer is an empty array. */
export function readStringVector(k: Kernel, space: AddressSpace, address: number): string[] | Errno {
  const strings: string[] = [];
  if (address === 0) return strings;
  let bytes = 0;
  for (let at = address; ; at += 8) {
    const raw = copyFromUser(k, space, at, 8);
    if (raw === "EFAULT") return "EFAULT";
    const pointer = readI64(raw, 0);
    if (pointer === 0) return strings;
    const text = readUserString(k, space, pointer, STRING_LIMIT);
    if (text === "ENAMETOOLONG" && !isText(k, space, pointer, text)) return "E2BIG";
    if (text === "EFAULT" && !isText(k, space, pointer, text)) return "EFAULT";
    strings.push(text);
    bytes += text.length + 9;
    if (bytes > VECTOR_LIMIT) return "E2BIG";
  }
}

/** Whether user memory itself spells an error name. */
function isText(k: Kernel, space: AddressSpace, address: number, text: string): boolean {
  const bytes = copyFromUser(k, space, address, text.length + 1);
  return bytes !== "EFAULT" && String.fromCharCode(...bytes) === `${text}\0`;
}

/** A struct timespec; EINVAL for impossible parts. */
export function readTimespec(k: Kernel, space: AddressSpace, address: number): TimeValue | "EFAULT" | "EINVAL" {
  const bytes = copyFromUser(k, space, address, TIMESPEC_SIZE);
  return bytes === "EFAULT" ? bytes : (decodeTimespec(bytes) ?? "EINVAL");
}

/** A sigset_t whose announced size must be the kernel's. */
export function readSignalSet(
  k: Kernel,
  space: AddressSpace,
  address: number,
  size: number,
): SignalSet | "EFAULT" | "EINVAL" {
  if (size !== SIGSET_SIZE) return "EINVAL";
  const bytes = copyFromUser(k, space, address, SIGSET_SIZE);
  return bytes === "EFAULT" ? bytes : { lo: readI32(bytes, 0), hi: readI32(bytes, 4) };
}
