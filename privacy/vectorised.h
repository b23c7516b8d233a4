/* vectorised - marks a loop that is compiled once for each instruction set.
 *
 * The program takes the fastest body that the processor has, at start. The arithmetic is the
 * same in each, bit for bit, because multiplications and additions are never fused
 * (-ffp-contract=off).
 */
#ifndef CHOIR_PRIVACY_VECTORISED_H
#define CHOIR_PRIVACY_VECTORISED_H

#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define VECTORISED __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define VECTORISED
#endif

#endif
