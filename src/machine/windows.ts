/** The windows of devices in an address space: they do not overlap, and no two devices have one name. */
import type { Device } from "./bus.ts";

interface AddressRange {
  readonly base: number;
  readonly size: number;
}

export function overlaps(a: AddressRange, b: AddressRange): boolean {
  return a.base < b.base + b.size && b.base < a.base + a.size;
}

/** Adds a device; throws RangeError when its name or some of its window is taken. */
export function addDevice(devices: Device[], device: Device): void {
  for (const other of devices) {
    if (other.name === device.name) throw new RangeError(`two devices are called ${device.name}`);
    if (overlaps(device, other)) throw new RangeError(`${device.name} overlaps ${other.name}`);
  }
  devices.push(device);
}
