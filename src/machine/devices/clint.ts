/**
 * Timer and software interrupts of each hart: the CLINT, and the supervisor software-interrupt device beside it.
 *
 *   CLINT +0x0000  msip[hart]       bit 0 drives MSIP
 *         +0x4000  mtimecmp[hart]   MTIP while mtime >= mtimecmp (64-bit, unsigned)
 *         +0xbff8  mtime            ticks since reset; read-only, being virtual time
 *   SSWI  +0x0000  setssip[hart]    writing a 1 to bit 0 sets SSIP; reads 0
 *
 * RISC-V ACLINT specification 1.0-rc4: MTIMER (chapter 2), MSWI (chapter 3) and SSWI (chapter 4), laid out as the SiFive
 * CLINT, with which they are compatible. The SSWI lets a kernel in S-mode send inter-processor interrupts itself.
 */
import type { Device, DeviceServices } from "../bus.ts";
import { createWordDevice } from "./registers.ts";

export interface ClintState {
  readonly msip: number[];
  /** Two int32 halves for each hart, low first: mtimecmp[hart] is at 2 * hart. */
  readonly mtimecmp: number[];
}

export interface ClintOptions {
  readonly base: number;
  readonly harts: number;
  readonly services: DeviceServices;
  readonly nsPerTick: number;
}

const clintSize = 0x1_0000;
const sswiSize = 0x4000;
const twoTo32 = 4294967296;

/** Bits of mip (privileged spec, mip and mie registers). */
const mipSsip = 1;
const mipMsip = 3;
const mipMtip = 7;

export function createClint({
  base,
  harts,
  services,
  nsPerTick,
}: ClintOptions): Device & { readonly state: ClintState } {
  const name = "clint";
  // mtimecmp has no reset value in the specification; all ones keeps the timer quiet until it is set.
  const state: ClintState = { msip: Array(harts).fill(0), mtimecmp: Array(2 * harts).fill(-1) };
  const ticksAt = (timeNs: number): number => Math.floor(timeNs / nsPerTick);

  const deadline = (hart: number): number =>
    ((state.mtimecmp[2 * hart + 1] ?? 0) >>> 0) * twoTo32 + ((state.mtimecmp[2 * hart] ?? 0) >>> 0);

  /** Drives MTIP from the comparison now, and asks to be called when it turns. Rounding above 2^53 is 28 years away. */
  const updateTimer = (hart: number, nowNs: number): void => {
    const ticks = deadline(hart);
    const due = ticksAt(nowNs) >= ticks;
    services.setInterrupt(hart, mipMtip, due);
    if (!due && ticks * nsPerTick <= Number.MAX_SAFE_INTEGER) services.schedule(ticks * nsPerTick, name, hart);
    else services.cancel(name, hart);
  };

  return createWordDevice({
    name,
    base,
    size: clintSize,
    state,
    registers: [
      {
        name: "msip",
        offset: 0,
        count: harts,
        load: (hart) => state.msip[hart] ?? 0,
        store: (value, hart) => {
          state.msip[hart] = value & 1;
          services.setInterrupt(hart, mipMsip, (value & 1) === 1);
        },
      },
      {
        name: "mtimecmp",
        offset: 0x4000,
        count: 2 * harts,
        load: (half) => state.mtimecmp[half] ?? 0,
        store: (value, half) => {
          state.mtimecmp[half] = value;
          updateTimer(half >> 1, services.timeNs());
        },
      },
      { name: "mtime", offset: 0xbff8, load: () => ticksAt(services.timeNs()) | 0 },
      { name: "mtimeh", offset: 0xbffc, load: () => Math.floor(ticksAt(services.timeNs()) / twoTo32) },
    ],
    onEvent: (hart, atNs) => updateTimer(hart, Math.max(atNs, services.timeNs())),
    onRestore: () => {
      for (let hart = 0; hart < harts; hart++) {
        services.setInterrupt(hart, mipMsip, state.msip[hart] === 1);
        updateTimer(hart, services.timeNs());
      }
    },
  });
}

export interface SswiOptions {
  readonly base: number;
  readonly harts: number;
  readonly services: DeviceServices;
}

export function createSswi({ base, harts, services }: SswiOptions): Device {
  return createWordDevice({
    name: "sswi",
    base,
    size: sswiSize,
    state: {},
    registers: [
      {
        name: "setssip",
        offset: 0,
        count: harts,
        // An edge: SSIP itself is the hart's, and the supervisor clears it there.
        store: (value, hart) => {
          if ((value & 1) === 1) services.setInterrupt(hart, mipSsip, true);
        },
      },
    ],
  });
}
