# SPDX-License-Identifier: Apache-2.0
"""A filter's program in print: -d, -dd and -ddd."""

from collections.abc import Iterable

__all__ = ["in_words", "print_program"]

Instruction = tuple[int, int, int, int]
"""code, jt, jf, k"""

ALU = {0x00: "add", 0x10: "sub", 0x20: "mul", 0x30: "div", 0x40: "or", 0x50: "and", 0x60: "lsh", 0x70: "rsh"} | {
    0x90: "mod",
    0xA0: "xor",
}
JUMPS = {0x10: "jeq", 0x20: "jgt", 0x30: "jge", 0x40: "jset"}
SIZES = {0x00: "ld", 0x08: "ldh", 0x10: "ldb"}
LD, LDX, ST, STX, ALU_CLASS, JMP, RET = range(7)


def print_program(program: Iterable[Instruction], style: int) -> None:
    """In words (1), as elements of a C array (2) or as decimal numbers (3 and more)."""
    program = list(program)
    if style >= 3:
        print(len(program))
    for number, instruction in enumerate(program):
        code, jt, jf, k = instruction
        if style == 1:
            print(in_words(number, instruction))
        elif style == 2:
            print(f"{{ 0x{code:x}, {jt}, {jf}, 0x{k:08x} }},")
        else:
            print(f"{code} {jt} {jf} {k}")


def in_words(number: int, instruction: Instruction) -> str:
    """The instruction that stands at `number`, as tcpdump -d has it."""
    code, jt, jf, k = instruction
    name, operand = _name_and_operand(number, code, k)
    line = f"({number:03d}) {name:<8} {operand}"
    if code & 7 == JMP and code & 0xF0:
        return f"({number:03d}) {name:<8} {operand:<16} jt {number + 1 + jt}\tjf {number + 1 + jf}"
    return line.rstrip() if not operand else line


def _name_and_operand(number: int, code: int, k: int) -> tuple[str, str]:
    kind = code & 7
    if kind == LD:
        return SIZES.get(code & 0x18, "ld?"), _address(code & 0xE0, k)
    if kind == LDX:
        if code & 0xE0 == 0xA0:
            return "ldxb", f"4*([{k}]&0xf)"
        return "ldx", _address(code & 0xE0, k)
    if kind in (ST, STX):
        return ("st" if kind == ST else "stx"), f"M[{k}]"
    if kind == ALU_CLASS:
        return _arithmetic(code, k)
    if kind == JMP:
        if code & 0xF0 == 0:
            return "ja", str(number + 1 + k)
        return JUMPS.get(code & 0xF0, "j?"), "x" if code & 8 else f"#0x{k:x}"
    if kind == RET:
        return "ret", "" if code & 0x18 == 0x10 else f"#{k}"
    return ("txa" if code & 0x80 else "tax"), ""


def _arithmetic(code: int, k: int) -> tuple[str, str]:
    operation = code & 0xF0
    if operation == 0x80:
        return "neg", ""
    name = ALU.get(operation, "alu?")
    if code & 8:
        return name, "x"
    return name, f"#0x{k:x}" if operation in (0x40, 0x50, 0xA0) else f"#{k}"


def _address(mode: int, k: int) -> str:
    return {0x00: f"#0x{k:x}", 0x20: f"[{k}]", 0x40: f"[x + {k}]", 0x60: f"M[{k}]", 0x80: "#pktlen"}.get(mode, "?")
