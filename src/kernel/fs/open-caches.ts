// What open files keep between reads: the listing of a directory, the text of a /proc file. A program can have many files open on large
// directories, so the sum is bounded: beyond it the oldest are dropped, and their readers look again where they were.

import type { Kernel } from "../kernel.ts";
import type { OpenFile } from "./types.ts";

const LIMIT_BYTES = 32 << 20;

/** Records that `file` now keeps about that many bytes, and drops others until the sum fits. */
export function noteCache(k: Kernel, file: OpenFile, bytes: number): void {
  const { caches } = k.state.files;
  forgetCache(k, file);
  for (const [oldest] of caches.sizes) {
    if (caches.total + bytes <= LIMIT_BYTES) break;
    delete oldest.entries;
    delete oldest.snapshot;
    forgetCache(k, oldest);
  }
  caches.sizes.set(file, bytes);
  caches.total += bytes;
}

/** The file keeps nothing any more. */
export function forgetCache(k: Kernel, file: OpenFile): void {
  const { caches } = k.state.files;
  caches.total -= caches.sizes.get(file) ?? 0;
  caches.sizes.delete(file);
}
