// O_APPEND: every write goes to the end, wherever the offset is; pwrite too.
#include "../guest.h"

int main(void)
{
    char content[32] = "";
    int appender = MUST(open("file", O_CREAT | O_RDWR | O_APPEND, 0644));
    int other = MUST(open("file", O_RDWR));
    SHOW(write(appender, "one", 3));
    SHOW(pwrite(other, "-two", 4, 3));
    SHOW(lseek(appender, 0, SEEK_SET));
    SHOW(write(appender, "-three", 6));
    SHOW(lseek(appender, 0, SEEK_CUR));
    // Linux appends here, though POSIX says that pwrite uses its offset.
    SHOW(pwrite(appender, "!", 1, 0));
    SHOW(lseek(appender, 0, SEEK_CUR));
    SHOW(pread(other, content, sizeof content, 0));
    puts(content);

    MUST(fcntl(appender, F_SETFL, 0));
    SHOW(pwrite(appender, "O", 1, 0));
    SHOW(pread(other, content, sizeof content, 0));
    puts(content);
    return guest_status();
}
