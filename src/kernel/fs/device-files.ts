// Open devices that hold no state: null, zero, full, random, kmsg. Linux man-pages: null(4), full(4), random(4).

import { SEEK_SET } from "../../abi/linux/open-flags.ts";
import type { Kernel } from "../kernel.ts";
import { defaultOperations } from "./default-operations.ts";
import type { FileOperations } from "./types.ts";

/** These devices have no position, but let one be set, as Linux's do. */
const seek: FileOperations["seek"] = (_k, file, offset, whence) => {
  if (whence === SEEK_SET && offset < 0) return "EINVAL";
  file.offset = 0;
  return 0;
};

export const nullOperations: FileOperations = {
  ...defaultOperations,
  read: () => 0,
  write: (_k, _thread, _file, bytes) => bytes.length,
  seek,
};

export const zeroOperations: FileOperations = {
  ...nullOperations,
  readable: (_k, _file, limit) => limit,
  read(_k, _thread, _file, target) {
    target.fill(0);
    return target.length;
  },
};

export const fullOperations: FileOperations = { ...zeroOperations, write: () => "ENOSPC" };

export const randomOperations: FileOperations = {
  ...zeroOperations,
  read(k, _thread, _file, target) {
    fillRandom(k, target);
    return target.length;
  },
};

/** /dev/kmsg: each write is a line of the kernel's log. */
export const kernelLogOperations: FileOperations = {
  ...defaultOperations,
  read: () => "EAGAIN",
  write(k, _thread, _file, bytes) {
    k.probes.log?.(String.fromCharCode(...bytes.subarray(0, 1024)).trimEnd());
    return bytes.length;
  },
  seek,
};

/** Fills `target` from the kernel's deterministic generator: xoshiro128** (Blackman and Vigna), four words of state. */
export function fillRandom(k: Kernel, target: Uint8Array): void {
  const s = k.state.random;
  let [a = 1, b = 2, c = 3, d = 4] = s;
  for (let i = 0; i < target.length; i += 4) {
    const five = Math.imul(b, 5);
    const word = Math.imul((five << 7) | (five >>> 25), 9);
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = (d << 11) | (d >>> 21);
    for (let byte = 0; byte < 4 && i + byte < target.length; byte++) target[i + byte] = word >>> (8 * byte);
  }
  s.set([a, b, c, d]);
}
