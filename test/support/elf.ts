/**
 * Just enough of ELF64 to put a bare-metal image that a tool chain made into a machine's RAM. Trusted files only.
 */
import { readU16, readU32, readI64 } from "../../src/lib/bytes.ts";
import type { PhysicalMemory } from "../../src/machine/physical-memory.ts";

const loadable = 1;

/** Copies the loadable segments to their physical addresses, zero-fills what the file does not hold; answers the entry. */
export function loadElf(memory: PhysicalMemory, file: Uint8Array): number {
  const programHeaders = readI64(file, 32);
  const entrySize = readU16(file, 54);
  const count = readU16(file, 56);
  for (let i = 0; i < count; i++) {
    const at = programHeaders + i * entrySize;
    if (readU32(file, at) !== loadable) continue;
    const offset = readI64(file, at + 8);
    const physical = readI64(file, at + 24);
    const fileSize = readI64(file, at + 32);
    const memorySize = readI64(file, at + 40);
    memory.fill(physical, memorySize, 0);
    memory.write(physical, file.subarray(offset, offset + fileSize));
  }
  return readI64(file, 24);
}
