// A read-write lock: readers together, a writer alone, and the try calls tell.
#include "../guest.h"

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static long left, right;
static atomic_int torn;

static void *read_pairs(void *unused)
{
    (void)unused;
    for (int i = 0; i < 3000; i++) {
        pthread_rwlock_rdlock(&lock);
        if (left != right)
            atomic_fetch_add(&torn, 1);
        pthread_rwlock_unlock(&lock);
    }
    return NULL;
}

static void *write_pairs(void *unused)
{
    (void)unused;
    for (int i = 0; i < 3000; i++) {
        pthread_rwlock_wrlock(&lock);
        left++;
        if (i % 100 == 0)
            sched_yield();
        right++;
        pthread_rwlock_unlock(&lock);
    }
    return NULL;
}

static void *try_both(void *unused)
{
    (void)unused;
    int reading = pthread_rwlock_tryrdlock(&lock);
    if (reading == 0)
        pthread_rwlock_unlock(&lock);
    printf("read: %s, write: %s\n", guest_error_name(reading),
           guest_error_name(pthread_rwlock_trywrlock(&lock)));
    return NULL;
}

int main(void)
{
    pthread_t threads[4] = {guest_thread(read_pairs, NULL), guest_thread(write_pairs, NULL),
                            guest_thread(read_pairs, NULL), guest_thread(write_pairs, NULL)};
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    SHOW(left);
    SHOW(right);
    SHOW(torn);
    SHOW_CODE(pthread_rwlock_rdlock(&lock));
    pthread_join(guest_thread(try_both, NULL), NULL);
    SHOW_CODE(pthread_rwlock_unlock(&lock));
    SHOW_CODE(pthread_rwlock_wrlock(&lock));
    pthread_join(guest_thread(try_both, NULL), NULL);
    SHOW_CODE(pthread_rwlock_wrlock(&lock));
    SHOW_CODE(pthread_rwlock_unlock(&lock));
    return guest_status();
}
