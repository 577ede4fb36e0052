// eventfd: each buffer of a vectored write counts by itself, no write counts twice, and no file can be sent to one.
#include "../guest.h"
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

static uint64_t values[1024];

static void show_count(int fd)
{
    uint64_t value = 0;
    SHOW(read(fd, &value, sizeof value));
    SHOW(value);
}

int main(void)
{
    for (int i = 0; i < 1024; i++)
        values[i] = i + 1;
    int ends[2], fd = MUST(eventfd(0, EFD_NONBLOCK));

    struct iovec two[] = {{values + 1, 8}, {values + 2, 8}};
    SHOW(writev(fd, two, 2));
    show_count(fd);
    struct iovec short_second[] = {{values + 1, 8}, {values + 4, 7}};
    SHOW(writev(fd, short_second, 2));
    show_count(fd);
    struct iovec bad_second[] = {{values + 1, 8}, {guest_bad_pointer(), 8}};
    SHOW(writev(fd, bad_second, 2));
    show_count(fd);
    struct iovec halves[] = {{values + 1, 4}, {values + 2, 4}};
    SHOW(writev(fd, halves, 2));
    show_count(fd);
    uint64_t most = UINT64_MAX - 1;
    struct iovec full[] = {{&most, 8}, {values, 8}};
    SHOW(writev(fd, full, 2));
    SHOW(writev(fd, two, 2));
    MUST(read(fd, &most, sizeof most));
    CHECK(most == UINT64_MAX - 1);

    // Since Linux 6.7 a longer write fails; before, its first eight bytes counted.
    long wrote = write(fd, values, sizeof values);
    uint64_t value = 0;
    CHECK(wrote == 8 || (wrote == -1 && errno == EINVAL));
    CHECK(read(fd, &value, sizeof value) == wrote || errno == EAGAIN);
    CHECK(value == (wrote == 8));

    int zero = MUST(open("/dev/zero", O_RDONLY));
    SHOW(sendfile(fd, zero, NULL, 8));
    SHOW(sendfile(fd, zero, NULL, 1 << 30));
    MUST(pipe(ends));
    MUST(write(ends[1], values, 16));
    SHOW(splice(ends[0], NULL, fd, NULL, 8, 0));
    show_count(fd);

    int null = MUST(open("/dev/null", O_RDWR)), device = MUST(open("/dev/full", O_WRONLY));
    SHOW(sendfile(null, zero, NULL, 1 << 20));
    SHOW(sendfile(null, null, NULL, 8));
    SHOW(sendfile(device, zero, NULL, 8));
    return guest_status();
}
