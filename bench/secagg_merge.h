/* secagg_merge - how fast vectors in memory are added up, for bench_secagg. */
#ifndef CHOIR_BENCH_SECAGG_MERGE_H
#define CHOIR_BENCH_SECAGG_MERGE_H

#include <stddef.h>

/* GB/s of input on two threads, `runs` times in turns: reading alone; the kernel that adds vectors
 * where they lie; and the aggregator's sum, which reads each block to a buffer of its own first. */
void secagg_merge(size_t runs, double *read, double *kernel, double *merge);

#endif
