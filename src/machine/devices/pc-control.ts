/**
 * Ports through which the guest of a PC-like board ends its run.
 *
 *   debug exit   any write       off, with the status (value << 1) | 1; QEMU's device "isa-debug-exit", which tests are made for
 *   power        bit 13 (SLP_EN) off, with status 0; the ACPI specification's PM1a control register, "Sleeping/wake control"
 *   reset        bit 2           reset; the reset control register of Intel's chip sets (ICH2 data sheet, RST_CNT): a byte amid the
 *                                doubleword that addresses PCI's configuration space, of which there is nothing
 */
import type { AccessSize, BusWord, Device, DeviceServices } from "../bus.ts";

export interface ControlPortOptions {
  readonly base: number;
  readonly services: DeviceServices;
}

const SLEEP_ENABLE = 1 << 13;
const RESET = 1 << 2;
/** Where the reset register is in its doubleword. */
const RESET_OFFSET = 1;

export function createDebugExit({ base, services }: ControlPortOptions): Device {
  return createControlPort("debug-exit", base, 4, (value) => services.halt("power-off", ((value << 1) | 1) & 0xff));
}

export function createPowerPort({ base, services }: ControlPortOptions): Device {
  return createControlPort("power", base, 2, (value) => {
    if ((value & SLEEP_ENABLE) !== 0) services.halt("power-off", 0);
  });
}

/** `base` is the register's port; the window is that of the whole doubleword, so that a store to it does not become one of bytes. */
export function createResetPort({ base, services }: ControlPortOptions): Device {
  const isRegister = (offset: number, size: AccessSize): boolean => offset === RESET_OFFSET && size === 1;
  return {
    name: "reset",
    base: base - RESET_OFFSET,
    size: 4,
    state: {},
    load(offset, size, out): boolean {
      out.lo = isRegister(offset, size) ? 0 : -1;
      out.hi = 0;
      return true;
    },
    store(offset, size, lo): boolean {
      if (isRegister(offset, size) && (lo & RESET) !== 0) services.halt("reset", 0);
      return true;
    },
  };
}

/** A port that reads 0 and acts on writes to its first byte on, of whatever size. */
function createControlPort(name: string, base: number, size: number, act: (value: number) => void): Device {
  return {
    name,
    base,
    size,
    state: {},
    load(_offset: number, _size: AccessSize, out: BusWord): boolean {
      out.lo = 0;
      out.hi = 0;
      return true;
    },
    store(offset: number, accessSize: AccessSize, lo: number): boolean {
      if (offset === 0) act(accessSize === 1 ? lo & 0xff : accessSize === 2 ? lo & 0xffff : lo);
      return true;
    },
  };
}
