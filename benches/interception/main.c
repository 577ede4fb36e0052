/* Measures what intercepting a process's system calls costs, by each way that Linux offers: see README.md.
 *
 * A table on stdout; with --json one JSON object there, and the table on stderr. */
#define _GNU_SOURCE
#include "interception.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static const struct {
    const char *name;
    mechanism measure;
} mechanisms[] = {
    { "none (native)", native },
    { "ptrace SYSEMU, GETREGS and SETREGS", ptrace_with_registers },
    { "ptrace SYSEMU, GETREGS and the result alone", ptrace_with_result },
    { "ptrace SYSEMU, bare", ptrace_bare },
    { "seccomp user notification", notification },
    { "seccomp user notification, synchronous wake-up", notification_synchronous },
    { "SIGSYS by seccomp, futex hand-off", sigsys_trap },
    { "SIGSYS by Syscall User Dispatch, futex hand-off", sigsys_dispatch },
};
enum { MECHANISMS = sizeof mechanisms / sizeof mechanisms[0], BASE = 1, PLACEMENTS = 2, LINE = 256 };

struct machine {
    struct utsname system;
    char cpu[LINE];
    int cpus;
    int first, last;
    int virtual;
};

struct results {
    struct placement placements[PLACEMENTS];
    struct samples round_trips[PLACEMENTS][MECHANISMS];
    struct samples memory[MEMORY_ROWS];
};

static void describe(struct machine *machine)
{
    cpu_set_t set;
    char line[4 * LINE];
    uname(&machine->system);
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        machine->first = -1;
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
            if (CPU_ISSET((size_t)cpu, &set)) {
                machine->cpus++;
                machine->last = cpu;
                if (machine->first < 0)
                    machine->first = cpu;
            }
    }
    strcpy(machine->cpu, "unknown");
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char *value = strchr(line, ':');
        if (value == NULL)
            continue;
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, "model name", 10) == 0)
            snprintf(machine->cpu, sizeof machine->cpu, "%.*s", LINE - 1, value + 2);
        if (strncmp(line, "flags", 5) == 0)
            machine->virtual = strstr(value, " hypervisor") != NULL;
    }
    if (file != NULL)
        fclose(file);
}

static void measure(const struct machine *machine, struct results *results)
{
    results->placements[0] = (struct placement){ "same CPU", machine->first, machine->first, CALLS_SAME_CPU };
    results->placements[1] = (struct placement){ "two CPUs", machine->first, machine->last, CALLS_TWO_CPUS };
    for (int round = 0; round < ROUNDS; round++)
        for (int at = 0; at < PLACEMENTS; at++)
            for (int which = 0; which < MECHANISMS; which++) {
                const struct placement *placement = &results->placements[at];
                struct samples *samples = &results->round_trips[at][which];
                if (samples->skipped != NULL)
                    continue;
                if (at == 1 && (machine->cpus < 2 || which == 0))
                    samples->skipped = which == 0 ? "as on one" : "there is only one CPU";
                else if (pin(placement->parent_cpu) != 0)
                    samples->skipped = "pinning was refused";
                else
                    samples->skipped = mechanisms[which].measure(placement, samples);
            }
    measure_memory(machine->first, results->memory);
}

static void print_row(FILE *file, const char *name, const struct samples *samples, const struct samples *base)
{
    if (samples->skipped != NULL)
        fprintf(file, "  %-64s  %s\n", name, samples->skipped);
    else if (base == NULL)
        fprintf(file, "  %-64s %10.0f %10.0f\n", name, median(samples), lowest(samples));
    else
        fprintf(file, "  %-64s %10.0f %10.0f %8.2f\n", name, median(samples), lowest(samples),
                median(base) > 0 ? median(samples) / median(base) : 0);
}

static void print_table(FILE *file, const struct machine *machine, const struct results *results)
{
    fprintf(file, "%s, Linux %s, %d CPUs%s\n", machine->cpu, machine->system.release, machine->cpus,
            machine->virtual ? ", virtual machine" : "");
    for (int at = 0; at < PLACEMENTS; at++) {
        fprintf(file, "\n%-66s %10s %10s %8s\n", at == 0 ? "round trip of a system call, on one CPU (ns)"
                                                      : "round trip of a system call, across two CPUs (ns)",
                "median", "lowest", "ratio");
        for (int which = 0; which < MECHANISMS; which++)
            print_row(file, mechanisms[which].name, &results->round_trips[at][which], &results->round_trips[at][BASE]);
    }
    fprintf(file, "\n%-66s %10s %10s\n", "memory (ns)", "median", "lowest");
    for (int row = 0; row < MEMORY_ROWS; row++)
        print_row(file, memory_names[row], &results->memory[row], NULL);
}

static void print_string(const char *text)
{
    putchar('"');
    for (; *text; text++)
        if (*text == '"' || *text == '\\')
            printf("\\%c", *text);
        else if ((unsigned char)*text >= ' ')
            putchar(*text);
    putchar('"');
}

static void print_measurement(const char *name, const char *placement, const struct samples *samples,
                              const struct samples *base, int last)
{
    printf("    {\"name\": ");
    print_string(name);
    if (placement != NULL) {
        printf(", \"placement\": ");
        print_string(placement);
    }
    if (samples->skipped != NULL) {
        printf(", \"skipped\": ");
        print_string(samples->skipped);
    } else {
        printf(", \"nanoseconds\": %.1f, \"lowest\": %.1f", median(samples), lowest(samples));
        if (base != NULL && base->skipped == NULL)
            printf(", \"ratio\": %.3f", median(samples) / median(base));
    }
    printf("}%s\n", last ? "" : ",");
}

static void print_json(const struct machine *machine, const struct results *results)
{
    printf("{\n  \"kernel\": ");
    print_string(machine->system.release);
    printf(",\n  \"cpu\": ");
    print_string(machine->cpu);
    printf(",\n  \"cpus\": %d,\n  \"virtual_machine\": %s,\n  \"ratio_to\": ", machine->cpus,
           machine->virtual ? "true" : "false");
    print_string(mechanisms[BASE].name);
    printf(",\n  \"round_trips\": [\n");
    for (int at = 0; at < PLACEMENTS; at++)
        for (int which = 0; which < MECHANISMS; which++)
            print_measurement(mechanisms[which].name, results->placements[at].name, &results->round_trips[at][which],
                              &results->round_trips[at][BASE], at == PLACEMENTS - 1 && which == MECHANISMS - 1);
    printf("  ],\n  \"memory\": [\n");
    for (int row = 0; row < MEMORY_ROWS; row++)
        print_measurement(memory_names[row], NULL, &results->memory[row], NULL, row == MEMORY_ROWS - 1);
    printf("  ]\n}\n");
}

int main(int argc, char **argv)
{
    static struct machine machine;
    static struct results results;
    int json = argc == 2 && strcmp(argv[1], "--json") == 0;
    if (argc > 1 && !json) {
        fprintf(stderr, "usage: %s [--json]\n", argv[0]);
        return 2;
    }
    /* Whatever hangs: SIGALRM ends this process, and its children die with it. */
    alarm(SECONDS_AT_MOST);
    describe(&machine);
    measure(&machine, &results);
    print_table(json ? stderr : stdout, &machine, &results);
    if (json)
        print_json(&machine, &results);
    return 0;
}
