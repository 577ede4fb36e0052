// libc streams over files: reading back, seeking, appending, scanning, a temporary file.
#include "../guest.h"

int main(void)
{
    char word[16];
    int number;
    FILE *file = fopen("file", "w+");
    CHECK(file != NULL);
    for (int i = 0; i < 10000; i++)
        fprintf(file, "line %d\n", i);
    SHOW(ftell(file));
    SHOW(fseek(file, -9, SEEK_END));
    SHOW(fscanf(file, "%15s", word));
    puts(word);
    rewind(file);
    long sum = 0;
    while (fscanf(file, "%15s %d", word, &number) == 2)
        sum += number;
    SHOW(sum);
    SHOW(fclose(file));

    file = fopen("file", "a");
    fputs("end\n", file);
    SHOW(ftell(file));
    SHOW(fclose(file));
    CHECK(fopen("missing", "r") == NULL && errno == ENOENT);
    file = tmpfile();
    CHECK(file != NULL);
    SHOW(fwrite("temporary", 1, 9, file));
    rewind(file);
    SHOW(fread(word, 1, 9, file));
    printf("%.9s\n", word);
    SHOW(remove("file"));
    return guest_status();
}
