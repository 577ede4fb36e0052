// fsync and its relatives, posix_fadvise, readahead: accepted on files, refused elsewhere.
#include "../guest.h"

int main(void)
{
    int ends[2], fd = MUST(open("file", O_CREAT | O_RDWR, 0644));
    MUST(write(fd, "data", 4));
    MUST(pipe(ends));
    SHOW(fsync(fd));
    SHOW(fdatasync(fd));
    SHOW(fsync(MUST(open(".", O_RDONLY))));
    SHOW(fsync(ends[0]));
    SHOW(fsync(99));
    SHOW(sync_file_range(fd, 0, 4, SYNC_FILE_RANGE_WRITE));
    SHOW(sync_file_range(fd, 0, 4, 1 << 10));
    SHOW(sync_file_range(fd, -1, 4, 0));
    SHOW(sync_file_range(ends[0], 0, 4, 0));
    SHOW_CODE(posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED));
    SHOW_CODE(posix_fadvise(fd, 0, 0, 99));
    SHOW_CODE(posix_fadvise(ends[0], 0, 0, POSIX_FADV_NORMAL));
    SHOW(readahead(fd, 0, 4096));
    SHOW(readahead(ends[0], 0, 4096));
    return guest_status();
}
