// membarrier: what there is, who may ask for it, and that it is refused to who has not registered
#include "../guest.h"
#include <linux/membarrier.h>

enum { FLAG_CPU = 1 };

static long membarrier(int command, unsigned flags, int cpu)
{
    return syscall(SYS_membarrier, command, flags, cpu);
}

int main(void)
{
    long commands = MUST(membarrier(MEMBARRIER_CMD_QUERY, 0, 0));
    CHECK(commands & MEMBARRIER_CMD_GLOBAL);
    CHECK(commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED);
    CHECK(commands & MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE);
    CHECK(commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ);
    SHOW(membarrier(MEMBARRIER_CMD_GLOBAL, 0, 0));
    SHOW(membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0));
    SHOW(membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0));
    SHOW(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
    SHOW(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0));
    SHOW(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 0, 0));
    SHOW(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0));
    SHOW(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
    SHOW(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0));
    SHOW(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0));
    SHOW(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0));
    SHOW(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 0));
    SHOW(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 0, 0));
    SHOW(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, FLAG_CPU, 0));
    SHOW(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 2, 0));
    SHOW(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, FLAG_CPU, 0));
    SHOW(membarrier(MEMBARRIER_CMD_QUERY, FLAG_CPU, 0));
    SHOW(membarrier(MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0));
    SHOW(membarrier(1 << 20, 0, 0));
    return guest_status();
}
