# SPDX-License-Identifier: Apache-2.0
"""An eBPF program in print, in the words of the kernel's verifier and of bpftool."""

__all__ = ["in_words"]

Instruction = tuple[int, int, int, int, int]
"""code, dst, src, off, imm"""

LDX, ST, STX, ALU, JMP, JMP32, ALU64 = range(1, 8)
SIZES = {0x00: "u32", 0x08: "u16", 0x10: "u8", 0x18: "u64"}
OPERATIONS = {0x00: "+=", 0x10: "-=", 0x20: "*=", 0x30: "/=", 0x40: "|=", 0x50: "&=", 0x60: "<<=", 0x70: ">>="} | {
    0x90: "%=",
    0xA0: "^=",
    0xB0: "=",
}
CONDITIONS = {0x10: "==", 0x20: ">", 0x30: ">=", 0x40: "&", 0x50: "!=", 0xA0: "<", 0xB0: "<="}
HELPERS = {26: "skb_load_bytes", 188: "xdp_get_buff_len", 189: "xdp_load_bytes"}


def in_words(number: int, instruction: Instruction) -> str:
    """The instruction that stands at `number`; jumps name the number that they go to."""
    code, dst, src, off, imm = instruction
    kind = code & 7
    if kind == LDX:
        return f"r{dst} = *({SIZES[code & 0x18]} *)(r{src} {off:+d})"
    if kind == STX:
        return f"*({SIZES[code & 0x18]} *)(r{dst} {off:+d}) = r{src}"
    if kind in (ALU, ALU64):
        return _arithmetic(code, dst, src, imm)
    if kind in (JMP, JMP32):
        return _jump(number, instruction)
    return f"code {code:#04x}"


def _arithmetic(code: int, dst: int, src: int, imm: int) -> str:
    letter = "w" if code & 7 == ALU else "r"
    operation = code & 0xF0
    if operation == 0x80:
        return f"{letter}{dst} = -{letter}{dst}"
    if operation == 0xD0:
        return f"r{dst} = be{imm} r{dst}"
    operand = f"{letter}{src}" if code & 8 else _number(imm)
    return f"{letter}{dst} {OPERATIONS[operation]} {operand}"


def _jump(number: int, instruction: Instruction) -> str:
    code, dst, src, off, imm = instruction
    letter = "w" if code & 7 == JMP32 else "r"
    operation, to = code & 0xF0, number + 1 + off
    if operation == 0x90:
        return "exit"
    if operation == 0x80:
        return f"call {HELPERS.get(imm, imm)}"
    if operation == 0x00:
        return f"goto {to}"
    operand = f"{letter}{src}" if code & 8 else _number(imm)
    return f"if {letter}{dst} {CONDITIONS[operation]} {operand} goto {to}"


def _number(value: int) -> str:
    return str(value) if -4096 < value < 10 else f"{value & 0xFFFFFFFF:#x}"
