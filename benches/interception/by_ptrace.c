/* No interception, and interception by ptrace. */
#define _GNU_SOURCE
#include "interception.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef PTRACE_SYSEMU
#define PTRACE_SYSEMU 31
#endif

const char *native(const struct placement *placement, struct samples *samples)
{
    struct shared *shared = new_shared();
    if (shared == NULL)
        return "no memory";
    (void)placement;
    for (int batch = 0; batch <= BATCHES; batch++) {
        double start = now();
        guest_loop(shared, CALLS_NATIVE, getppid());
        if (batch > 0)
            add_sample(samples, (now() - start) / CALLS_NATIVE);
    }
    free_shared(shared);
    return NULL;
}

/* Waits until the child stops for `signal`; forgets it when it ended instead. */
static int await_stop(struct child *child, int signal)
{
    int status;
    if (waitpid(child->pid, &status, __WALL) != child->pid)
        return -1;
    if (!WIFSTOPPED(status)) {
        child->pid = -1;
        return -1;
    }
    return WSTOPSIG(status) == signal ? 0 : -1;
}

/* Waits until the child is at the entry of a system call. */
static int await_call(struct child *child)
{
    return await_stop(child, SIGTRAP | 0x80);
}

/* What crates/platform/src/process does for a call that changes other registers than its result, and after host calls. */
static int serve_with_registers(struct child *child)
{
    struct user_regs_struct *registers = (struct user_regs_struct *)child->shared->registers;
    if (ptrace(PTRACE_SETREGS, child->pid, 0, registers) != 0 || ptrace(PTRACE_SYSEMU, child->pid, 0, 0) != 0)
        return -1;
    if (await_call(child) != 0 || ptrace(PTRACE_GETREGS, child->pid, 0, registers) != 0)
        return -1;
    registers->rax = ANSWER;
    registers->orig_rax = ~0ULL;
    return 0;
}

/* What it does for most calls: the result alone, SYSEMU, waitpid, GETREGS. */
static int serve_with_result(struct child *child)
{
    struct user_regs_struct *registers = (struct user_regs_struct *)child->shared->registers;
    size_t result = offsetof(struct user_regs_struct, rax);
    if (ptrace(PTRACE_POKEUSER, child->pid, result, ANSWER) != 0 || ptrace(PTRACE_SYSEMU, child->pid, 0, 0) != 0)
        return -1;
    return await_call(child) != 0 || ptrace(PTRACE_GETREGS, child->pid, 0, registers) != 0 ? -1 : 0;
}

static int serve_bare(struct child *child)
{
    return ptrace(PTRACE_SYSEMU, child->pid, 0, 0) != 0 ? -1 : await_call(child);
}

/* Starts a traced child; it is stopped before its first getppid. */
static const char *start_traced(const struct placement *placement, struct child *child, long expected)
{
    child->shared = new_shared();
    if (child->shared == NULL)
        return "no memory";
    child->pid = start_child(placement->child_cpu);
    if (child->pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0)
            _exit(3);
        raise(SIGSTOP);
        /* One more than are answered: the parent ends it. */
        guest_loop(child->shared, round_trips(placement) + 1, expected);
        _exit(0);
    }
    if (child->pid < 0)
        return "fork was refused";
    if (await_stop(child, SIGSTOP) != 0)
        return "ptrace was refused";
    if (ptrace(PTRACE_SETOPTIONS, child->pid, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD) != 0)
        return "PTRACE_SETOPTIONS was refused";
    /* raise() restores the signal mask: run to the loop's own call. */
    for (int i = 0; i < 16; i++) {
        struct user_regs_struct *registers = (struct user_regs_struct *)child->shared->registers;
        if (serve_bare(child) != 0 || ptrace(PTRACE_GETREGS, child->pid, 0, registers) != 0)
            break;
        if (registers->orig_rax == SYS_getppid) {
            registers->rax = (unsigned long long)expected;
            registers->orig_rax = ~0ULL;
            return NULL;
        }
        registers->rax = 0;
        registers->orig_rax = ~0ULL;
        ptrace(PTRACE_SETREGS, child->pid, 0, registers);
    }
    return "PTRACE_SYSEMU was refused";
}

static const char *traced(const struct placement *placement, struct samples *samples, long expected,
                          int (*serve)(struct child *))
{
    struct child child = { .pid = -1, .fd = -1 };
    _Static_assert(sizeof(struct user_regs_struct) <= sizeof child.shared->registers, "registers fit");
    const char *reason = start_traced(placement, &child, expected);
    if (reason == NULL)
        reason = measure_round_trips(placement, samples, &child, serve);
    if (child.pid > 0)
        end_child(child.pid);
    if (child.shared)
        free_shared(child.shared);
    return reason;
}

const char *ptrace_with_registers(const struct placement *placement, struct samples *samples)
{
    return traced(placement, samples, ANSWER, serve_with_registers);
}

const char *ptrace_with_result(const struct placement *placement, struct samples *samples)
{
    return traced(placement, samples, ANSWER, serve_with_result);
}

const char *ptrace_bare(const struct placement *placement, struct samples *samples)
{
    /* Nobody sets a result. */
    return traced(placement, samples, -ENOSYS, serve_bare);
}
