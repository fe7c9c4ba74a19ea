// Checks the numbered invariants of files over the whole state (docs/invariants.md). Slow: for tests, after each kernel entry.
//
// INV-40  an open file has as many references as descriptors hold it; an inode as many as open files and mappings hold it
// INV-41  a pipe's ends are its open files' access modes, and a pipe with neither is gone
// INV-42  link counts, places, and what a tmpfs has charged agree with its tree
// INV-43  no descriptor below a table's lowest-free mark is free

import { O_ACCMODE, O_RDONLY, O_WRONLY } from "../../abi/linux/open-flags.ts";
import { PAGE_SIZE } from "../../lib/address.ts";
import { regionsOf } from "../mem/region-tree.ts";
import type { Kernel } from "../kernel.ts";
import type { Filesystem, FileTable, Inode, OpenFile } from "./types.ts";

/** What does not hold, in words; empty when all is well. */
export function checkFileInvariants(k: Kernel): string[] {
  const problems: string[] = [];
  const uses = checkReferences(k, problems);
  checkPipes(k, problems);
  const { memory, mounts } = k.state.files;
  for (const filesystem of new Set([memory, ...mounts].map((mount) => mount.filesystem))) {
    if (filesystem.kind === "tmpfs" || filesystem.kind === "devfs") checkTree(filesystem, uses, problems);
  }
  return problems;
}

/** INV-40 and INV-43. Returns how often each inode is held. */
function checkReferences(k: Kernel, problems: string[]): Map<Inode, number> {
  const held = new Map<OpenFile, number>();
  const tables = new Set<FileTable>();
  for (const { files, threads } of k.state.processes.values()) if (threads.length > 0) tables.add(files);
  for (const { descriptors, lowestFree } of tables) {
    for (const [fd, descriptor] of descriptors.entries()) {
      if (descriptor !== undefined) held.set(descriptor.file, (held.get(descriptor.file) ?? 0) + 1);
      else if (fd < lowestFree) problems.push(`INV-43: descriptor ${fd} is free, below the mark ${lowestFree}`);
    }
  }
  const uses = new Map<Inode, number>();
  for (const file of k.state.files.openFiles) {
    const count = held.get(file) ?? 0;
    if (file.references !== count) {
      problems.push(
        `INV-40: open file ${file.id} (${file.kind}) has ${file.references} references, ${count} descriptors`,
      );
    }
    uses.set(file.inode, (uses.get(file.inode) ?? 0) + 1);
  }
  for (const space of k.state.memory.spaces.values()) {
    for (const { file } of regionsOf(space)) {
      if (file !== undefined) uses.set(file.inode, (uses.get(file.inode) ?? 0) + 1);
    }
  }
  for (const { id, attaches, inode } of k.state.sharedMemory.segments.values()) {
    const mapped = uses.get(inode) ?? 0;
    if (attaches !== mapped)
      problems.push(`INV-40: segment ${id} counts ${attaches} attaches, ${mapped} regions show it`);
    uses.set(inode, mapped + 1);
  }
  for (const file of held.keys()) {
    if (!k.state.files.openFiles.has(file))
      problems.push(`INV-40: a descriptor holds file ${file.id}, which is closed`);
  }
  for (const [inode, count] of uses) {
    const expected = count + (inode === inode.filesystem.root ? 1 : 0);
    if (inode.references !== expected) {
      problems.push(`INV-40: ${describe(inode)} has ${inode.references} references, ${expected} uses`);
    }
  }
  return uses;
}

function checkPipes(k: Kernel, problems: string[]): void {
  const { openFiles, pipes } = k.state.files;
  const ends = new Map<number, { readers: number; writers: number }>();
  for (const { pipe, flags } of openFiles) {
    if (pipe === undefined) continue;
    const count = ends.get(pipe) ?? { readers: 0, writers: 0 };
    if ((flags & O_ACCMODE) !== O_WRONLY) count.readers += 1;
    if ((flags & O_ACCMODE) !== O_RDONLY) count.writers += 1;
    ends.set(pipe, count);
    if (!pipes.has(pipe)) problems.push(`INV-41: pipe ${pipe} is open and gone`);
  }
  for (const pipe of pipes.values()) {
    const { readers, writers } = ends.get(pipe.id) ?? { readers: 0, writers: 0 };
    if (pipe.readers !== readers || pipe.writers !== writers) {
      problems.push(
        `INV-41: pipe ${pipe.id} counts ${pipe.readers}+${pipe.writers} ends, ${readers}+${writers} are open`,
      );
    }
    if (pipe.length > pipe.capacity)
      problems.push(`INV-41: pipe ${pipe.id} holds ${pipe.length} of ${pipe.capacity} bytes`);
  }
}

/** INV-42: walks the names of a tmpfs, then adds what is open without a name. */
function checkTree(filesystem: Filesystem, uses: ReadonlyMap<Inode, number>, problems: string[]): void {
  const names = new Map<Inode, number>();
  const waiting = [filesystem.root];
  names.set(filesystem.root, 1);
  for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
    if (directory.content.kind !== "tmpfs-directory") continue;
    let folders = 0;
    for (const [name, inode] of directory.content.entries) {
      names.set(inode, (names.get(inode) ?? 0) + 1);
      if (inode.kind !== "directory") continue;
      folders += 1;
      waiting.push(inode);
      if (inode.place?.parent !== directory || inode.place.name !== name) {
        problems.push(`INV-42: ${describe(inode)} does not know its place, ${JSON.stringify(name)}`);
      }
    }
    if (directory.nlink !== folders + 2) {
      problems.push(`INV-42: ${describe(directory)} has ${directory.nlink} links and ${folders} folders`);
    }
  }
  let furtherNames = 0;
  for (const [inode, count] of names) {
    furtherNames += Math.max(0, count - 1);
    if (inode.kind !== "directory" && inode.nlink !== count) {
      problems.push(`INV-42: ${describe(inode)} has ${inode.nlink} links and ${count} names`);
    }
  }
  for (const inode of uses.keys()) if (inode.filesystem === filesystem && !names.has(inode)) names.set(inode, 0);
  let pages = 0;
  for (const { content } of names.keys()) if (content.kind === "tmpfs-file") pages += content.pages;
  if (filesystem.usedBytes !== pages * PAGE_SIZE) {
    problems.push(`INV-42: ${filesystem.usedBytes} bytes are charged for ${pages} pages on ${filesystem.source}`);
  }
  if (filesystem.inodeCount !== names.size + furtherNames) {
    problems.push(
      `INV-42: ${filesystem.inodeCount} inodes are counted, ${names.size + furtherNames} are there, further names included, on ${filesystem.source}`,
    );
  }
}

function describe(inode: Inode): string {
  return `${inode.kind} ${inode.filesystem.source}:${inode.number}`;
}
