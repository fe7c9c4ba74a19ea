/**
 * The board `microvm` for x86-64: what is left of a PC when nothing is there for its past. Addresses and ports are those of QEMU's
 * machine of that name where it has the device.
 *
 *   0x0000_0000  RAM               at most 3 GiB                 port 0x070  CMOS clock
 *   0xfeb0_0000  virtio slots 0-7  pins 16-23, 4 KiB apart       port 0x0f4  debug exit
 *   0xfec0_0000  I/O APIC          24 pins                       port 0x3f8  UART, pin 4
 *   0xfee0_0000  local APICs       each hart sees its own        port 0x510  fw_cfg
 *                                                                port 0x604  power, port 0xcf9 reset
 *
 * There is no 8259, no 8254 and no PCI, and no firmware. The first hart starts at the machine's resetPc in 32-bit protected mode with
 * flat segments and paging off; the others wait for INIT and a start-up message, which starts them in that same mode at its vector
 * times 4096: harts have no real mode. The time-stamp counter and the timers of the local APICs count nanoseconds.
 *
 * What QEMU's has beside: real mode, an ACPI description, virtio slots 512 bytes apart from pin 5 on.
 */
import { createIoApic, type IoApic } from "../devices/apic/io-apic.ts";
import { createLocalApics, type LocalApics } from "../devices/apic/local-apic.ts";
import { createCmosRtc } from "../devices/cmos-rtc.ts";
import { createFwCfg } from "../devices/fw-cfg.ts";
import { createDebugExit, createPowerPort, createResetPort } from "../devices/pc-control.ts";
import { createUart, type Uart } from "../devices/uart16550.ts";
import { createVirtioBlock, type BlockBackend } from "../devices/virtio/block.ts";
import { createVirtioMmio } from "../devices/virtio/mmio.ts";
import { createMachine } from "../create-machine.ts";
import type { Machine, MachineOptions } from "../machine.ts";
import { x86Processor } from "../x86_64/engine.ts";
import type { X86Hart } from "../x86_64/hart.ts";
import { MICROVM } from "./microvm-map.ts";

export { MICROVM };

export interface MicrovmOptions {
  /** Takes each byte that the guest sends to the console; by default they are dropped. */
  readonly consoleOutput?: (byte: number) => void;
  /** Disks for the virtio slots, from slot 0 on. */
  readonly disks?: readonly BlockBackend[];
  /** What the clock reads at reset; the epoch by default. */
  readonly bootTime?: { readonly seconds: number; readonly nanoseconds: number };
}

export interface MicrovmBoardOptions extends MicrovmOptions {
  /** Bytes, a multiple of 4 KiB. */
  readonly ramSize: number;
  /** 1 to 8; 1 by default. */
  readonly harts?: number;
  /** How instructions are executed; see `MachineOptions`. */
  readonly tier?: MachineOptions["tier"];
}

export interface MicrovmBoard {
  readonly machine: Machine<X86Hart>;
  readonly uart: Uart;
  readonly localApics: LocalApics;
  readonly ioApic: IoApic;
}

/** Creates the machine and the board around it. Throws a RangeError when there cannot be such a machine. */
export function createMicrovmBoard(options: MicrovmBoardOptions): MicrovmBoard {
  const { ramSize, harts = 1, tier = "run" } = options;
  return populateMicrovmBoard(
    createMachine({ processor: x86Processor, ramBase: MICROVM.ram, ramSize, harts, tier }),
    options,
  );
}

/** Attaches the board's devices to a machine whose RAM begins at 0, and each hart's local APIC to it. */
export function populateMicrovmBoard(machine: Machine<X86Hart>, options: MicrovmOptions = {}): MicrovmBoard {
  const { services } = machine;
  const disks = options.disks ?? [];
  if (disks.length > MICROVM.virtioSlots) {
    throw new RangeError(`${disks.length} disks for ${MICROVM.virtioSlots} slots`);
  }
  if (machine.memory.size > MICROVM.maxRamSize) throw new RangeError("RAM reaches into the devices");
  const localApics = createLocalApics({
    base: MICROVM.localApic,
    harts: machine.harts.length,
    services,
    endOfInterrupt: (vector) => ioApic.endOfInterrupt(vector),
    onEnabled: () => ioApic.retry(),
  });
  const ioApic = createIoApic({ base: MICROVM.ioApic, send: (message) => localApics.deliver(message) });
  const line = (pin: number) => (level: boolean) => ioApic.setLevel(pin, level);
  const uart = createUart({
    base: MICROVM.uartPort,
    services,
    interrupt: line(MICROVM.uartIrq),
    interruptOnce: () => ioApic.pulse(MICROVM.uartIrq),
    transmit: options.consoleOutput ?? (() => {}),
  });
  const devices = [
    localApics,
    ioApic,
    ...Array.from({ length: MICROVM.virtioSlots }, (_, slot) => {
      const backend = disks[slot];
      return createVirtioMmio({
        name: `virtio${slot}`,
        base: MICROVM.virtio + slot * MICROVM.virtioStride,
        services,
        interrupt: line(MICROVM.virtioIrq + slot),
        function: backend === undefined ? undefined : createVirtioBlock({ memory: machine.memory, backend }),
      });
    }),
  ];
  const ports = [
    uart,
    createCmosRtc({
      base: MICROVM.rtcPort,
      services,
      bootTime: options.bootTime ?? { seconds: 0, nanoseconds: 0 },
    }),
    createDebugExit({ base: MICROVM.debugExitPort, services }),
    createFwCfg({ base: MICROVM.fwCfgPort, ramSize: machine.memory.size, harts: machine.harts.length }),
    createPowerPort({ base: MICROVM.powerPort, services }),
    createResetPort({ base: MICROVM.resetPort, services }),
  ];
  for (const device of devices) machine.attach(device);
  for (const device of ports) machine.attachPorts(device);
  for (const hart of machine.harts) hart.attachLocalApic(localApics.port(hart.id));
  return { machine, uart, localApics, ioApic };
}
