/* kernels - one line: which BLAS kernels run here and how fast they are. */
#include <stdio.h>

#include "train/blas.h"

int main(void)
{
    blas_start();
    printf("OpenBLAS %s%s, %.0f GF/s on one thread\n", blas_kernel_name(),
           blas_was_repaired() ? " (repaired at start)" : "", blas_self_test());
    return 0;
}
