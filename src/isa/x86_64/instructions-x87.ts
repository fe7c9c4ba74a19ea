// Rows of the instruction table: x87. The format is in instruction-rows.ts.
//
// Opcodes D8 to DF; what the manual leaves out of them but all processors have (DD C8 is another fxch) is marked as an
// alias.
//
// Intel SDM volume 2, appendix A.5 (escape opcodes); AMD APM volume 3, appendix A.1.3 for the aliases.

import { type Row, rows } from "./instruction-rows.ts";

const ARITHMETIC = ["fadd", "fmul", "fcom", "fcomp", "fsub", "fsubr", "fdiv", "fdivr"] as const;
const INTEGER_ARITHMETIC = ["fiadd", "fimul", "ficom", "ficomp", "fisub", "fisubr", "fidiv", "fidivr"] as const;
/** By the reg field of DC and DE: the operand order is turned round, and so are the names of what does not commute. */
const TO_STACK = ["fadd", "fmul", "fcom", "fcomp", "fsubr", "fsub", "fdivr", "fdiv"] as const;
const TO_STACK_AND_POP = ["faddp", "fmulp", undefined, undefined, "fsubrp", "fsubp", "fdivrp", "fdivp"] as const;

const isCompare = (mnemonic: string): boolean => mnemonic.startsWith("fcom");

const ARITHMETIC_ROWS = ARITHMETIC.flatMap((mnemonic, n): Row<(typeof ARITHMETIC)[number]>[] => [
  [mnemonic, `D8 /${n}`, "Md"],
  [mnemonic, `D8 /${n} r`, isCompare(mnemonic) ? "STi" : "ST0,STi"],
  [mnemonic, `DC /${n}`, "Mq"],
]);

const TO_STACK_ROWS = TO_STACK.map((mnemonic, n): Row<(typeof TO_STACK)[number]> =>
  isCompare(mnemonic) ? [mnemonic, `DC /${n} r`, "STi", "alias"] : [mnemonic, `DC /${n} r`, "STi,ST0"],
);

const POPPING_ROWS = TO_STACK_AND_POP.flatMap((mnemonic, n): Row<NonNullable<(typeof TO_STACK_AND_POP)[number]>>[] =>
  mnemonic === undefined ? [] : [[mnemonic, `DE /${n} r`, "STi,ST0"]],
);

const INTEGER_ROWS = INTEGER_ARITHMETIC.flatMap((mnemonic, n): Row<(typeof INTEGER_ARITHMETIC)[number]>[] => [
  [mnemonic, `DA /${n}`, "Md"],
  [mnemonic, `DE /${n}`, "Mw"],
]);

