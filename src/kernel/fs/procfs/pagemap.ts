// /proc/PID/pagemap: 8 bytes for each virtual page. Linux Documentation/admin-guide/mm/pagemap.rst.
//
//   63 present   61 file page or shared anonymous   56 mapped by this process alone   54..0 frame number

import type { Errno } from "../../../abi/linux/errno.ts";
import { PAGE_SIZE, virtAddr } from "../../../lib/address.ts";
import { writeU32 } from "../../../lib/bytes.ts";
import type { Kernel } from "../../kernel.ts";
import { frameShareCount } from "../../mem/frames.ts";
import { query } from "../../mem/page-table.ts";
import { findRegion } from "../../mem/regions.ts";
import { frameOf, physAddr } from "../../../lib/address.ts";
import type { Inode } from "../types.ts";

const PRESENT = 0x8000_0000;
const FILE_OR_SHARED = 0x2000_0000;
const EXCLUSIVE = 0x0100_0000;

/** Reads entries at `offset`; undefined when the inode is not a pagemap. Offsets and lengths are multiples of 8. */
export function readPagemap(k: Kernel, inode: Inode, offset: number, target: Uint8Array): number | Errno | undefined {
  if (inode.content.kind !== "procfs" || inode.content.node.entry !== "pagemap") return undefined;
  const process = k.state.processes.get(inode.content.node.pid ?? 0);
  if (process === undefined || process.state.kind === "zombie") return "ESRCH";
  if (offset % 8 !== 0 || target.length % 8 !== 0) return "EINVAL";
  const end = k.arch.layout.userTop / PAGE_SIZE;
  let done = 0;
  for (let page = offset / 8; page < end && done < target.length; page++, done += 8) {
    const address = virtAddr(page * PAGE_SIZE);
    const found = query(k, process.space, address);
    if (found === undefined) {
      target.fill(0, done, done + 8);
      continue;
    }
    const frame = frameOf(physAddr(found.physical));
    const region = findRegion(process.space, address);
    let high = PRESENT;
    if (region?.file !== undefined || region?.sharing === "shared") high += FILE_OR_SHARED;
    if (frameShareCount(k, frame) === 1) high += EXCLUSIVE;
    writeU32(target, done, frame);
    writeU32(target, done + 4, high);
  }
  return done;
}
