/**
 * Devices as tables of 32-bit registers.
 *
 * A row is a register, or an array of them: `count` registers, `stride` bytes apart. An aligned 8-byte access is that of
 * two neighbouring registers, low half first; accesses narrower than a register are access faults. What no row claims
 * within the device's window is reserved: it reads 0 and ignores writes.
 */
import type { AccessSize, BusWord, Device } from "../bus.ts";

/** One row of a register table. Without `load` it reads 0; without `store` it ignores writes. */
export interface WordRegister {
  readonly name: string;
  readonly offset: number;
  /** Length of the array, 1 by default. */
  readonly count?: number;
  /** Distance in bytes between its elements, 4 by default. */
  readonly stride?: number;
  readonly load?: (index: number) => number;
  readonly store?: (value: number, index: number) => void;
}

/** A device without its access functions, which the register table gives. */
export interface WordDeviceParts<State extends object> {
  readonly name: string;
  readonly base: number;
  readonly size: number;
  readonly state: State;
  readonly registers: readonly WordRegister[];
  readonly onEvent?: (tag: number, atNs: number) => void;
  readonly onRestore?: () => void;
}

/** An interrupt wire: the far end is told each level. */
export type InterruptLine = (level: boolean) => void;

/** Builds a device from its register table. */
export function createWordDevice<State extends object>(
  parts: WordDeviceParts<State>,
): Device & { readonly state: State } {
  const { registers, ...device } = parts;
  const loadWord = (offset: number): number => {
    const row = findRegister(registers, offset);
    return row?.load === undefined ? 0 : row.load(indexIn(row, offset)) | 0;
  };
  const storeWord = (offset: number, value: number): void => {
    const row = findRegister(registers, offset);
    row?.store?.(value | 0, indexIn(row, offset));
  };
  return {
    ...device,
    load(offset: number, size: AccessSize, out: BusWord): boolean {
      if (size < 4) return false;
      out.lo = loadWord(offset);
      out.hi = size === 8 ? loadWord(offset + 4) : 0;
      return true;
    },
    store(offset: number, size: AccessSize, lo: number, hi: number): boolean {
      if (size < 4) return false;
      storeWord(offset, lo);
      if (size === 8) storeWord(offset + 4, hi);
      return true;
    },
  };
}

function findRegister(registers: readonly WordRegister[], offset: number): WordRegister | undefined {
  return registers.find((row) => {
    const index = indexIn(row, offset);
    return index >= 0 && index < (row.count ?? 1) && Number.isInteger(index);
  });
}

function indexIn(row: WordRegister, offset: number): number {
  return (offset - row.offset) / (row.stride ?? 4);
}
