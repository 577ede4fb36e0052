// A named pipe: opening without blocking, both ends at once, and between two threads.
#include "../guest.h"

static void *write_greeting(void *unused)
{
    (void)unused;
    int fd = MUST(open("fifo", O_WRONLY));
    MUST(write(fd, "greeting", 8));
    MUST(close(fd));
    return NULL;
}

int main(void)
{
    char content[16];
    struct stat status;
    SHOW(mkfifo("fifo", 0600));
    MUST(stat("fifo", &status));
    CHECK(S_ISFIFO(status.st_mode));
    SHOW(mkfifo("fifo", 0600));
    SHOW(open("fifo", O_WRONLY | O_NONBLOCK));

    int reader = MUST(open("fifo", O_RDONLY | O_NONBLOCK));
    SHOW(read(reader, content, sizeof content));
    int writer = MUST(open("fifo", O_WRONLY | O_NONBLOCK));
    SHOW(read(reader, content, sizeof content));
    SHOW(write(writer, "abc", 3));
    SHOW(read(reader, content, sizeof content));
    MUST(close(writer));
    SHOW(read(reader, content, sizeof content));
    MUST(close(reader));

    // Each blocking open waits for the other side.
    pthread_t thread = guest_thread(write_greeting, NULL);
    reader = MUST(open("fifo", O_RDONLY));
    SHOW(read(reader, content, sizeof content));
    SHOW(read(reader, content, sizeof content));
    SHOW_CODE(pthread_join(thread, NULL));
    return guest_status();
}
