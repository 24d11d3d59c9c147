//! Instructions as a disassembler reads them.

use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter};

use super::super::{
    assembler::{Assembler, Part},
    encoding::{Mem, R8, R9, R12, R13, R15, RAX, RBP, RBX, RCX, RDI, RDX, RSP, Size},
    scalar::{Alu, Condition, DoubleShift, Group, Shift},
    wide::{Features, Part256, Wide},
};

const AVX2: Features = Features {
    avx2: true,
    movbe: true,
};

/// The instructions that are emitted, at address 0.
fn text(emit: impl FnOnce(&mut Assembler)) -> Vec<String> {
    let mut asm = Assembler::with_capacity(64);
    emit(&mut asm);
    let code = asm.finish().code;
    let mut formatter = IntelFormatter::new();
    Decoder::with_ip(64, &code, 0, DecoderOptions::NONE)
        .into_iter()
        .map(|instruction| {
            assert!(!instruction.is_invalid(), "{code:02x?}");
            let mut text = String::new();
            formatter.format(&instruction, &mut text);
            text
        })
        .collect()
}

#[track_caller]
fn check(emit: impl FnOnce(&mut Assembler), expected: &[&str]) {
    assert_eq!(text(emit), expected);
}

#[test]
fn operands_in_memory() {
    check(
        |asm| {
            asm.mov(RAX, Mem::At(RBX, 0));
            asm.mov(RAX, Mem::At(RBP, 0));
            asm.mov(R9, Mem::At(R13, 0));
            asm.mov(RAX, Mem::At(RSP, 0));
            asm.mov(R8, Mem::At(R12, 8));
            asm.mov(RAX, Mem::At(RBX, -128));
            asm.mov(RAX, Mem::At(RBX, 128));
            asm.mov(R15, Mem::Sum(RCX, R9, 24));
            asm.mov(RDX, Mem::Sum(R13, RDI, 0));
            asm.mov(RDX, Mem::Scaled(RAX, R15, 3));
        },
        &[
            "mov rax,[rbx]",
            "mov rax,[rbp]",
            "mov r9,[r13]",
            "mov rax,[rsp]",
            "mov r8,[r12+8]",
            "mov rax,[rbx-80h]",
            "mov rax,[rbx+80h]",
            "mov r15,[rcx+r9+18h]",
            "mov rdx,[r13+rdi]",
            "mov rdx,[rax+r15*8]",
        ],
    );
}

#[test]
fn moves() {
    check(
        |asm| {
            asm.mov(R8, RAX);
            asm.mov_short(RDI, R15);
            asm.store(Mem::At(RSP, 8), R12);
            asm.store_short(Mem::At(RBP, 8), RAX);
            asm.store_byte_of_rax(Mem::Sum(RCX, R9, 0));
            asm.store_byte_immediate(Mem::At(RCX, 3), 0xfe);
            asm.store_immediate(Mem::At(RBX, 32), -2);
            asm.mov_immediate(R9, 7);
            asm.mov_immediate(RDI, u64::MAX);
            asm.mov_immediate(R8, 0x1_0000_0000);
            asm.zero(R9);
            asm.lea(RAX, Mem::At(R15, 100));
            asm.load_half(RAX, Mem::Scaled(RCX, RAX, 1));
            asm.load_byte(RAX, Mem::At(RAX, 31));
            asm.push(R12);
            asm.pop(RBX);
        },
        &[
            "mov r8,rax",
            "mov edi,r15d",
            "mov [rsp+8],r12",
            "mov [rbp+8],eax",
            "mov [rcx+r9],al",
            "mov byte ptr [rcx+3],0FEh",
            "mov qword ptr [rbx+20h],0FFFFFFFFFFFFFFFEh",
            "mov r9d,7",
            "mov rdi,0FFFFFFFFFFFFFFFFh",
            "mov r8,100000000h",
            "xor r9d,r9d",
            "lea rax,[r15+64h]",
            "movzx eax,word ptr [rcx+rax*2]",
            "movzx eax,byte ptr [rax+1Fh]",
            "push r12",
            "pop rbx",
        ],
    );
}

#[test]
fn bytes_in_the_other_order() {
    check(
        |asm| {
            asm.movbe_load(R9, Mem::At(RAX, 24));
            asm.movbe_store(Mem::Sum(RCX, R8, 16), RDI);
            asm.swap_bytes(RAX);
            asm.swap_bytes(R13);
        },
        &[
            "movbe r9,[rax+18h]",
            "movbe [rcx+r8+10h],rdi",
            "bswap rax",
            "bswap r13",
        ],
    );
}

