/**
 * The shapes that the interpreter has handlers for: what programs execute most. All else goes to the exact tier, so the list says
 * nothing about what is correct, only about what is fast.
 *
 * A row is mnemonics, then forms. `*` after a memory operand stands for both address forms, `s` for the sizes 4 and 8, `w` for 1, 2,
 * 4 and 8. Forms after `~` are also there with dead flags.
 */
import type { Mnemonic } from "../../isa/x86_64/instructions.ts";
import { parseOperandShape, type Shape, type Transfer } from "./shapes.ts";

interface Row {
  readonly mnemonics: string;
  readonly forms: string;
  /** Forms that are there with dead flags too. */
  readonly dead?: string;
  readonly conditions?: readonly number[];
  readonly transfers?: readonly Transfer[];
  /** Operand size where no operand has one; the size of operand 0 by default. */
  readonly operandSize?: number;
}

const ALL_CONDITIONS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
/** Without overflow and parity. */
const USUAL_CONDITIONS = [2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15];
const JUMPS: readonly Transfer[] = ["forward", "backward", "far"];

const ROWS: readonly Row[] = [
  { mnemonics: "mov", forms: "rs,rs r1,r1 r1,m1* r2,m2* rs,ms* m1*,r1 m2*,r2 ms*,rs rs,i r1,i m1*,i m2*,i ms*,i" },
  { mnemonics: "movzx movsx", forms: "r4,r1 r4,r2 r4,m1* r4,m2* r8,r1 r8,r2 r8,m1* r8,m2*" },
  { mnemonics: "movsxd", forms: "r8,r4 r8,m4*" },
  { mnemonics: "lea", forms: "rs,m0*" },
  {
    mnemonics: "add sub and or xor",
    forms: "rs,rs rs,i rs,ms* r1,i r1,r1 ms*,rs ms*,i",
    dead: "rs,rs rs,i",
  },
  { mnemonics: "cmp", forms: "r1,r1 rs,rs r1,m1* rs,ms* m1*,r1 ms*,rs r1,i rs,i m1*,i m2*,i ms*,i r2,r2 r2,i" },
  { mnemonics: "test", forms: "r1,r1 rs,rs r1,i rs,i m1*,i" },
  { mnemonics: "adc sbb", forms: "rs,rs rs,i" },
  { mnemonics: "inc dec neg", forms: "rs", dead: "rs" },
  { mnemonics: "not", forms: "rs" },
  { mnemonics: "shl shr sar", forms: "rs,i rs,r1", dead: "rs,i" },
  { mnemonics: "rol ror", forms: "rs,i rs,r1" },
  { mnemonics: "imul", forms: "rs,rs rs,rs,i rs,ms*", dead: "rs,rs rs,rs,i" },
  { mnemonics: "mul imul div idiv", forms: "rs" },
  { mnemonics: "push pop", forms: "r8" },
  { mnemonics: "push", forms: "i", operandSize: 8 },
  { mnemonics: "call", forms: "j", transfers: JUMPS, operandSize: 8 },
  { mnemonics: "call jmp", forms: "r8 m8*" },
  { mnemonics: "jmp", forms: "j", transfers: JUMPS, operandSize: 8 },
  { mnemonics: "jcc", forms: "j", conditions: ALL_CONDITIONS, transfers: JUMPS, operandSize: 8 },
  { mnemonics: "setcc", forms: "r1", conditions: USUAL_CONDITIONS },
  { mnemonics: "cmovcc", forms: "rs,rs", conditions: USUAL_CONDITIONS },
  { mnemonics: "cwd", forms: "", operandSize: 4 },
  { mnemonics: "cwd", forms: "", operandSize: 8 },
  { mnemonics: "cbw", forms: "", operandSize: 4 },
  { mnemonics: "cbw", forms: "", operandSize: 8 },
  { mnemonics: "leave", forms: "", operandSize: 8 },
  { mnemonics: "ret", forms: "", operandSize: 8 },
  { mnemonics: "xchg", forms: "rs,rs" },
  { mnemonics: "bsf bsr", forms: "rs,rs" },
  { mnemonics: "bt", forms: "rs,rs rs,i" },
  { mnemonics: "bswap", forms: "rs" },
  { mnemonics: "movaps movups movdqa movdqu", forms: "x16,m16* m16*,x16 x16,x16", operandSize: 4 },
  { mnemonics: "xorps pxor", forms: "x16,x16", operandSize: 4 },
  { mnemonics: "movq", forms: "x16,r8 r8,x16", operandSize: 8 },
  { mnemonics: "movq", forms: "x8,m8 m8,x8 x8,x8", operandSize: 4 },
  { mnemonics: "movd", forms: "x16,r4 r4,x16", operandSize: 4 },
  { mnemonics: "add sub and or xor", forms: "r1,m1* m1*,r1 m1*,i r2,i", dead: "r1,i r1,r1 rs,ms*" },
  { mnemonics: "adc sbb", forms: "rs,ms* ms*,rs ms*,i r1,i r1,r1" },
  { mnemonics: "inc dec", forms: "ms*" },
  { mnemonics: "neg not", forms: "r1 ms" },
  { mnemonics: "shl shr sar rol ror", forms: "r1,i r2,i ms*,i ms*,r1 r1,r1" },
  { mnemonics: "add sub and or xor", forms: "r2,r2 r2,m2* m2*,r2 m2*,i" },
  { mnemonics: "inc dec", forms: "r1 r2 m1 m2" },
  { mnemonics: "shld shrd", forms: "rs,rs,i rs,rs,r1" },
  { mnemonics: "imul", forms: "rs,ms*,i" },
  { mnemonics: "mul imul div idiv", forms: "ms" },
  { mnemonics: "push", forms: "m8*" },
  { mnemonics: "setcc", forms: "m1", conditions: USUAL_CONDITIONS },
  { mnemonics: "cmovcc", forms: "rs,ms", conditions: [2, 3, 4, 5, 6, 7, 12, 13, 14, 15] },
  { mnemonics: "movzx movsx", forms: "r2,r1 r2,m1" },
  { mnemonics: "mov", forms: "r2,r2 r2,i" },
  { mnemonics: "test", forms: "r2,r2 ms*,i ms,rs r1,m1" },
  { mnemonics: "cmp", forms: "r2,m2* m2*,r2" },
  { mnemonics: "btr bts btc", forms: "rs,rs rs,i" },
  { mnemonics: "popcnt", forms: "rs,rs rs,ms" },
  { mnemonics: "xchg", forms: "ms,rs" },
  { mnemonics: "xadd cmpxchg", forms: "ms,rs" },
  { mnemonics: "cmpxchg", forms: "m1,r1" },
  { mnemonics: "swapgs", forms: "", operandSize: 8 },
  { mnemonics: "clac", forms: "", operandSize: 4 },
  // Vectors and floating point
  { mnemonics: "movsd", forms: "x8,x8 x8,m8* m8*,x8", operandSize: 4 },
  { mnemonics: "movss", forms: "x4,x4 x4,m4* m4*,x4", operandSize: 4 },
  { mnemonics: "movapd movupd", forms: "x16,x16 x16,m16* m16*,x16", operandSize: 4 },
  { mnemonics: "movd", forms: "x16,m4 m4,x16", operandSize: 4 },
  { mnemonics: "movhps movlps movhpd movlpd", forms: "x8,m8 m8,x8", operandSize: 4 },
  { mnemonics: "movlhps movhlps", forms: "x8,x8", operandSize: 4 },
  {
    mnemonics: "addsd subsd mulsd divsd ucomisd comisd minsd maxsd",
    forms: "x8,x8 x8,m8*",
    operandSize: 4,
  },
  { mnemonics: "sqrtsd", forms: "x8,x8", operandSize: 4 },
  {
    mnemonics: "addss subss mulss divss ucomiss comiss minss maxss",
    forms: "x4,x4 x4,m4*",
    operandSize: 4,
  },
  { mnemonics: "addpd subpd mulpd divpd addps subps mulps divps", forms: "x16,x16 x16,m16*", operandSize: 4 },
  { mnemonics: "cvtsi2sd", forms: "x8,r4", operandSize: 4 },
  { mnemonics: "cvtsi2sd", forms: "x8,r8", operandSize: 8 },
  { mnemonics: "cvtsi2ss", forms: "x4,r4", operandSize: 4 },
  { mnemonics: "cvtsi2ss", forms: "x4,r8", operandSize: 8 },
  { mnemonics: "cvttsd2si", forms: "r4,x8", operandSize: 4 },
  { mnemonics: "cvttsd2si", forms: "r8,x8", operandSize: 8 },
  { mnemonics: "cvttss2si", forms: "r4,x4", operandSize: 4 },
  { mnemonics: "cvttss2si", forms: "r8,x4", operandSize: 8 },
  { mnemonics: "cvtss2sd", forms: "x8,x4 x8,m4", operandSize: 4 },
  { mnemonics: "cvtsd2ss", forms: "x4,x8 x4,m8", operandSize: 4 },
  { mnemonics: "cvtdq2pd", forms: "x16,x8", operandSize: 4 },
  { mnemonics: "andpd andps andnps andnpd orps orpd xorpd pand por pandn", forms: "x16,x16 x16,m16", operandSize: 4 },
  { mnemonics: "xorps pxor", forms: "x16,m16", operandSize: 4 },
  {
    mnemonics: "paddb paddw paddd paddq psubb psubw psubd psubq pcmpeqb pcmpeqw pcmpeqd pcmpgtb pcmpgtd pmuludq",
    forms: "x16,x16 x16,m16",
    operandSize: 4,
  },
  {
    mnemonics: "pminub pmaxub pminsw pmaxsw pmullw pmulhuw pmaddwd psadbw packuswb packssdw pshufb pmulld",
    forms: "x16,x16",
    operandSize: 4,
  },
  {
    mnemonics:
      "punpcklbw punpcklwd punpckldq punpcklqdq punpckhbw punpckhwd punpckhdq punpckhqdq unpcklps unpckhps unpcklpd unpckhpd",
    forms: "x16,x16",
    operandSize: 4,
  },
  { mnemonics: "pshufd pshuflw pshufhw shufps shufpd", forms: "x16,x16,i", operandSize: 4 },
  { mnemonics: "psllw pslld psllq psrlw psrld psrlq psraw psrad pslldq psrldq", forms: "x16,i", operandSize: 4 },
  { mnemonics: "pmovmskb", forms: "r4,x16", operandSize: 4 },
];

