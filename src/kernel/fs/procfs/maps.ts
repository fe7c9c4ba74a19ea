// /proc/PID/maps: the regions of an address space, a line each. Linux man-pages: proc_pid_maps(5).

import type { Kernel } from "../../kernel.ts";
import type { Region } from "../../mem/types.ts";
import { escapePath, hexAddress } from "./text.ts";

export function maps(k: Kernel, regions: readonly Region[]): string {
  return regions.map((region) => mapsLine(k, region)).join("");
}

/** start-end rwxp offset major:minor inode            path */
export function mapsLine(k: Kernel, region: Region): string {
  const { protection, file } = region;
  const rights =
    (protection.read ? "r" : "-") +
    (protection.write ? "w" : "-") +
    (protection.execute ? "x" : "-") +
    (region.sharing === "shared" ? "s" : "p");
  const isSharedMemory = file === undefined && region.sharing === "shared";
  const filesystem = file?.inode.filesystem ?? (isSharedMemory ? k.state.files.memory.filesystem : undefined);
  const device = `00:${(filesystem?.id ?? 0).toString(16).padStart(2, "0")}`;
  const inode = file?.inode.number ?? (isSharedMemory ? region.vmo.id : 0);
  const offset = file === undefined ? 0 : region.fileOffset;
  const place = `${hexAddress(region.start)}-${hexAddress(region.end)} ${rights} ${hexAddress(offset)} ${device} ${inode} `;
  const name = regionName(region);
  return name === "" ? `${place}\n` : `${place.padEnd(73)}${name}\n`;
}

/** What stands at the end of a line of maps. */
function regionName({ file, purpose, sharing }: Region): string {
  if (file !== undefined) return file.inode.nlink === 0 ? `${escapePath(file.path)} (deleted)` : escapePath(file.path);
  switch (purpose) {
    case "heap":
    case "stack":
    case "vdso":
      return `[${purpose}]`;
    default:
      return sharing === "shared" ? "/dev/zero (deleted)" : ""; // shared memory without a file, as Linux names it
  }
}
