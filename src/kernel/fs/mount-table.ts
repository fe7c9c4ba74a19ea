// The mount table: which mount covers which place, and where a place lies in the one tree that they make.
//
//   mount.root -- over --> PathRef in the parent mount
//
// Several mounts may cover one place; the latest is seen. Linux man-pages: mount_namespaces(7), path_resolution(7).

import type { Kernel } from "../kernel.ts";
import type { Process } from "../process/types.ts";
import { isSameInode } from "./inode.ts";
import type { Mount, PathRef } from "./types.ts";

/** The root of the whole tree. */
export function rootRef(k: Kernel): PathRef {
  const [mount] = k.state.files.mounts;
  if (mount === undefined) throw new RangeError("nothing is mounted yet");
  return mountRootRef(topMount(k, mount));
}

export function mountRootRef(mount: Mount): PathRef {
  return { mount, inode: mount.root, parent: undefined, name: "" };
}

/** What one sees at `ref`: the root of the last mount over it, or itself. */
export function seenThrough(k: Kernel, ref: PathRef): PathRef {
  let seen = ref;
  for (let next = mountOver(k, seen); next !== undefined; next = mountOver(k, seen)) seen = mountRootRef(next);
  return seen;
}

/** The mount directly over a place. */
export function mountOver(k: Kernel, ref: PathRef): Mount | undefined {
  if (k.state.files.mounts.length === 1) return undefined;
  return k.state.files.mounts.findLast(
    ({ over }) => over !== undefined && over.mount === ref.mount && isSameInode(over.inode, ref.inode),
  );
}

function topMount(k: Kernel, mount: Mount): Mount {
  const over = mountOver(k, mountRootRef(mount));
  return over === undefined ? mount : topMount(k, over);
}

/** Whether some mount covers the directory, whichever mount it is reached through. */
export function isMountPoint(k: Kernel, ref: PathRef): boolean {
  return mountOver(k, ref) !== undefined || ref.inode === ref.mount.root;
}

export function isSamePlace(a: PathRef, b: PathRef): boolean {
  return a.mount === b.mount && isSameInode(a.inode, b.inode);
}

/** ".." of a directory for a process: never above its root directory. */
export function parentOf(k: Kernel, process: Process, ref: PathRef): PathRef {
  let place = ref;
  for (;;) {
    if (isSamePlace(place, process.fs.root)) return place;
    if (place.inode !== place.mount.root) break;
    if (place.mount.over === undefined) return place;
    place = place.mount.over;
  }
  const up = directoryAbove(place);
  return up === undefined ? place : seenThrough(k, up);
}

/** The directory that holds a place, within its mount. */
function directoryAbove(ref: PathRef): PathRef | undefined {
  if (ref.inode.kind === "directory" && ref.inode.place !== undefined) {
    const inode = ref.inode.place.parent;
    return { mount: ref.mount, inode, parent: undefined, name: inode.place?.name ?? "" };
  }
  return ref.parent;
}

/**
 * Absolute path of a place as seen from `root`, as getcwd and /proc show it. `reachable` is false when it lies outside the root
 * (path is then from the root of all), `deleted` when its name is gone.
 */
export function pathOf(ref: PathRef, root: PathRef): { path: string; reachable: boolean; deleted: boolean } {
  const names: string[] = [];
  let deleted = false;
  let reachable = true;
  let place: PathRef | undefined = ref;
  while (place !== undefined && !isSamePlace(place, root)) {
    if (place.inode === place.mount.root) {
      if (place.mount.over === undefined) reachable = isSamePlace(place, root);
      place = place.mount.over;
      continue;
    }
    if (place.inode.nlink === 0) deleted = true;
    names.push(place.inode.kind === "directory" ? (place.inode.place?.name ?? place.name) : place.name);
    place = directoryAbove(place);
  }
  return { path: `/${names.reverse().join("/")}`, reachable, deleted };
}