const SIZE_SETS: Readonly<Record<string, readonly number[]>> = { s: [4, 8], w: [1, 2, 4, 8] };

/** The shapes of one form of one mnemonic. */
function expandForm(row: Row, mnemonic: Mnemonic, form: string, flags: "used" | "dead"): Shape[] {
  const set = /[a-z]([sw])/.exec(form)?.[1];
  if (set !== undefined) {
    const sizes = SIZE_SETS[set] ?? [];
    return sizes.flatMap((size) =>
      expandForm(row, mnemonic, form.replaceAll(new RegExp(`([rm])${set}`, "g"), `$1${size}`), flags),
    );
  }
  if (form.includes("*")) {
    return ["", "+"].flatMap((suffix) => expandForm(row, mnemonic, form.replace("*", suffix), flags));
  }
  const address = form.includes("+") ? "full" : "base";
  const operands = form === "" ? [] : form.replace("+", "").split(",").map(parseOperandShape);
  const operandSize = row.operandSize ?? operands[0]?.size ?? 0;
  return (row.conditions ?? [0]).flatMap((condition) =>
    (row.transfers ?? ["none" as const]).map((transfer): Shape => ({
      mnemonic,
      operands,
      operandSize,
      address,
      addressSize: 8,
      condition,
      transfer,
      flags,
    })),
  );
}

function expandRow(row: Row): Shape[] {
  const mnemonics = row.mnemonics.split(" ") as Mnemonic[];
  const forms = row.forms.split(" ");
  const dead = row.dead?.split(" ") ?? [];
  return mnemonics.flatMap((mnemonic) => [
    ...forms.flatMap((form) => expandForm(row, mnemonic, form, "used")),
    ...dead.flatMap((form) => expandForm(row, mnemonic, form, "dead")),
  ]);
}

let made: readonly Shape[] | undefined;

/** Made when first asked for: they are the same for every machine. */
export function fastShapes(): readonly Shape[] {
  made ??= ROWS.flatMap(expandRow);
  return made;
}
