/**
 * The board `virt` for riscv64: the addresses of QEMU's machine of that name, so that what boots there boots here.
 *
 *   0x0010_0000  test finisher     power-off, reset
 *   0x0010_1000  real-time clock   irq 11
 *   0x0200_0000  CLINT             machine timer and software interrupts
 *   0x02f0_0000  SSWI              supervisor software interrupts
 *   0x0c00_0000  PLIC              95 sources, contexts M and S of each hart
 *   0x1000_0000  UART              irq 10
 *   0x1000_1000  virtio slots 0-7  irq 1-8, 4 KiB apart
 *   0x8000_0000  RAM               the device tree in its last part; an initrd below that
 *
 * Every hart starts at the base of RAM in machine mode with its id in a0 and the device tree's address in a1, which is
 * what QEMU's reset code leaves. The tree is placed below the end of RAM, or below the first 3 GiB of it where there is
 * more, 2-MiB-aligned, as QEMU does it.
 */
import { alignDown } from "../../lib/align.ts";
import { createClint, createSswi } from "../devices/clint.ts";
import { createGoldfishRtc } from "../devices/goldfish-rtc.ts";
import { createPlic, type Plic } from "../devices/plic.ts";
import { createTestFinisher } from "../devices/test-finisher.ts";
import { createUart, type Uart } from "../devices/uart16550.ts";
import { createVirtioBlock, type BlockBackend } from "../devices/virtio/block.ts";
import { createVirtioMmio } from "../devices/virtio/mmio.ts";
import { createMachine } from "../create-machine.ts";
import type { Machine, MachineOptions } from "../machine.ts";
import { riscv64Processor } from "../riscv64/engine.ts";
import type { RiscvHart } from "../riscv64/hart.ts";
import { writeFdt } from "./fdt.ts";
import { VIRT } from "./virt-map.ts";
import { describeVirtBoard } from "./virt-tree.ts";

export { VIRT };

const nsPerTick = 1e9 / VIRT.timebaseHz;
const treeAlignment = 2 << 20;
const treeLimit = 3 * 2 ** 30;

export interface VirtBoardOptions {
  /** Bytes, a multiple of 4 KiB. */
  readonly ramSize: number;
  /** 1 to 8; 1 by default. */
  readonly harts?: number;
  /** Takes each byte that the guest sends to the console; by default they are dropped. */
  readonly consoleOutput?: (byte: number) => void;
  /** Disks for the virtio slots, from slot 0 on. */
  readonly disks?: readonly BlockBackend[];
  /** The kernel's command line. */
  readonly bootArguments?: string;
  /** An initial RAM disk; placed below the device tree. */
  readonly initrd?: Uint8Array;
  /** How instructions are executed; see `MachineOptions`. */
  readonly tier?: MachineOptions["tier"];
  /** What the real-time clock reads at reset; the epoch by default. */
  readonly bootTime?: { readonly seconds: number; readonly nanoseconds: number };
}

export interface VirtBoard {
  readonly machine: Machine<RiscvHart>;
  readonly uart: Uart;
  readonly plic: Plic;
  /** Physical address and bytes of the device tree. */
  readonly deviceTree: { readonly address: number; readonly blob: Uint8Array };
  /** [start, end) of the initrd in RAM, when there is one. */
  readonly initrd: { readonly start: number; readonly end: number } | undefined;
}

/** Creates the machine and the board around it. Throws a RangeError when RAM cannot hold what is asked for. */
export function createVirtBoard(options: VirtBoardOptions): VirtBoard {
  const harts = options.harts ?? 1;
  if (!Number.isInteger(harts) || harts < 1 || harts > VIRT.maxHarts) {
    throw new RangeError(`${harts} harts: 1 to ${VIRT.maxHarts} are possible`);
  }
  const { ramSize, tier = "run" } = options;
  return populateVirtBoard(
    createMachine({ processor: riscv64Processor, ramBase: VIRT.ram, ramSize, harts, tier }),
    options,
  );
}

/**
 * Attaches the board's devices to a machine, puts the device tree and the initrd into its RAM and its address into a1 of
 * each hart. Throws a RangeError when RAM cannot hold what is asked for.
 */
export function populateVirtBoard(
  machine: Machine<RiscvHart>,
  options: Omit<VirtBoardOptions, "ramSize" | "harts" | "tier">,
): VirtBoard {
  const harts = machine.harts.length;
  const disks = options.disks ?? [];
  if (disks.length > VIRT.virtioSlots) throw new RangeError(`${disks.length} disks for ${VIRT.virtioSlots} slots`);
  const { services } = machine;
  const plic = createPlic({ base: VIRT.plic, harts, services });
  const line = (source: number) => (level: boolean) => plic.setLevel(source, level);
  const uart = createUart({
    base: VIRT.uart,
    size: 0x100,
    services,
    interrupt: line(VIRT.uartIrq),
    interruptOnce: () => plic.pulse(VIRT.uartIrq),
    transmit: options.consoleOutput ?? (() => {}),
  });
  const devices = [
    createTestFinisher({ base: VIRT.test, services }),
    createGoldfishRtc({
      base: VIRT.rtc,
      services,
      interrupt: line(VIRT.rtcIrq),
      bootTime: options.bootTime ?? { seconds: 0, nanoseconds: 0 },
    }),
    createClint({ base: VIRT.clint, harts, services, nsPerTick }),
    createSswi({ base: VIRT.sswi, harts, services }),
    plic,
    uart,
    ...Array.from({ length: VIRT.virtioSlots }, (_, slot) => {
      const backend = disks[slot];
      return createVirtioMmio({
        name: `virtio${slot}`,
        base: VIRT.virtio + slot * VIRT.virtioStride,
        services,
        interrupt: line(VIRT.virtioIrq + slot),
        function: backend === undefined ? undefined : createVirtioBlock({ memory: machine.memory, backend }),
      });
    }),
  ];
  for (const device of devices) machine.attach(device);

  const placed = placeBootData(machine, options, harts);
  const argument1 = 11;
  for (const hart of machine.harts) hart.setXNumber(argument1, placed.deviceTree.address);
  return { machine, uart, plic, ...placed };
}

/** Puts the device tree and the initrd into the top of RAM. */
function placeBootData(
  machine: Machine,
  options: Pick<VirtBoardOptions, "bootArguments" | "initrd">,
  harts: number,
): Pick<VirtBoard, "deviceTree" | "initrd"> {
  const { memory } = machine;
  const write = (initrd: { start: number; end: number } | undefined): Uint8Array =>
    writeFdt(describeVirtBoard({ harts, ramSize: memory.size, bootArguments: options.bootArguments ?? "", initrd }));
  // The size of the tree does not depend on where the initrd is.
  const treeSize = write(options.initrd && { start: 0, end: 0 }).length;
  const treeAddress = alignDown(
    VIRT.ram + Math.min(memory.size, treeLimit) - treeSize,
    Math.min(treeAlignment, memory.size / 2),
  );
  const initrdAddress = alignDown(treeAddress - (options.initrd?.length ?? 0), 4096);
  if (initrdAddress < memory.base || !memory.contains(treeAddress, treeSize)) {
    throw new RangeError(`${memory.size} bytes of RAM cannot hold the device tree and the initrd`);
  }
  const initrd = options.initrd && { start: initrdAddress, end: initrdAddress + options.initrd.length };
  const blob = write(initrd);
  memory.write(treeAddress, blob);
  if (options.initrd !== undefined) memory.write(initrdAddress, options.initrd);
  return { deviceTree: { address: treeAddress, blob }, initrd };
}
