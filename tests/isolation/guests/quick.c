// A server that does as little as a server can, and whatever else its request says.
#include "server.h"

static char state[16 * PAGE];

static void set_up(void) {}

static void work(const char *text) {
    for (int at = 0; at < sizeof state; at += PAGE) state[at]++;
    sprintf(answer, "%d ", state[0]);
}

static void crash(const char *text) { abort(); }

static void leave(const char *text) {
    // What a careless request leaves behind.
    int left[2];
    MUST(pipe(left));
    MUST(write(left[1], "left", 4));
    MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(memfd_create("left", 0));
    MUST(open("/proc/self/exe", O_RDONLY));
    MUST(mmap(0, PAGE, PROT_READ, MAP_PRIVATE, MUST(open("/proc/self/exe", O_RDONLY)), 0));
    MUST(mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    work(text);
}

static const struct action actions[] = {{"work", work}, {"crash", crash}, {"leave", leave}, {0}};
