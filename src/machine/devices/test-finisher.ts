/**
 * The "test finisher": one register through which the guest switches its machine off or resets it.
 *
 *   31        16 15         0
 *   +-----------+------------+     0x5555 pass: power off, status 0
 *   |   code    |   command  |     0x3333 fail: power off, status `code`
 *   +-----------+------------+     0x7777 reset
 *
 * Device-tree bindings "sifive,test1", "sifive,test0" and "syscon" with "syscon-poweroff" and "syscon-reboot".
 */
import type { AccessSize, BusWord, Device, DeviceServices } from "../bus.ts";

export const finisherPass = 0x5555;
export const finisherFail = 0x3333;
export const finisherReset = 0x7777;

export interface TestFinisherOptions {
  readonly base: number;
  readonly services: DeviceServices;
}

export function createTestFinisher({ base, services }: TestFinisherOptions): Device {
  return {
    name: "test",
    base,
    size: 0x1000,
    state: {},
    load(_offset: number, size: AccessSize, out: BusWord): boolean {
      out.lo = 0;
      out.hi = 0;
      return size >= 2;
    },
    // Firmware writes the command as 16 bits, too.
    store(offset: number, size: AccessSize, lo: number): boolean {
      if (size < 2) return false;
      if (offset !== 0) return true;
      const command = lo & 0xffff;
      if (command === finisherPass) services.halt("power-off", 0);
      else if (command === finisherFail) services.halt("failure", size === 2 ? 0 : lo >>> 16);
      else if (command === finisherReset) services.halt("reset", 0);
      return true;
    },
  };
}
