/**
 * The device tree of the board `virt`: what firmware and kernels learn the board from.
 *
 * Devicetree Specification 0.4 (chapters 2 and 3), the RISC-V bindings "riscv,cpus", "riscv,isa-extensions",
 * "sifive,clint0" and "sifive,plic-1.0.0", and those named with each device.
 */
import { plicSources } from "../devices/plic.ts";
import { uartClockHz } from "../devices/uart16550.ts";
import { cells64, type FdtNode } from "./fdt.ts";
import { VIRT } from "./virt-map.ts";

/** What the harts implement, beyond the base; the order is that of the ISA string. */
const singleLetterExtensions = "imafdc";
const multiLetterExtensions = ["zicsr", "zifencei", "zba", "zbb", "zbs", "sstc"] as const;

/** Bits of mie and mip, as interrupt numbers of a hart's own controller. */
const interrupt = {
  machineSoftware: 3,
  machineTimer: 7,
  supervisorSoftware: 1,
  supervisorExternal: 9,
  machineExternal: 11,
} as const;

export interface VirtTreeOptions {
  readonly harts: number;
  readonly ramSize: number;
  readonly bootArguments: string;
  readonly initrd: { readonly start: number; readonly end: number } | undefined;
}

export function describeVirtBoard({ harts, ramSize, bootArguments, initrd }: VirtTreeOptions): FdtNode {
  const plicPhandle = harts + 1;
  const testPhandle = harts + 2;
  const hartPhandle = (hart: number): number => hart + 1;
  /** For each hart, its controller's phandle with each of the given interrupt numbers. */
  const wires = (...numbers: number[]): number[] =>
    Array.from({ length: harts }, (_, hart) => numbers.flatMap((number) => [hartPhandle(hart), number])).flat();
  const reg = (address: number, size: number): number[] => [...cells64(address), ...cells64(size)];
  const byPlic = (source: number): Record<string, readonly number[]> => ({
    interrupts: [source],
    "interrupt-parent": [plicPhandle],
  });

  const cpus: Record<string, FdtNode> = {};
  for (let hart = 0; hart < harts; hart++) {
    cpus[`cpu@${hart}`] = {
      properties: {
        device_type: "cpu",
        reg: [hart],
        status: "okay",
        compatible: "riscv",
        "riscv,isa-base": "rv64i",
        "riscv,isa-extensions": [...singleLetterExtensions, ...multiLetterExtensions],
        "riscv,isa": `rv64${singleLetterExtensions}_${multiLetterExtensions.join("_")}`,
        "mmu-type": "riscv,sv48",
      },
      children: {
        "interrupt-controller": {
          properties: {
            "#interrupt-cells": [1],
            "#address-cells": [0],
            "interrupt-controller": true,
            compatible: "riscv,cpu-intc",
            phandle: [hartPhandle(hart)],
          },
        },
      },
    };
  }

  const slots: Record<string, FdtNode> = {};
  for (let slot = 0; slot < VIRT.virtioSlots; slot++) {
    const address = VIRT.virtio + slot * VIRT.virtioStride;
    slots[`virtio_mmio@${address.toString(16)}`] = {
      properties: { compatible: "virtio,mmio", reg: reg(address, VIRT.virtioStride), ...byPlic(VIRT.virtioIrq + slot) },
    };
  }

  return {
    properties: {
      "#address-cells": [2],
      "#size-cells": [2],
      compatible: "riscv-virtio",
      model: "riscv-virtio,vitrine",
    },
    children: {
      chosen: {
        properties: {
          bootargs: bootArguments,
          "stdout-path": `/soc/serial@${VIRT.uart.toString(16)}`,
          ...(initrd && { "linux,initrd-start": cells64(initrd.start), "linux,initrd-end": cells64(initrd.end) }),
        },
      },
      [`memory@${VIRT.ram.toString(16)}`]: { properties: { device_type: "memory", reg: reg(VIRT.ram, ramSize) } },
      cpus: {
        properties: { "#address-cells": [1], "#size-cells": [0], "timebase-frequency": [VIRT.timebaseHz] },
        children: cpus,
      },
      poweroff: { properties: { compatible: "syscon-poweroff", regmap: [testPhandle], offset: [0], value: [0x5555] } },
      reboot: { properties: { compatible: "syscon-reboot", regmap: [testPhandle], offset: [0], value: [0x7777] } },
      soc: {
        properties: { "#address-cells": [2], "#size-cells": [2], compatible: "simple-bus", ranges: true },
        children: {
          [`test@${VIRT.test.toString(16)}`]: {
            properties: {
              compatible: ["sifive,test1", "sifive,test0", "syscon"],
              reg: reg(VIRT.test, 0x1000),
              phandle: [testPhandle],
            },
          },
          [`rtc@${VIRT.rtc.toString(16)}`]: {
            properties: { compatible: "google,goldfish-rtc", reg: reg(VIRT.rtc, 0x1000), ...byPlic(VIRT.rtcIrq) },
          },
          [`clint@${VIRT.clint.toString(16)}`]: {
            properties: {
              compatible: ["sifive,clint0", "riscv,clint0"],
              reg: reg(VIRT.clint, 0x1_0000),
              "interrupts-extended": wires(interrupt.machineSoftware, interrupt.machineTimer),
            },
          },
          [`sswi@${VIRT.sswi.toString(16)}`]: {
            properties: {
              compatible: "riscv,aclint-sswi",
              reg: reg(VIRT.sswi, 0x4000),
              "interrupts-extended": wires(interrupt.supervisorSoftware),
              "interrupt-controller": true,
              "#interrupt-cells": [0],
              "#address-cells": [0],
            },
          },
          [`plic@${VIRT.plic.toString(16)}`]: {
            properties: {
              compatible: ["sifive,plic-1.0.0", "riscv,plic0"],
              reg: reg(VIRT.plic, 0x400_0000),
              "interrupts-extended": wires(interrupt.machineExternal, interrupt.supervisorExternal),
              "interrupt-controller": true,
              "#interrupt-cells": [1],
              "#address-cells": [0],
              "riscv,ndev": [plicSources],
              phandle: [plicPhandle],
            },
          },
          [`serial@${VIRT.uart.toString(16)}`]: {
            properties: {
              compatible: "ns16550a",
              reg: reg(VIRT.uart, 0x100),
              "clock-frequency": [uartClockHz],
              ...byPlic(VIRT.uartIrq),
            },
          },
          ...slots,
        },
      },
    },
  };
}
