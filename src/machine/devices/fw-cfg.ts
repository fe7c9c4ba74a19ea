/**
 * What a PC of QEMU's tells its firmware and kernel: numbered items, read a byte at a time.
 *
 *   port +0   selects an item (16 bits), from its start
 *   port +1   the item's next byte; 0 after its end
 *
 *     0x00 "QEMU"   0x01 interface: 1, without DMA   0x03 bytes of RAM (64 bits)   0x05, 0x0f harts (16 bits)
 *
 * QEMU's documentation, "QEMU Firmware Configuration (fw_cfg) Device". Items cannot be written, and there are no files: what
 * images that need no firmware ask for is how much there is of the machine.
 */
import type { AccessSize, BusWord, Device } from "../bus.ts";

export interface FwCfgOptions {
  readonly base: number;
  readonly ramSize: number;
  readonly harts: number;
}

export interface FwCfgState {
  item: number;
  /** Bytes of it that have been read. */
  at: number;
}

const SELECTOR = 0;
const DATA = 1;

export function createFwCfg({ base, ramSize, harts }: FwCfgOptions): Device & { readonly state: FwCfgState } {
  const state: FwCfgState = { item: 0, at: 0 };
  const hartCount = [harts & 0xff, harts >> 8];
  const items: ReadonlyMap<number, readonly number[]> = new Map([
    [0x00, [0x51, 0x45, 0x4d, 0x55]],
    [0x01, [1, 0, 0, 0]],
    [0x03, Array.from({ length: 8 }, (_, i) => Math.floor(ramSize / 256 ** i) % 256)],
    [0x05, hartCount],
    [0x0f, hartCount],
  ]);
  return {
    name: "fw-cfg",
    base,
    size: 2,
    state,
    load(offset: number, _size: AccessSize, out: BusWord): boolean {
      out.lo = offset === DATA ? (items.get(state.item)?.[state.at++] ?? 0) : 0;
      out.hi = 0;
      return true;
    },
    store(offset: number, size: AccessSize, lo: number): boolean {
      if (offset !== SELECTOR) return true;
      state.item = size === 1 ? lo & 0xff : lo & 0xffff;
      state.at = 0;
      return true;
    },
  };
}
