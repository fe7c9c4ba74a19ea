// A kernel whose memory is up and that runs nothing: for tests of frames, tables and address spaces from the inside.

import { CSR } from "../../src/isa/riscv64/csrs.ts";
import type { Arch } from "../../src/kernel/arch/arch.ts";
import { start as startRiscv64 } from "../../src/kernel/arch/riscv64/boot.ts";
import { hartOf } from "../../src/kernel/arch/riscv64/context.ts";
import { CR0, CR4, EFER } from "../../src/isa/x86_64/registers.ts";
import { rootRegisterOf, start as startX86 } from "../../src/kernel/arch/x86_64/boot.ts";
import { hartOf as x86HartOf } from "../../src/kernel/arch/x86_64/context.ts";
import type { HostPorts } from "../../src/kernel/host.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import type { Architecture } from "../../src/system/platform.ts";
import { PLATFORMS } from "./architectures.ts";
import { createKernelState } from "../../src/system/state.ts";

export interface MemoryKernelOptions {
  readonly memoryBytes?: number;
  readonly harts?: number;
  readonly blockDevices?: HostPorts["blockDevices"];
  readonly directories?: HostPorts["directories"];
  /** What is different from the architecture as it is. */
  readonly changes?: Partial<Arch>;
}

export function createMemoryKernel(arch: Architecture, options: MemoryKernelOptions = {}): Kernel {
  const bootTime = { seconds: 0, nanoseconds: 0 };
  const harts = options.harts ?? 1;
  const platform = PLATFORMS[arch]({
    memoryBytes: options.memoryBytes ?? 16 << 20,
    harts,
    bootTime,
    consoleOutput: () => {},
  });
  const { machine } = platform;
  const config = { bootTime, randomSeed: 0, commandLine: "", checkInvariants: true };
  const kernel: Kernel = {
    state: createKernelState(config, machine.memory, harts),
    arch: { ...platform.arch, ...options.changes },
    machine,
    memory: machine.memory,
    host: {
      channels: new Map(),
      directories: options.directories ?? new Map(),
      blockDevices: options.blockDevices ?? new Map(),
    },
    probes: {},
  };
  BRING_UP[arch](kernel);
  return kernel;
}

/** What the boot code does before the kernel's `start`, as far as memory depends on it, and then that. */
const BRING_UP: Readonly<Record<Architecture, (k: Kernel) => void>> = {
  riscv64(k) {
    for (const { id } of k.machine.harts) {
      const hart = hartOf(k, id);
      // All of memory is open to user mode, as the boot code leaves it.
      hart.writeCsr(CSR.pmpaddr0, -1, 0x3fffff);
      hart.writeCsr(CSR.pmpcfg0, 0x1f, 0);
    }
    startRiscv64(k);
  },
  x86_64(k) {
    startX86(k);
    const root = rootRegisterOf(k.state.memory.kernelSpace, 0);
    for (const { id } of k.machine.harts) {
      const hart = x86HartOf(k, id);
      hart.setSystemRegister("cr4", CR4.PAE | CR4.PGE | CR4.PCIDE, 0);
      hart.setSystemRegister("efer", EFER.SCE | EFER.LME | EFER.LMA | EFER.NXE, 0);
      hart.setSystemRegister("cr3", root.lo, root.hi);
      hart.setSystemRegister("cr0", CR0.PG | CR0.WP | CR0.NE | CR0.ET | CR0.PE, 0);
    }
  },
};
