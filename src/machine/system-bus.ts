/** The bus: finds the device of a physical address. RAM is tried first, then devices. */
import type { AccessSize, Bus, BusWord, Device } from "./bus.ts";
import type { PhysicalMemory } from "./physical-memory.ts";
import { createPortSpace } from "./port-space.ts";
import { addDevice, overlaps } from "./windows.ts";

export function createBus(memory: PhysicalMemory): Bus {
  const devices: Device[] = [];

  function find(address: number, size: number): Device | undefined {
    return devices.find((device) => address >= device.base && address + size <= device.base + device.size);
  }

  return {
    memory,
    ports: createPortSpace(),
    devices,
    attach(device: Device): void {
      if (overlaps(device, memory)) throw new RangeError(`${device.name} overlaps RAM`);
      addDevice(devices, device);
    },
    load(address: number, size: AccessSize, out: BusWord): boolean {
      if (memory.contains(address, size)) {
        out.lo = 0;
        out.hi = 0;
        if (size === 1) out.lo = memory.read8(address);
        else if (size === 2) out.lo = memory.read16(address);
        else out.lo = memory.read32(address);
        if (size === 8) out.hi = memory.read32(address + 4);
        return true;
      }
      const device = find(address, size);
      if (device === undefined || address % size !== 0) return false;
      return device.load(address - device.base, size, out);
    },
    store(address: number, size: AccessSize, lo: number, hi: number): boolean {
      if (memory.contains(address, size)) {
        if (size === 1) memory.write8(address, lo);
        else if (size === 2) memory.write16(address, lo);
        else memory.write32(address, lo);
        if (size === 8) memory.write32(address + 4, hi);
        return true;
      }
      const device = find(address, size);
      if (device === undefined || address % size !== 0) return false;
      return device.store(address - device.base, size, lo, hi);
    },
  };
}
