/* Interception by seccomp user notification, and by SIGSYS (seccomp's trap, or Syscall User Dispatch). */
#define _GNU_SOURCE
#include "interception.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/* Newer than some distributions' headers. */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif
#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP 1UL
#endif
#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_ON 1
#endif

/* Has getppid end in `action`; everything else passes. The new descriptor of a listener, 0 or -1. */
static int install_filter(unsigned action, unsigned flags)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, action),
    };
    struct sock_fprog program = { .len = sizeof code / sizeof code[0], .filter = code };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

/* User notification. */

static int send_fd(int socket, int fd)
{
    char byte = 0, control[CMSG_SPACE(sizeof fd)] = { 0 };
    struct iovec vector = { &byte, 1 };
    struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control,
                              .msg_controllen = sizeof control };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    return sendmsg(socket, &message, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

static int receive_fd(int socket)
{
    int fd = -1;
    char byte, control[CMSG_SPACE(sizeof fd)];
    struct iovec vector = { &byte, 1 };
    struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control,
                              .msg_controllen = sizeof control };
    /* 0 when the child ended without sending. */
    if (recvmsg(socket, &message, 0) != 1)
        return -1;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header != NULL && header->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return fd;
}

static int serve_notification(struct child *child)
{
    struct seccomp_notif request = { 0 };
    if (ioctl(child->fd, SECCOMP_IOCTL_NOTIF_RECV, &request) != 0)
        return -1;
    struct seccomp_notif_resp response = { .id = request.id, .val = ANSWER };
    return ioctl(child->fd, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

static const char *notified(const struct placement *placement, struct samples *samples, int synchronous)
{
    int sockets[2];
    const char *reason = NULL;
    struct child child = { .fd = -1, .shared = new_shared() };
    if (child.shared == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
        return "no memory";
    child.pid = start_child(placement->child_cpu);
    if (child.pid == 0) {
        int listener = install_filter(SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);
        if (listener < 0 || send_fd(sockets[1], listener) != 0)
            _exit(3);
        close(listener);
        guest_loop(child.shared, round_trips(placement) + 1, ANSWER);
        _exit(0);
    }
    close(sockets[1]);
    if (child.pid > 0)
        child.fd = receive_fd(sockets[0]);
    close(sockets[0]);
    if (child.pid < 0)
        reason = "fork was refused";
    else if (child.fd < 0)
        reason = "seccomp user notification was refused";
    else if (synchronous &&
             ioctl(child.fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP) != 0)
        reason = "the kernel is older than 6.6";
    if (reason == NULL)
        reason = measure_round_trips(placement, samples, &child, serve_notification);
    if (child.pid > 0)
        end_child(child.pid);
    if (child.fd >= 0)
        close(child.fd);
    free_shared(child.shared);
    return reason;
}

const char *notification(const struct placement *placement, struct samples *samples)
{
    return notified(placement, samples, 0);
}

const char *notification_synchronous(const struct placement *placement, struct samples *samples)
{
    return notified(placement, samples, 1);
}

/* SIGSYS. The handler and what it calls are in a section of their own, whose system calls Syscall User Dispatch lets
 * pass: they make their own and no others. */

#define HANDLER __attribute__((section("handler_code"), noinline))
extern const char __start_handler_code[], __stop_handler_code[];

static struct shared *handler_shared;

HANDLER static long call_futex(_Atomic uint32_t *word, long operation, uint32_t value, const struct timespec *most)
{
    register long fourth __asm__("r10") = (long)most;
    register long fifth __asm__("r8") = 0;
    register long sixth __asm__("r9") = 0;
    long result = SYS_futex;
    __asm__ volatile("syscall"
                     : "+a"(result)
                     : "D"(word), "S"(operation), "d"((long)value), "r"(fourth), "r"(fifth), "r"(sixth)
                     : "rcx", "r11", "memory");
    return result;
}

/* The kernel's struct sigaction; the C library's sigaction() would put its own restorer there. */
struct kernel_action {
    void (*handler)(int, siginfo_t *, void *);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

__asm__(".pushsection handler_code, \"ax\", @progbits\n"
        "handler_return:\n"
        "    mov $15, %eax\n" /* rt_sigreturn */
        "    syscall\n"
        ".popsection\n");
void handler_return(void);

HANDLER static void on_sigsys(int signal, siginfo_t *information, void *context)
{
    const struct timespec most = { .tv_sec = WAIT_SECONDS };
    struct shared *shared = handler_shared;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    (void)signal;
    (void)information;
    for (int i = 0; i < NGREG; i++)
        shared->registers[i] = registers[i];
    shared->turn = PARENT;
    call_futex(&shared->turn, FUTEX_WAKE, 1, NULL);
    while (shared->turn != CHILD)
        if (call_futex(&shared->turn, FUTEX_WAIT, PARENT, &most) == -ETIMEDOUT)
            break;
    for (int i = 0; i < NGREG; i++)
        registers[i] = shared->registers[i];
}

static int serve_sigsys(struct child *child)
{
    if (await_turn(child->shared, PARENT) != 0 || child->shared->registers[REG_RAX] != SYS_getppid)
        return -1;
    child->shared->registers[REG_RAX] = ANSWER;
    give_turn(child->shared, CHILD);
    return 0;
}

static int trap_by_filter(void)
{
    return install_filter(SECCOMP_RET_TRAP, 0);
}

static int trap_by_dispatch(void)
{
    static char selector = 1; /* SYSCALL_DISPATCH_FILTER_BLOCK */
    size_t length = (size_t)(__stop_handler_code - __start_handler_code);
    return prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, __start_handler_code, length, &selector);
}

static const char *by_sigsys(const struct placement *placement, struct samples *samples, int (*trap)(void),
                             const char *refused)
{
    const char *reason = NULL;
    struct child child = { .fd = -1, .shared = new_shared() };
    if (child.shared == NULL)
        return "no memory";
    handler_shared = child.shared;
    child.pid = start_child(placement->child_cpu);
    if (child.pid == 0) {
        struct kernel_action action = { .handler = on_sigsys, .flags = SA_SIGINFO | 0x04000000 /* SA_RESTORER */,
                                        .restorer = handler_return };
        if (syscall(SYS_rt_sigaction, SIGSYS, &action, NULL, sizeof action.mask) != 0 || trap() != 0)
            child.shared->registers[REG_RAX] = -1; /* what no system call is */
        else
            guest_loop(child.shared, round_trips(placement) + 1, ANSWER);
        give_turn(child.shared, PARENT);
        _exit(0);
    }
    if (child.pid < 0)
        reason = "fork was refused";
    else if (await_turn(child.shared, PARENT) != 0 || child.shared->registers[REG_RAX] == -1)
        reason = refused;
    else
        reason = measure_round_trips(placement, samples, &child, serve_sigsys);
    if (child.pid > 0)
        end_child(child.pid);
    free_shared(child.shared);
    return reason;
}

const char *sigsys_trap(const struct placement *placement, struct samples *samples)
{
    return by_sigsys(placement, samples, trap_by_filter, "seccomp was refused");
}

const char *sigsys_dispatch(const struct placement *placement, struct samples *samples)
{
    return by_sigsys(placement, samples, trap_by_dispatch, "the kernel is older than 5.11");
}
