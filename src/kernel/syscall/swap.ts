// swapon and swapoff (swapon(2)): block devices of the host come into use for swap and go out of it (mem/swap-areas.ts).

import { BLOCK_MAJOR } from "../fs/devfs.ts";
import { failed } from "../fs/inode.ts";
import { AT_FDCWD } from "../../abi/linux/open-flags.ts";
import type { Errno } from "../../abi/linux/errno.ts";
import { now } from "../kernel.ts";
import { cancelSwapOff, swapOff, swapOn } from "../mem/swap-areas.ts";
import { hasDeliverableSignal } from "../process/signals.ts";
import { block } from "../wait.ts";
import { placeAt } from "./files-common.ts";
import { defineCall, type Call, type SyscallRow } from "./row.ts";

/** swapon(2): a priority in the low 15 bits; freed slots may be discarded, which changes nothing here. */
const SWAP_FLAG_PREFER = 0x8000;
const SWAP_FLAG_PRIORITY = 0x7fff;
const SWAP_FLAGS = SWAP_FLAG_PREFER | SWAP_FLAG_PRIORITY | 0x10000 | 0x20000 | 0x40000;

const swapon = defineCall({
  name: "swapon",
  args: [
    { name: "path", type: "path" },
    { name: "swapflags", type: "int" },
  ],
  result: "int",
  handler: (call, path, flags) => {
    if ((flags & ~SWAP_FLAGS) !== 0) return "EINVAL";
    const device = deviceAt(call, path);
    if (typeof device !== "object") return device;
    return swapOn(call.k, device.name, (flags & SWAP_FLAG_PREFER) === 0 ? undefined : flags & SWAP_FLAG_PRIORITY);
  },
});

const swapoff = defineCall({
  name: "swapoff",
  args: [{ name: "path", type: "path" }],
  result: "int",
  handler: (call, path) => {
    const { k, thread } = call;
    const device = deviceAt(call, path);
    if (typeof device !== "object") return device;
    const result = swapOff(k, device.name);
    if (result !== "more") return result;
    if (hasDeliverableSignal(k, thread)) {
      cancelSwapOff(k);
      return "EINTR";
    }
    // Others get their turn after each batch; the call goes on where the area has got to.
    return block(k, thread, [], now(k));
  },
});

export const swapCalls: readonly SyscallRow[] = [swapon, swapoff];

/** The block device that a path names. EPERM for anyone but the superuser; EINVAL for what is no device of the host. */
function deviceAt(call: Call, path: string): { readonly name: string } | Errno {
  if (call.process.credentials.euid !== 0) return "EPERM";
  const ref = placeAt(call, AT_FDCWD, path, { followLast: true });
  if (failed(ref)) return ref;
  const { kind, device } = ref.inode;
  if (kind !== "block" || device?.major !== BLOCK_MAJOR) return "EINVAL";
  const name = [...call.k.host.blockDevices.keys()][device.minor];
  return name === undefined ? "ENXIO" : { name };
}
