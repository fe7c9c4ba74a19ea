// /proc/cpuinfo as Linux shows it on x86.

import type { Kernel } from "../../kernel.ts";

/** What the processor has, by the names that Linux gives the CPUID bits; what this kernel leaves off (xsave) is not among them. */
const FLAGS =
  "fpu tsc msr pae cx8 apic sep pge cmov pat clflush mmx fxsr sse sse2 syscall nx pdpe1gb rdtscp lm constant_tsc " +
  "nopl nonstop_tsc cpuid tsc_known_freq pni ssse3 cx16 pcid sse4_1 sse4_2 popcnt tsc_deadline_timer hypervisor lahf_lm pti " +
  "fsgsbase smep smap invpcid";

/** One paragraph for each hart. */
export function cpuInfo(k: Kernel): string {
  return k.machine.harts
    .map(({ id }) => {
      const rows = [
        ["processor", `${id}`],
        ["vendor_id", "Vitrine"],
        ["cpu family", "6"],
        ["model", "0"],
        ["model name", "Vitrine x86-64-v2"],
        ["stepping", "0"],
        ["cpu MHz", "1000.000"],
        ["physical id", "0"],
        ["siblings", `${k.machine.harts.length}`],
        ["core id", `${id}`],
        ["cpu cores", `${k.machine.harts.length}`],
        ["apicid", `${id}`],
        ["fpu", "yes"],
        ["fpu_exception", "yes"],
        ["wp", "yes"],
        ["flags", FLAGS],
        ["bogomips", "2000.00"],
        ["clflush size", "64"],
        ["cache_alignment", "64"],
        ["address sizes", "40 bits physical, 48 bits virtual"],
      ];
      return rows.map(([name = "", value]) => `${name}${name.length < 8 ? "\t\t" : "\t"}: ${value}\n`).join("");
    })
    .join("\n");
}
