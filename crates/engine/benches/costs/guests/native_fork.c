/* What fork(2) costs a process like dirty_pages: fills 100 MB, then forks as often as the first argument says; each child
 * dirties 200 scattered pages and ends. A line each: nanoseconds until fork returned, and until the child had ended. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, AREA = 100 << 20, PAGES = 200, APART = AREA / PAGES / PAGE * PAGE };

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

int main(int argc, char **argv)
{
    int forks = argc == 2 ? atoi(argv[1]) : 0;
    volatile char *area = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED || forks < 1 || forks > 10000)
        return 2;
    memset((char *)area, 7, AREA);
    for (int i = 0; i < forks; i++) {
        double start = now();
        pid_t child = fork();
        if (child < 0)
            return 3;
        if (child == 0) {
            for (size_t page = 0; page < PAGES; page++)
                area[page * APART + 17] = (char)(page % 5);
            _exit(0);
        }
        double forked = now() - start;
        if (waitpid(child, NULL, 0) != child)
            return 4;
        printf("%.0f %.0f\n", forked, now() - start);
    }
    return 0;
}
