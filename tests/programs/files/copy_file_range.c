// copy_file_range: offsets given and own, the end of the source, and refusals.
#include "../guest.h"

int main(void)
{
    char content[32] = "";
    int from = MUST(open("from", O_CREAT | O_RDWR, 0644));
    int to = MUST(open("to", O_CREAT | O_RDWR, 0644));
    MUST(write(from, "0123456789", 10));
    SHOW(copy_file_range(from, NULL, to, NULL, 5, 0));
    MUST(lseek(from, 0, SEEK_SET));
    SHOW(copy_file_range(from, NULL, to, NULL, 4, 0));
    SHOW(lseek(from, 0, SEEK_CUR));
    SHOW(lseek(to, 0, SEEK_CUR));
    off_t source = 7, target = 6;
    SHOW(copy_file_range(from, &source, to, &target, 100, 0));
    printf("source=%ld target=%ld\n", (long)source, (long)target);
    SHOW(lseek(from, 0, SEEK_CUR));
    SHOW(pread(to, content, sizeof content, 0));
    CHECK(memcmp(content, "0123\0\0" "789", 9) == 0);

    source = 0, target = 2;
    SHOW(copy_file_range(from, &source, from, &target, 5, 0));
    SHOW(copy_file_range(from, NULL, to, NULL, 1, 1));
    SHOW(copy_file_range(99, NULL, to, NULL, 1, 0));
    SHOW(copy_file_range(from, NULL, MUST(open("to", O_RDONLY)), NULL, 1, 0));
    SHOW(copy_file_range(from, NULL, MUST(open("to", O_WRONLY | O_APPEND)), NULL, 1, 0));
    SHOW(copy_file_range(MUST(open(".", O_RDONLY)), NULL, to, NULL, 1, 0));
    int ends[2];
    MUST(pipe(ends));
    SHOW(copy_file_range(from, NULL, ends[1], NULL, 1, 0));
    return guest_status();
}
