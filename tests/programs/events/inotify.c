// Events for files that the program itself changes.
#include "../guest.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

static int first;

// Prints the events of one read: which watch, what, whose name; cookies only as pairs.
static void show_events(int fd)
{
    char bytes[4096] __attribute__((aligned(8)));
    ssize_t count = read(fd, bytes, sizeof bytes);
    uint32_t moved = 0;
    if (count < 0) {
        printf("%s\n", guest_error_name(errno));
        return;
    }
    for (ssize_t at = 0; at < count;) {
        struct inotify_event *event = (struct inotify_event *)(bytes + at);
        printf("%d %08x '%s'", event->wd - first, event->mask, event->len ? event->name : "");
        if (event->cookie)
            printf(" %s", event->cookie == moved ? "the same" : "moved");
        moved = event->cookie;
        printf("\n");
        at += sizeof *event + event->len;
    }
}

static void write_file(const char *path)
{
    int file = MUST(open(path, O_CREAT | O_WRONLY | O_APPEND, 0644));
    MUST(write(file, "text", 4));
    MUST(close(file));
}

static void *write_late(void *unused)
{
    (void)unused;
    write_file("late");
    return NULL;
}

int main(void)
{
    int fd = MUST(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)), count;
    SHOW(fcntl(fd, F_GETFD));
    show_events(fd);
    MUST(mkdir("directory", 0755));
    first = MUST(inotify_add_watch(fd, "directory", IN_CREATE | IN_DELETE | IN_MOVE | IN_CLOSE_WRITE));
    write_file("directory/file");
    show_events(fd);
    int second = MUST(inotify_add_watch(fd, "directory/file", IN_MODIFY | IN_DELETE_SELF | IN_ATTRIB));
    SHOW(second - first);
    CHECK(inotify_add_watch(fd, "./directory/../directory", IN_CREATE | IN_DELETE | IN_MOVE) == first);
    write_file("directory/file");
    MUST(rename("directory/file", "directory/other"));
    MUST(mkdir("directory/sub", 0755));
    MUST(chmod("directory/other", 0600));
    struct pollfd one = {fd, POLLIN, 0};
    SHOW(poll(&one, 1, 0));
    MUST(ioctl(fd, FIONREAD, &count));
    CHECK(count > 0);
    show_events(fd);
    SHOW(poll(&one, 1, 0));
    int set = MUST(epoll_create1(0));
    struct epoll_event event = {EPOLLIN | EPOLLET, {.u32 = 1}};
    MUST(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
    SHOW(epoll_wait(set, &event, 1, 0));
    MUST(unlink("directory/other"));
    SHOW(epoll_wait(set, &event, 1, 1000));
    SHOW(read(fd, &count, 4));
    show_events(fd);
    SHOW(inotify_rm_watch(fd, second));
    SHOW(inotify_rm_watch(fd, first));
    show_events(fd);
    write_file("directory/unseen");
    show_events(fd);

    // Once, or only what is new.
    first = MUST(inotify_add_watch(fd, "directory", IN_CREATE | IN_ONESHOT));
    SHOW(inotify_add_watch(fd, "directory", IN_CREATE | IN_MASK_CREATE));
    write_file("directory/one");
    write_file("directory/two");
    show_events(fd);
    SHOW(inotify_add_watch(fd, "directory/one", IN_MODIFY | IN_ONLYDIR));
    SHOW(inotify_add_watch(fd, "missing", IN_MODIFY));
    SHOW(inotify_add_watch(fd, "directory", 0));
    SHOW(inotify_add_watch(0, "directory", IN_MODIFY));
    SHOW(inotify_add_watch(99, "directory", IN_MODIFY));
    SHOW(inotify_add_watch(fd, guest_bad_pointer(), IN_MODIFY));
    SHOW(inotify_init1(1));
    SHOW(write(fd, "x", 1));

    // Another thread's change ends a read that waits.
    MUST(fcntl(fd, F_SETFL, 0));
    first = MUST(inotify_add_watch(fd, ".", IN_CREATE));
    pthread_t thread = guest_thread(write_late, NULL);
    show_events(fd);
    pthread_join(thread, NULL);
    return guest_status();
}
