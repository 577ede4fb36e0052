# The stub: all that a guest's host process contains beside the guest.
#
# It starts as this program, asks to be traced and stops. Its parent then copies the code between `resident` and
# `resident_end` to the top of the address space, unmaps everything else, and from then on makes the stub run
# either guest code (with every system call intercepted) or one of the two entries of the resident code, which
# make host system calls on the parent's behalf.
        .text
        .globl  _start, resident, resident_end, single, single_end, batch, batch_call_end, caught, copy
_start:
        mov     $157, %eax              # prctl(PR_SET_PDEATHSIG, SIGKILL)
        mov     $1, %edi
        mov     $9, %esi
        syscall
        mov     $436, %eax              # close_range(0, 2, 0)
        xor     %edi, %edi
        mov     $2, %esi
        xor     %edx, %edx
        syscall
        mov     $436, %eax              # close_range(5, ~0, 0): 3 brings files, 4 is the call table
        mov     $5, %edi
        mov     $-1, %esi
        xor     %edx, %edx
        syscall
        mov     $157, %eax              # prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0): one byte written must
        mov     $41, %edi               # not make a reset rewrite two megabytes
        mov     $1, %esi
        xor     %edx, %edx
        xor     %r10d, %r10d
        xor     %r8d, %r8d
        syscall
        mov     $101, %eax              # ptrace(PTRACE_TRACEME)
        xor     %edi, %edi
        syscall
        int3
        ud2

        .balign 64
resident:
single:                                 # one call: everything is in the registers already
        syscall
single_end:
        int3
batch:                                  # rbp calls from the table at rbx: number, six arguments, result
        mov     (%rbx), %rax
        mov     8(%rbx), %rdi
        mov     16(%rbx), %rsi
        mov     24(%rbx), %rdx
        mov     32(%rbx), %r10
        mov     40(%rbx), %r8
        mov     48(%rbx), %r9
        syscall
batch_call_end:
        mov     %rax, 56(%rbx)
        add     $64, %rbx
        dec     %rbp
        jnz     batch
        int3
        ud2
caught:                                 # handler of the faults whose details the parent wants to know
        int3
        ud2
copy:                                   # rbp copies from the table at rbx: to, from (0 for zeroes), bytes, a multiple of 8
        mov     (%rbx), %rdi
        mov     8(%rbx), %rsi
        mov     16(%rbx), %rcx
        shr     $3, %rcx                # words: as fast as bytes on CPUs, and eight times as fast where one is emulated
        mov     24(%rbx), %r8           # the next copy's pages: the CPU's own prefetch stops at the end of a page
        mov     32(%rbx), %r9
        prefetchw (%r8)
        prefetcht0 (%r9)
        prefetchw 64(%r8)
        prefetcht0 64(%r9)
        prefetchw 128(%r8)
        prefetcht0 128(%r9)
        prefetchw 192(%r8)
        prefetcht0 192(%r9)
        test    %rsi, %rsi
        jz      clear
        rep movsq
        jmp     copied
clear:
        xor     %eax, %eax
        rep stosq
copied:
        add     $24, %rbx
        dec     %rbp
        jnz     copy
        test    %r12, %r12              # the vector state to load, or 0
        jz      put_back
        mov     $-1, %eax
        mov     $-1, %edx
        xrstor64 (%r12)
put_back:
        int3
        ud2
resident_end:
        .section .note.GNU-stack, "", @progbits
