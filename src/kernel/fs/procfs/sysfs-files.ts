// Files of /sys: the settings of transparent large pages, and how many explicit ones there are. Linux: Documentation/admin-guide/mm/transhuge.rst.
//
// sysfs is made as /proc is (tree.ts); the path of its files begins with a slash, so that none of them is in /proc.

import { PAGE_SIZE } from "../../../lib/address.ts";
import type { Errno } from "../../../abi/linux/errno.ts";
import type { Kernel } from "../../kernel.ts";
import { LARGE_PAGE_POLICIES, LARGE_PAGE_SIZE } from "../../mem/large-pages.ts";
import { countLargePages } from "../../mem/usage.ts";

interface SysfsFile {
  readonly read: (k: Kernel) => string;
  readonly write?: (k: Kernel, value: string) => 0 | Errno;
}

/** Root of sysfs, as an entry of `ProcNode`. */
export const SYSFS_ROOT = "/sys";

const LARGE_PAGES = `${SYSFS_ROOT}/kernel/mm/transparent_hugepage`;

/** Pages of 2 MiB for MAP_HUGETLB; Linux: Documentation/admin-guide/mm/hugetlbpage.rst. */
const EXPLICIT_PAGES = `${SYSFS_ROOT}/kernel/mm/hugepages`;
const EXPLICIT_2_MIB = `${EXPLICIT_PAGES}/hugepages-2048kB`;

export const SYSFS_DIRECTORIES: readonly string[] = [
  `${SYSFS_ROOT}/kernel`,
  `${SYSFS_ROOT}/kernel/mm`,
  LARGE_PAGES,
  EXPLICIT_PAGES,
  EXPLICIT_2_MIB,
];

export const SYSFS_FILES: readonly (readonly [string, SysfsFile])[] = [
  [`${LARGE_PAGES}/enabled`, { read: readPolicy, write: writePolicy }],
  // As in /proc/meminfo: each page is one beyond a pool of none.
  [`${EXPLICIT_2_MIB}/nr_hugepages`, { read: explicitPages }],
  [`${EXPLICIT_2_MIB}/free_hugepages`, { read: () => "0\n" }],
  [`${EXPLICIT_2_MIB}/resv_hugepages`, { read: () => "0\n" }],
  [`${EXPLICIT_2_MIB}/surplus_hugepages`, { read: explicitPages }],
  [`${LARGE_PAGES}/hpage_pmd_size`, { read: () => `${LARGE_PAGE_SIZE}\n` }],
];

/** All policies, the one that holds in brackets. */
function readPolicy(k: Kernel): string {
  const { largePages } = k.state.memory;
  return `${LARGE_PAGE_POLICIES.map((policy) => (policy === largePages ? `[${policy}]` : policy)).join(" ")}\n`;
}

function writePolicy(k: Kernel, value: string): 0 | Errno {
  const policy = LARGE_PAGE_POLICIES.find((name) => name === value);
  if (policy === undefined) return "EINVAL";
  k.state.memory.largePages = policy;
  return 0;
}

function explicitPages(k: Kernel): string {
  return `${(countLargePages(k).explicit * PAGE_SIZE) / LARGE_PAGE_SIZE}\n`;
}
