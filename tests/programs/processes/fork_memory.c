// fork: private memory is copied, shared memory is shared, with and without a file.
#include "../guest.h"
#include <sys/wait.h>

static int global = 1;

int main(void)
{
    int local = 1;
    int flags = MAP_SHARED | MAP_ANONYMOUS;
    int *shared = (int *)MUST(mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, flags, -1, 0));
    int fd = MUST(open("file", O_RDWR | O_CREAT, 0600));
    MUST(ftruncate(fd, 4096));
    int *mapped = (int *)MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    int *copied = (int *)MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    int *heap = malloc(sizeof *heap);
    char *wiped = guest_map(4096, PROT_READ | PROT_WRITE);
    MUST(madvise(wiped, 4096, MADV_WIPEONFORK));
    wiped[0] = 'w';
    *heap = 1, shared[0] = 1, shared[2048] = 7, *mapped = 1, *copied = 1;
    pid_t child = MUST(fork());
    if (child == 0) {
        printf("child: %d %d %d %d %d %d %d\n", global, local, *heap, shared[0], shared[2048], *mapped, *copied);
        CHECK(wiped[0] == 0);
        CHECK(getpid() != getppid());
        global = local = *heap = shared[0] = shared[2048] = *mapped = *copied = 2;
        exit(guest_status());
    }
    int status;
    CHECK(wait(&status) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    printf("parent: %d %d %d %d %d %d %d\n", global, local, *heap, shared[0], shared[2048], *mapped, *copied);
    CHECK(wiped[0] == 'w');
    // What the parent maps or unmaps now, a second child does not see.
    child = MUST(fork());
    if (child == 0) {
        shared[1] = 9;
        munmap(shared, 4096);
        _exit(0);
    }
    MUST(waitpid(child, &status, 0));
    printf("after another: %d %d\n", shared[0], shared[1]);
    return guest_status();
}