export const X87_ROWS = [
  ...ARITHMETIC_ROWS,
  ...TO_STACK_ROWS,
  ...POPPING_ROWS,
  ...INTEGER_ROWS,
  ...rows([
    // Loads and stores
    ["fld", "D9 /0", "Md"],
    ["fld", "DD /0", "Mq"],
    ["fld", "DB /5", "Mt"],
    ["fld", "D9 /0 r", "STi"],
    ["fst", "D9 /2", "Md"],
    ["fst", "DD /2", "Mq"],
    ["fst", "DD /2 r", "STi"],
    ["fstp", "D9 /3", "Md"],
    ["fstp", "DD /3", "Mq"],
    ["fstp", "DB /7", "Mt"],
    ["fstp", "DD /3 r", "STi"],
    ["fstp", "D9 /3 r", "STi", "alias"],
    ["fstp", "DF /2 r", "STi", "alias"],
    ["fstp", "DF /3 r", "STi", "alias"],
    ["fild", "DF /0", "Mw"],
    ["fild", "DB /0", "Md"],
    ["fild", "DF /5", "Mq"],
    ["fist", "DF /2", "Mw"],
    ["fist", "DB /2", "Md"],
    ["fistp", "DF /3", "Mw"],
    ["fistp", "DB /3", "Md"],
    ["fistp", "DF /7", "Mq"],
    ["fisttp", "DF /1", "Mw"],
    ["fisttp", "DB /1", "Md"],
    ["fisttp", "DD /1", "Mq"],
    ["fbld", "DF /4", "Mt"],
    ["fbstp", "DF /6", "Mt"],
    ["fxch", "D9 /1 r", "STi"],
    ["fxch", "DD /1 r", "STi", "alias"],
    ["fxch", "DF /1 r", "STi", "alias"],
    ["fcmovb", "DA /0 r", "ST0,STi"],
    ["fcmove", "DA /1 r", "ST0,STi"],
    ["fcmovbe", "DA /2 r", "ST0,STi"],
    ["fcmovu", "DA /3 r", "ST0,STi"],
    ["fcmovnb", "DB /0 r", "ST0,STi"],
    ["fcmovne", "DB /1 r", "ST0,STi"],
    ["fcmovnbe", "DB /2 r", "ST0,STi"],
    ["fcmovnu", "DB /3 r", "ST0,STi"],
    // Comparisons
    ["fucom", "DD /4 r", "STi"],
    ["fucomp", "DD /5 r", "STi"],
    ["fucompp", "DA E9", ""],
    ["fcompp", "DE D9", ""],
    ["fcomp", "DE /2 r", "STi", "alias"],
    ["fucomi", "DB /5 r", "ST0,STi"],
    ["fcomi", "DB /6 r", "ST0,STi"],
    ["fucomip", "DF /5 r", "ST0,STi"],
    ["fcomip", "DF /6 r", "ST0,STi"],
    ["ftst", "D9 E4", ""],
    ["fxam", "D9 E5", ""],
    // Constants
    ["fld1", "D9 E8", ""],
    ["fldl2t", "D9 E9", ""],
    ["fldl2e", "D9 EA", ""],
    ["fldpi", "D9 EB", ""],
    ["fldlg2", "D9 EC", ""],
    ["fldln2", "D9 ED", ""],
    ["fldz", "D9 EE", ""],
    // Functions of the top of the stack
    ["fchs", "D9 E0", ""],
    ["fabs", "D9 E1", ""],
    ["f2xm1", "D9 F0", ""],
    ["fyl2x", "D9 F1", ""],
    ["fptan", "D9 F2", ""],
    ["fpatan", "D9 F3", ""],
    ["fxtract", "D9 F4", ""],
    ["fprem1", "D9 F5", ""],
    ["fprem", "D9 F8", ""],
    ["fyl2xp1", "D9 F9", ""],
    ["fsqrt", "D9 FA", ""],
    ["fsincos", "D9 FB", ""],
    ["frndint", "D9 FC", ""],
    ["fscale", "D9 FD", ""],
    ["fsin", "D9 FE", ""],
    ["fcos", "D9 FF", ""],
    // Control. fneni, fndisi and fnsetpm (DB E0, E1, E4) do nothing since the 80387.
    ["fnop", "D9 D0", ""],
    ["fnop", "DB E0", "", "alias"],
    ["fnop", "DB E1", "", "alias"],
    ["fnop", "DB E4", "", "alias"],
    ["fdecstp", "D9 F6", ""],
    ["fincstp", "D9 F7", ""],
    ["ffree", "DD /0 r", "STi"],
    ["ffreep", "DF /0 r", "STi"],
    ["fnclex", "DB E2", ""],
    ["fninit", "DB E3", ""],
    ["fldcw", "D9 /5", "Mw"],
    ["fnstcw", "D9 /7", "Mw"],
    ["fnstsw", "DF E0", "AX"],
    ["fnstsw", "DD /7", "Mw"],
    ["fldenv", "D9 /4", "Me"],
    ["fnstenv", "D9 /6", "Me"],
    ["frstor", "DD /4", "Mf"],
    ["fnsave", "DD /6", "Mf"],
    ["fwait", "9B", ""],
  ]),
];