#[test]
fn arithmetic() {
    check(
        |asm| {
            asm.alu(Alu::Add, RAX, R9);
            asm.alu(Alu::Adc, R8, Mem::At(RBX, -32));
            asm.alu_immediate(Alu::Sbb, RDI, 0);
            asm.alu_immediate(Alu::Sub, R15, 1000);
            asm.alu_immediate(Alu::Cmp, Mem::At(RBP, 32), 0x100);
            asm.alu_short_immediate(Alu::Cmp, RAX, 0xffff);
            asm.test(R12);
            asm.group(Group::Not, R8);
            asm.group(Group::Multiply, Mem::At(RBX, 8));
            asm.group(Group::Divide, RCX);
            asm.multiply(RAX, R9);
            asm.multiply_immediate(R8, RCX, 10);
            asm.multiply_immediate(R8, Mem::At(RBX, 0), 1000);
            asm.shift(Shift::RightSigned, R9, 63);
            asm.double_shift(DoubleShift::Left, RAX, R9, 5);
            asm.double_shift(DoubleShift::Right, R8, RDX, 5);
            asm.double_shift_by_rcx(DoubleShift::Right, RAX, RDI);
            asm.highest_bit(RCX, R9);
            asm.decrement(Mem::At(RBP, 0x90));
            asm.set(R9, Condition::Below);
            asm.mov_if(Condition::NotZero, RAX, RCX);
        },
        &[
            "add rax,r9",
            "adc r8,[rbx-20h]",
            "sbb rdi,0",
            "sub r15,3E8h",
            "cmp qword ptr [rbp+20h],100h",
            "cmp eax,0FFFFh",
            "test r12,r12",
            "not r8",
            "mul qword ptr [rbx+8]",
            "div rcx",
            "imul rax,r9",
            "imul r8,rcx,0Ah",
            "imul r8,[rbx],3E8h",
            "sar r9,3Fh",
            "shld rax,r9,5",
            "shrd r8,rdx,5",
            "shrd rax,rdi,cl",
            "bsr rcx,r9",
            "dec qword ptr [rbp+90h]",
            "setb al",
            "movzx r9d,al",
            "cmovne rax,rcx",
        ],
    );
}

#[test]
fn jumps_reach_labels_in_both_parts() {
    check(
        |asm| {
            let cold = asm.new_label();
            let start = asm.here();
            asm.jump_if(Condition::Above, cold);
            asm.jump(start);
            asm.call(cold);
            asm.switch_to(Part::Cold);
            asm.bind(cold);
            asm.jump(start);
            let short = asm.short_jump(0x74);
            asm.ret();
            asm.land(short);
            asm.jump_to(Mem::Scaled(RAX, RDX, 3));
            asm.call_to(RAX);
            asm.call_to(Mem::At(RBP, 96));
        },
        &[
            "ja 0000000000000010h",
            "jmp 0",
            "call 0000000000000010h",
            "jmp 0",
            "je short 0000000000000018h",
            "ret",
            "jmp qword ptr [rax+rdx*8]",
            "call rax",
            "call qword ptr [rbp+60h]",
        ],
    );
}

#[test]
fn words_by_avx2() {
    check(
        |asm| {
            asm.load_wide(AVX2, Wide(1), Mem::At(RBX, -32), Part256::All);
            asm.load_wide(AVX2, Wide(0), Mem::At(RSP, 8), Part256::Two);
            asm.load_wide(AVX2, Wide(0), Mem::At(RSP, 8), Part256::One);
            asm.store_wide(AVX2, Mem::Sum(RCX, R9, 0), Wide(7));
            asm.extend_wide(AVX2, Wide(0), R9, Size::Bits64);
            asm.extend_wide(AVX2, Wide(0), RAX, Size::Bits32);
            asm.zero_wide(AVX2, Wide(0));
            asm.exchange_halves(Wide(0));
            asm.shuffle_halves(Wide(0), Mem::At(RAX, 0));
            asm.forget_upper_halves(AVX2);
        },
        &[
            "vmovdqu ymm1,[rbx-20h]",
            "vmovdqu xmm0,[rsp+8]",
            "vmovq xmm0,[rsp+8]",
            "vmovdqu [rcx+r9],ymm7",
            "vmovq xmm0,r9",
            "vmovd xmm0,eax",
            "vpxor xmm0,xmm0,xmm0",
            "vpermq ymm0,ymm0,4Eh",
            "vpshufb ymm0,ymm0,[rax]",
            "vzeroupper",
        ],
    );
}

#[test]
fn words_by_sse2() {
    check(
        |asm| {
            asm.load_wide(Features::NONE, Wide(4), Mem::At(RBX, -32), Part256::All);
            asm.load_wide(Features::NONE, Wide(0), Mem::At(RSP, 8), Part256::One);
            asm.store_wide(Features::NONE, Mem::At(RBX, 0), Wide(4));
            asm.extend_wide(Features::NONE, Wide(0), R9, Size::Bits64);
            asm.forget_upper_halves(Features::NONE);
        },
        &[
            "movups xmm8,[rbx-20h]",
            "movups xmm9,[rbx-10h]",
            "movq xmm0,[rsp+8]",
            "pxor xmm1,xmm1",
            "movups [rbx],xmm8",
            "movups [rbx+10h],xmm9",
            "movq xmm0,r9",
            "pxor xmm1,xmm1",
        ],
    );
}

#[test]
fn constants_are_reached_from_both_parts() {
    check(
        |asm| {
            let constant = asm.new_label();
            asm.load_wide(Features::NONE, Wide(0), Mem::Label(constant, 0), Part256::All);
            asm.switch_to(Part::Cold);
            asm.alu_immediate(Alu::Cmp, Mem::Label(constant, 0), 1000);
            asm.bind(constant);
        },
        &[
            "movups xmm0,[19h]",
            "movups xmm1,[29h]",
            "cmp qword ptr [19h],3E8h",
        ],
    );
}
