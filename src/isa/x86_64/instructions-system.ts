// Rows of the instruction table: segments, system registers, interrupts, ports, state areas. The format is in
// instruction-rows.ts.
//
// Mnemonics such as mov and push are both here, for segment, control and debug registers, and among the base rows.
//
// Intel SDM volume 2, chapters 3 to 5; volume 3, 2.8 (system instructions).

import { rows } from "./instruction-rows.ts";

export const SYSTEM_ROWS = rows([
  // Segment registers
  ["mov", "8C /r", "Evw,Sw"],
  ["mov", "8E /r", "Sw,Ew"],
  ["push", "06", "ES", "i64"],
  ["pop", "07", "ES", "i64"],
  ["push", "0E", "CS", "i64"],
  ["push", "16", "SS", "i64"],
  ["pop", "17", "SS", "i64"],
  ["push", "1E", "DS", "i64"],
  ["pop", "1F", "DS", "i64"],
  ["push", "0F A0", "FS", "d64"],
  ["pop", "0F A1", "FS", "d64"],
  ["push", "0F A8", "GS", "d64"],
  ["pop", "0F A9", "GS", "d64"],
  ["les", "C4 /r", "Gv,Mp", "i64"],
  ["lds", "C5 /r", "Gv,Mp", "i64"],
  ["lss", "0F B2 /r", "Gv,Mp"],
  ["lfs", "0F B4 /r", "Gv,Mp"],
  ["lgs", "0F B5 /r", "Gv,Mp"],
  ["lar", "0F 02 /r", "Gv,Evw"],
  ["lsl", "0F 03 /r", "Gv,Evw"],
  ["verr", "0F 00 /4", "Ew"],
  ["verw", "0F 00 /5", "Ew"],
  ["arpl", "63 /r", "Ew,Gw", "i64"],
  ["swapgs", "0F 01 F8", "", "o64"],
  ["rdfsbase", "F3 0F AE /0", "Ry", "o64"],
  ["rdgsbase", "F3 0F AE /1", "Ry", "o64"],
  ["wrfsbase", "F3 0F AE /2", "Ry", "o64"],
  ["wrgsbase", "F3 0F AE /3", "Ry", "o64"],
  // Flags
  ["pushf", "9C", "", "d64"],
  ["popf", "9D", "", "d64"],
  ["cli", "FA", ""],
  ["sti", "FB", ""],
  ["clac", "NP 0F 01 CA", ""],
  ["stac", "NP 0F 01 CB", ""],
  // Far transfers, system calls, interrupts
  ["callf", "9A", "Ap", "i64"],
  ["callf", "FF /3", "Mp"],
  ["jmpf", "EA", "Ap", "i64"],
  ["jmpf", "FF /5", "Mp"],
  ["retf", "CB", ""],
  ["retf", "CA", "uw"],
  ["iret", "CF", ""],
  ["int3", "CC", ""],
  ["int", "CD", "ub"],
  ["into", "CE", "", "i64"],
  ["int1", "F1", ""],
  ["syscall", "0F 05", ""],
  ["sysret", "0F 07", ""],
  ["sysenter", "0F 34", ""],
  ["sysexit", "0F 35", ""],
  ["ud2", "0F 0B", ""],
  ["ud1", "0F B9 /r", "Gv,Ev"],
  ["ud0", "0F FF /r", "Gv,Ev"],
  // System registers
  ["mov", "0F 20 /r", "Ry,Cy", "f64 modless"],
  ["mov", "0F 21 /r", "Ry,Dy", "f64 modless"],
  ["mov", "0F 22 /r", "Cy,Ry", "f64 modless"],
  ["mov", "0F 23 /r", "Dy,Ry", "f64 modless"],
  ["sldt", "0F 00 /0", "Evw"],
  ["str", "0F 00 /1", "Evw"],
  ["lldt", "0F 00 /2", "Ew"],
  ["ltr", "0F 00 /3", "Ew"],
  ["sgdt", "0F 01 /0", "Ms", "f64"],
  ["sidt", "0F 01 /1", "Ms", "f64"],
  ["lgdt", "0F 01 /2", "Ms", "f64"],
  ["lidt", "0F 01 /3", "Ms", "f64"],
  ["smsw", "0F 01 /4", "Evw"],
  ["lmsw", "0F 01 /6", "Ew"],
  ["clts", "0F 06", ""],
  ["rdmsr", "0F 32", ""],
  ["wrmsr", "0F 30", ""],
  ["rdtsc", "0F 31", ""],
  ["rdtscp", "0F 01 F9", ""],
  ["rdpmc", "0F 33", ""],
  ["cpuid", "0F A2", ""],
  ["xgetbv", "NP 0F 01 D0", ""],
  ["xsetbv", "NP 0F 01 D1", ""],
  // Caches, TLB, waiting
  ["invd", "0F 08", ""],
  ["wbinvd", "0F 09", ""],
  ["invlpg", "0F 01 /7", "M"],
  ["invpcid", "66 0F 38 82 /r", "Gy,Mx", "f64"],
  ["monitor", "NP 0F 01 C8", ""],
  ["mwait", "NP 0F 01 C9", ""],
  ["hlt", "F4", ""],
  // Ports
  ["in", "E4", "AL,ub"],
  ["in", "E5", "eAX,ub"],
  ["out", "E6", "ub,AL"],
  ["out", "E7", "ub,eAX"],
  ["in", "EC", "AL,DX"],
  ["in", "ED", "eAX,DX"],
  ["out", "EE", "DX,AL"],
  ["out", "EF", "DX,eAX"],
  // State areas; REX.W makes fxsave64 and so on of them
  ["fxsave", "NP 0F AE /0", "Mo"],
  ["fxrstor", "NP 0F AE /1", "Mo"],
  ["xsave", "NP 0F AE /4", "M"],
  ["xrstor", "NP 0F AE /5", "M"],
  ["xsaveopt", "NP 0F AE /6", "M"],
]);

/**
 * Our own: enters the resident kernel by number. Legal only at CPL 0 inside the text of a resident kernel (the machine
 * knows that text); everywhere else, and on a board without one, it is undefined, as 0F 04 is on all processors.
 */
export const VITRINE_ROWS = rows([["kentry", "0F 04", "ub"]]);
