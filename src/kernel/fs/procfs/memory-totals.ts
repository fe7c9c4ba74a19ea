// /proc/meminfo, vmstat and swaps: memory as a whole. Linux man-pages: proc_meminfo(5), proc_vmstat(5), proc_swaps(5); names as in
// Linux's fs/proc/meminfo.c, mm/vmstat.c and mm/swapfile.c. Rows that nothing here stands behind (LRU lists, slabs, zones) are left out,
// but for those that old programs take for granted.

import { PAGE_SIZE } from "../../../lib/address.ts";
import type { Kernel } from "../../kernel.ts";
import { LARGE_PAGE_SIZE } from "../../mem/large-pages.ts";
import { commitLimit } from "../../mem/overcommit.ts";
import { swapTotals } from "../../mem/swap-slots.ts";
import { availablePages, countLargePages, countObjects, countOwners, directMapBytes } from "../../mem/usage.ts";

export function memoryInfo(k: Kernel): string {
  const { frames, committedPages, swap } = k.state.memory;
  const owners = countOwners(k);
  const objects = countObjects(k);
  const large = countLargePages(k);
  const slots = swapTotals(k);
  const explicit = (large.explicit * PAGE_SIZE) / LARGE_PAGE_SIZE;
  const pages: readonly (readonly [string, number])[] = [
    ["MemTotal", frames.frameCount],
    ["MemFree", frames.freeCount],
    ["MemAvailable", availablePages(k)],
    ["Buffers", 0],
    ["Cached", owners.file + objects.sharedMemory],
    ["SwapCached", swap.frames.size],
    ["SwapTotal", slots.total],
    ["SwapFree", slots.free],
    ["Dirty", objects.dirty],
    ["Writeback", 0],
    ["AnonPages", owners.anonymous + owners.freeable - objects.sharedMemory],
    ["Mapped", objects.mapped],
    ["Shmem", objects.sharedMemory],
    ["Slab", 0],
    ["SReclaimable", 0],
    ["SUnreclaim", 0],
    ["KernelStack", owners["kernel-stack"]],
    ["PageTables", owners["page-table"]],
    ["CommitLimit", commitLimit(k)],
    ["Committed_AS", committedPages],
    ["AnonHugePages", large.anonymous],
    ["ShmemHugePages", large.sharedMemory],
    ["ShmemPmdMapped", large.sharedMemory],
  ];
  // Pages for MAP_HUGETLB come from free memory when they are wanted: each is one beyond a pool of none.
  const counts = [
    ["HugePages_Total", explicit],
    ["HugePages_Free", 0],
    ["HugePages_Rsvd", 0],
    ["HugePages_Surp", explicit],
  ] as const;
  const direct = directMapBytes(k).map((bytes, level) => [DIRECT_MAP_NAMES[level], bytes / PAGE_SIZE] as const);
  return [
    ...pages.map(([name, value]) => row(name, value)),
    ...counts.map(([name, value]) => `${`${name}:`.padEnd(16)}${String(value).padStart(8)}\n`),
    row("Hugepagesize", LARGE_PAGE_SIZE / PAGE_SIZE),
    row("Hugetlb", large.explicit),
    ...direct.flatMap(([name, value]) => (name === undefined ? [] : row(name, value))),
  ].join("");
}

/** By level of the leaf. */
const DIRECT_MAP_NAMES: readonly string[] = ["DirectMap4k", "DirectMap2M", "DirectMap1G"];

function row(name: string, pages: number): string {
  return `${`${name}:`.padEnd(16)}${String((pages * PAGE_SIZE) / 1024).padStart(8)} kB\n`;
}

export function memoryStatistics(k: Kernel): string {
  const { counters, memory } = k.state;
  const { statistics, shootdowns, frames, swap } = memory;
  const owners = countOwners(k);
  const objects = countObjects(k);
  const rows: readonly (readonly [string, number])[] = [
    ["nr_free_pages", frames.freeCount],
    ["nr_anon_pages", owners.anonymous + owners.freeable - objects.sharedMemory],
    ["nr_mapped", objects.mapped],
    ["nr_file_pages", owners.file + objects.sharedMemory + swap.frames.size],
    ["nr_dirty", objects.dirty],
    ["nr_writeback", 0],
    ["nr_shmem", objects.sharedMemory],
    ["nr_anon_transparent_hugepages", (countLargePages(k).anonymous * PAGE_SIZE) / LARGE_PAGE_SIZE],
    ["nr_page_table_pages", owners["page-table"]],
    ["nr_kernel_stack", (owners["kernel-stack"] * PAGE_SIZE) / 1024],
    ["nr_swapcached", swap.frames.size],
    ["pswpin", statistics.swapIns],
    ["pswpout", statistics.swapOuts],
    ["pgfault", counters.minorFaults + counters.majorFaults],
    ["pgmajfault", counters.majorFaults],
    // There is no thread of the kernel's for it: whoever needs frames, or leaves the kernel when they are few, reclaims.
    ["pgsteal_kswapd", 0],
    ["pgsteal_direct", statistics.framesReclaimed],
    ["pgscan_kswapd", 0],
    ["pgscan_direct", statistics.framesScanned],
    ["pgactivate", statistics.framesSpared],
    ["oom_kill", statistics.outOfMemoryKills],
    ["thp_fault_alloc", statistics.largePagesMade],
    ["thp_fault_fallback", statistics.largePagesRefused],
    ["thp_split_pmd", statistics.largePagesSplit],
    ["nr_tlb_remote_flush", shootdowns.counters.sent],
    ["nr_tlb_remote_flush_received", shootdowns.counters.received],
    ["nr_tlb_local_flush_all", shootdowns.counters.everything],
    ["nr_tlb_local_flush_one", shootdowns.counters.pages],
  ];
  return rows.map(([name, value]) => `${name} ${value}\n`).join("");
}

export function swapAreas(k: Kernel): string {
  const rows = k.state.memory.swap.areas.flatMap((area) => {
    if (area === undefined) return [];
    const pages = area.pages - 1 - area.badCount;
    const size = (pages * PAGE_SIZE) / 1024;
    const used = ((pages - area.freeCount) * PAGE_SIZE) / 1024;
    const tab = (kib: number): string => (kib < 10_000_000 ? "\t" : "");
    return `${`/dev/${area.device}`.padEnd(39)} partition\t${size}\t${tab(size)}${used}\t${tab(used)}${area.priority}\n`;
  });
  return `Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n${rows.join("")}`;
}
