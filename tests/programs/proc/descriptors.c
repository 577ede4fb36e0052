// /proc/self/fd: a listing of the open descriptors, links to what they are, opened anew.
#include "../guest.h"
#include <dirent.h>
#include <sys/eventfd.h>
#include <sys/epoll.h>
#include <sys/socket.h>

static void print_link(int fd)
{
    char path[64], target[256] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (readlink(path, target, sizeof target - 1) == -1) {
        printf("%s\n", guest_error_name(errno));
        return;
    }
    // Only the kind: numbers and directories differ.
    char *bracket = strchr(target, '['), *slash = strrchr(target, '/');
    if (bracket && !strstr(target, "anon_inode"))
        strcpy(bracket, "[...]");
    puts(!strncmp(target, "/dev/", 5) || target[0] != '/' ? target : slash + 1);
}

int main(void)
{
    int ends[2], pair[2], listed = 0, last = -1;
    int fd = MUST(open("file", O_CREAT | O_RDWR, 0644));
    MUST(pipe(ends));
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    int event = MUST(eventfd(0, 0)), epoll = MUST(epoll_create1(0));
    int null = MUST(open("/dev/null", O_RDONLY));
    print_link(fd);
    print_link(ends[0]);
    print_link(pair[1]);
    print_link(event);
    print_link(epoll);
    print_link(null);
    print_link(99);
    MUST(unlink("file"));
    print_link(fd);

    DIR *directory = opendir("/proc/self/fd");
    CHECK(directory != NULL);
    int own = dirfd(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        int number = atoi(entry->d_name);
        if (entry->d_name[0] == '.' || number == own)
            continue;
        if (fcntl(number, F_GETFD) == -1 || number <= last)
            printf("unexpected %s\n", entry->d_name);
        last = number;
        listed++;
    }
    closedir(directory);
    SHOW(listed);
    CHECK(last == null);

    // Opening the link opens the file again, with an offset of its own; /dev/fd is the same place.
    char path[64];
    MUST(write(fd, "content", 7));
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int again = MUST(open(path, O_RDONLY));
    SHOW(lseek(again, 0, SEEK_CUR));
    SHOW(read(again, path, 7));
    MUST(write(ends[1], "x", 1));
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    again = MUST(open(path, O_RDONLY));
    SHOW(read(again, path, 1));
    return guest_status();
}
