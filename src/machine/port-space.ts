/**
 * The port space: finds the device of a port. Intel SDM volume 1, chapter on input/output.
 *
 * An access goes to a device as a whole if its window has all of it and the device knows that size; else byte by byte, low one
 * first, as a bus bridge splits what a narrow device cannot take. Where no device answers, reads give all ones and writes are lost.
 */
import type { AccessSize, BusWord, Device, PortSpace } from "./bus.ts";
import { addDevice } from "./windows.ts";

export function createPortSpace(): PortSpace {
  const devices: Device[] = [];
  const word: BusWord = { lo: 0, hi: 0 };

  function find(port: number, size: number): Device | undefined {
    return devices.find((device) => port >= device.base && port + size <= device.base + device.size);
  }

  function loadWhole(port: number, size: AccessSize): number | undefined {
    const device = find(port, size);
    return device?.load(port - device.base, size, word) === true ? word.lo : undefined;
  }

  function storeWhole(port: number, size: AccessSize, value: number): boolean {
    const device = find(port, size);
    return device?.store(port - device.base, size, value, 0) === true;
  }

  return {
    devices,
    attach: (device) => addDevice(devices, device),
    load(port, size) {
      const whole = loadWhole(port, size);
      if (whole !== undefined) return whole;
      let value = 0;
      for (let i = 0; i < size; i++) {
        const byte = size === 1 ? undefined : loadWhole(port + i, 1);
        value |= ((byte ?? 0xff) & 0xff) << (i * 8);
      }
      return value;
    },
    store(port, size, value) {
      if (storeWhole(port, size, value) || size === 1) return;
      for (let i = 0; i < size; i++) storeWhole(port + i, 1, (value >>> (i * 8)) & 0xff);
    },
  };
}
