// Writes of up to PIPE_BUF bytes from many threads do not mix.
#include "../guest.h"

enum { WRITERS = 4, RECORDS = 200, SIZE = 512 };

static int ends[2];

static void *write_records(void *argument)
{
    char record[SIZE];
    memset(record, *(char *)argument, SIZE);
    for (int i = 0; i < RECORDS; i++)
        MUST(write(ends[1], record, SIZE));
    return NULL;
}

int main(void)
{
    char letters[WRITERS] = "abcd", record[SIZE];
    int seen[WRITERS] = {0}, mixed = 0;
    pthread_t writers[WRITERS];
    MUST(pipe(ends));
    for (int i = 0; i < WRITERS; i++)
        writers[i] = guest_thread(write_records, &letters[i]);
    for (int i = 0; i < WRITERS * RECORDS; i++) {
        for (int filled = 0; filled < SIZE;)
            filled += MUST(read(ends[0], record + filled, SIZE - filled));
        for (int at = 1; at < SIZE; at++)
            mixed += record[at] != record[0];
        seen[record[0] - 'a']++;
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writers[i], NULL);
    SHOW(mixed);
    for (int i = 0; i < WRITERS; i++)
        printf("%c: %d\n", letters[i], seen[i]);
    return guest_status();
}
