// Runs a program under qemu-riscv64 (user mode).

import type { Runner } from "./differential.ts";
import { DATA_BASE, TEXT_BASE } from "./program.ts";
import { runStaticElf } from "./static-elf.ts";

export const QEMU = "qemu-riscv64";
const COMMAND = [QEMU, "-cpu", "rv64,zba=true,zbb=true,zbs=true"];

const MACHINE_RISCV = 243;
const FLAGS_DOUBLE_RVC = 5;
const TARGET = {
  machine: MACHINE_RISCV,
  flags: FLAGS_DOUBLE_RVC,
  entry: TEXT_BASE,
  textBase: TEXT_BASE,
  dataBase: DATA_BASE,
};

/** Runs a program under qemu to its end. */
export const runUnderQemu: Runner = (image) => ({ data: runStaticElf(image, TARGET, COMMAND), failure: undefined });
