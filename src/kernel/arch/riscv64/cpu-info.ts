// /proc/cpuinfo as Linux shows it on riscv64.

import type { Kernel } from "../../kernel.ts";

const ISA = "rv64imafdc_zicsr_zifencei_zba_zbb_zbs_sstc";

/** One paragraph for each hart. */
export function cpuInfo(k: Kernel): string {
  return k.machine.harts
    .map(({ id }) => {
      const rows = [
        ["processor", `${id}`],
        ["hart", `${id}`],
        ["isa", ISA],
        ["mmu", "sv39"],
      ];
      return rows.map(([name, value]) => `${name}\t: ${value}\n`).join("");
    })
    .join("\n");
}
