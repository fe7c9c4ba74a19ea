// Files of /sys: the settings of transparent large pages. Linux: Documentation/admin-guide/mm/transhuge.rst.
//
// sysfs is made as /proc is (tree.ts); the path of its files begins with a slash, so that none of them is in /proc.

import type { Errno } from "../../../abi/linux/errno.ts";
import type { Kernel } from "../../kernel.ts";
import { LARGE_PAGE_POLICIES, LARGE_PAGE_SIZE } from "../../mem/large-pages.ts";

interface SysfsFile {
  readonly read: (k: Kernel) => string;
  readonly write?: (k: Kernel, value: string) => 0 | Errno;
}

/** Root of sysfs, as an entry of `ProcNode`. */
export const SYSFS_ROOT = "/sys";

const LARGE_PAGES = `${SYSFS_ROOT}/kernel/mm/transparent_hugepage`;

export const SYSFS_DIRECTORIES: readonly string[] = [`${SYSFS_ROOT}/kernel`, `${SYSFS_ROOT}/kernel/mm`, LARGE_PAGES];

export const SYSFS_FILES: readonly (readonly [string, SysfsFile])[] = [
  [`${LARGE_PAGES}/enabled`, { read: readPolicy, write: writePolicy }],
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
