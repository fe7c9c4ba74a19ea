// A kernel whose memory is up and that runs nothing: for tests of frames, tables and address spaces from the inside.

import { CSR } from "../../src/isa/riscv64/csrs.ts";
import { createPlatform } from "../../src/system/platform.ts";
import { createKernelState } from "../../src/system/state.ts";
import { start } from "../../src/kernel/arch/riscv64/boot.ts";
import { hartOf } from "../../src/kernel/arch/riscv64/context.ts";
import type { Arch } from "../../src/kernel/arch/arch.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";

export interface MemoryKernelOptions {
  readonly memoryBytes?: number;
  readonly harts?: number;
  readonly arch?: Partial<Arch>;
}

export function createMemoryKernel(options: MemoryKernelOptions = {}): Kernel {
  const bootTime = { seconds: 0, nanoseconds: 0 };
  const harts = options.harts ?? 1;
  const platform = createPlatform("riscv64", {
    memoryBytes: options.memoryBytes ?? 16 << 20,
    harts,
    bootTime,
    consoleOutput: () => {},
  });
  const { machine } = platform;
  const config = { bootTime, randomSeed: 0, commandLine: "", checkInvariants: true };
  const kernel: Kernel = {
    state: createKernelState(config, machine.memory, harts),
    arch: { ...platform.arch, ...options.arch },
    machine,
    memory: machine.memory,
    host: { channels: new Map(), directories: new Map() },
    probes: {},
  };
  for (const { id } of machine.harts) {
    const hart = hartOf(kernel, id);
    // All of memory is open to user mode, as the boot code leaves it.
    hart.writeCsr(CSR.pmpaddr0, -1, 0x3fffff);
    hart.writeCsr(CSR.pmpcfg0, 0x1f, 0);
  }
  start(kernel);
  return kernel;
}
