/* Lists of sites and shares from outside: refused or restored, and what is restored is what was
 * accepted. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "crypto/rng.h"
#include "crypto/shamir.h"

enum { N_MAX = 12 };

static bool accepts_even(const uint8_t secret[static SHAMIR_SCALAR_BYTES], void *context)
{
    memcpy(context, secret, SHAMIR_SCALAR_BYTES);
    return secret[0] % 2 == 0;
}

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct view view = view_over(data, len);
    uint32_t sites[N_MAX];
    struct shamir_share shares[N_MAX];
    uint8_t secret[SHAMIR_SCALAR_BYTES], accepted[SHAMIR_SCALAR_BYTES];
    bool bad[N_MAX] = {false};
    struct shamir_set *set = NULL;
    size_t threshold = view_u8(&view), n = view_u8(&view) % (N_MAX + 1), n_bad = 0;

    if (rng_start() != CHOIR_OK)
        return 0;
    for (size_t i = 0; i < n; i++) {
        sites[i] = view_u32(&view);
        view_bytes(&view, shares[i].bytes, SHAMIR_SCALAR_BYTES);
    }
    if (view.failed || shamir_set_new(sites, n, threshold, &set) != CHOIR_OK)
        return 0;
    if (shamir_combine(set, shares, secret) == CHOIR_OK)
        assert(shamir_is_canonical(secret));
    if (shamir_recover(set, shares, accepts_even, accepted, secret, bad) == CHOIR_OK) {
        assert(memcmp(secret, accepted, sizeof secret) == 0);
        for (size_t i = 0; i < n; i++)
            n_bad += bad[i];
        assert(n_bad <= n - threshold);
        assert(n == threshold || shamir_is_consistent(set, shares) == (n_bad == 0));
    }
    shamir_set_free(set);
    return 0;
}
