/*
 * demo-cpu [LIMIT [JOBS]]: counts primes by trial division, in as many processes as asked for: work that never calls
 * the kernel, so that only the timer makes it share the processor. Each says when it is half done.
 */

#include "vbox.h"
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static bool is_prime(unsigned number)
{
    if (number < 2 || (number % 2 == 0 && number != 2))
        return false;
    for (unsigned divisor = 3; divisor <= number / divisor; divisor += 2)
        if (number % divisor == 0)
            return false;
    return true;
}

static void count_primes(int job, unsigned limit)
{
    unsigned count = 0;
    for (unsigned number = 0; number < limit; number++) {
        if (number == limit / 2) {
            printf("job %d: half way, %u primes\n", job, count);
            fflush(stdout);
        }
        count += is_prime(number);
    }
    printf("job %d: %u primes below %u\n", job, count, limit);
    fflush(stdout);
}

int demo_cpu_main(int argc, char **argv)
{
    intmax_t limit = 20000, jobs = 1;
    if (argc > 1 && (!parse_integer(argv[1], &limit) || limit < 2 || limit > INT32_MAX))
        die_text("%s: bad limit", argv[1]);
    if (argc > 2 && (!parse_integer(argv[2], &jobs) || jobs < 1 || jobs > 1000))
        die_text("%s: bad number of jobs", argv[2]);
    for (int job = 1; job <= jobs; job++) {
        pid_t pid = fork();
        if (pid < 0)
            die_errno("fork");
        if (pid == 0) {
            count_primes(job, (unsigned)limit);
            _exit(0);
        }
    }
    int worst = 0;
    for (int status; wait(&status) > 0;)
        if (status_of_wait(status) > worst)
            worst = status_of_wait(status);
    return worst;
}
