// Settings of memory that a running system may change: /proc/sys/vm, and kernel.randomize_va_space.
// Linux: Documentation/admin-guide/sysctl/vm.rst and kernel.rst.

import type { Errno } from "../../../abi/linux/errno.ts";
import type { Kernel } from "../../kernel.ts";
import type { OvercommitMode } from "../../mem/overcommit.ts";

interface Setting {
  readonly read: (k: Kernel) => string;
  readonly write: (k: Kernel, value: string) => 0 | Errno;
}

/** Most that vm.max_map_count may be raised to: each region is a record of the host. */
const MOST_REGIONS = 1 << 20;
const INT_MAX = 2 ** 31 - 1;

/** By path below /proc. */
export const MEMORY_SETTINGS: readonly (readonly [string, Setting])[] = [
  [
    "sys/kernel/randomize_va_space",
    integer(0, 2, {
      get: (k) => k.state.memory.settings.randomizeLayout,
      set: (k, value) => (k.state.memory.settings.randomizeLayout = value),
    }),
  ],
  [
    "sys/vm/max_map_count",
    integer(0, MOST_REGIONS, {
      get: (k) => k.state.memory.settings.maxMapCount,
      set: (k, value) => (k.state.memory.settings.maxMapCount = value),
    }),
  ],
  [
    "sys/vm/mmap_min_addr",
    integer(0, INT_MAX, {
      get: (k) => k.state.memory.settings.minimumAddress,
      set: (k, value) => (k.state.memory.settings.minimumAddress = value),
    }),
  ],
  [
    "sys/vm/overcommit_memory",
    integer(0, 2, {
      get: (k) => k.state.memory.overcommit.mode,
      set: (k, value) => (k.state.memory.overcommit.mode = value as OvercommitMode), // `integer` admits its three values only
    }),
  ],
  [
    "sys/vm/overcommit_ratio",
    integer(0, INT_MAX, {
      get: (k) => k.state.memory.overcommit.ratio,
      set: (k, value) => (k.state.memory.overcommit.ratio = value),
    }),
  ],
];

/** A decimal number from `least` to `most`; anything else is EINVAL and changes nothing. */
function integer(
  least: number,
  most: number,
  { get, set }: { get: (k: Kernel) => number; set: (k: Kernel, value: number) => void },
): Setting {
  return {
    read: (k) => `${get(k)}\n`,
    write(k, text) {
      const value = /^[+-]?[0-9]{1,15}$/.test(text) ? Number(text) : NaN;
      if (!(value >= least && value <= most)) return "EINVAL";
      set(k, value);
      return 0;
    },
  };
}
