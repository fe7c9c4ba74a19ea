// /proc/cpuinfo as Linux shows it on x86.

import type { Kernel } from "../../kernel.ts";

/** What CPUID says the processor has and this kernel does not leave off (as it does xsave), by Linux's names for the bits. */
const FLAGS =
  "fpu de pse tsc msr pae mce cx8 apic sep pge mca cmov pat pse36 clflush mmx fxsr sse sse2 syscall nx pdpe1gb rdtscp lm " +
  "constant_tsc nopl nonstop_tsc cpuid tsc_known_freq pni ssse3 cx16 pcid sse4_1 sse4_2 popcnt tsc_deadline_timer lahf_lm " +
  "3dnowprefetch pti fsgsbase smep erms invpcid smap arat arch_capabilities";

/** One paragraph for each hart. */
export function cpuInfo(k: Kernel): string {
  return k.machine.harts
    .map(({ id }) => {
      const rows = [
        ["processor", `${id}`],
        ["vendor_id", "GenuineIntel"],
        ["cpu family", "6"],
        ["model", "26"],
        ["model name", "Vitrine x86-64"],
        ["stepping", "5"],
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
        ["address sizes", "46 bits physical, 48 bits virtual"],
      ];
      return rows.map(([name = "", value]) => `${name}${name.length < 8 ? "\t\t" : "\t"}: ${value}\n`).join("");
    })
    .join("\n");
}
