/**
 * Saving and restoring devices: their state is plain data, so a snapshot is its clone. Pending events belong to the
 * machine's event queue, which is saved with the machine.
 */
import type { Device } from "../bus.ts";

/** Device state by device name. */
export type DeviceSnapshot = ReadonlyMap<string, object>;

export function saveDevices(devices: readonly Device[]): DeviceSnapshot {
  return new Map(devices.map((device) => [device.name, structuredClone(device.state)]));
}

/** Throws when the snapshot lacks one of the devices: it is that of another board. Then no device has changed. */
export function restoreDevices(devices: readonly Device[], snapshot: DeviceSnapshot): void {
  for (const { name } of devices) if (!snapshot.has(name)) throw new Error(`the snapshot holds no device "${name}"`);
  for (const device of devices) Object.assign(device.state, structuredClone(snapshot.get(device.name)));
  for (const device of devices) device.onRestore?.();
}
