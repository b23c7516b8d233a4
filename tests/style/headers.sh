#!/bin/sh
# Every header stands alone: it compiles as the only include of an empty file. TAP.
cd "$1" || exit 2
n=0
bad=0
for header in $(find base crypto privacy train wire ledger configs round ops node aggregator audit cli \
    examples bench -name '*.h' | sort); do
    n=$((n + 1))
    if printf '#include "%s"\n' "$header" |
        ${CC:-cc} -std=c17 -D_GNU_SOURCE -fsyntax-only -Wall -Wextra -Werror -I. -x c - 2>/tmp/headers.$$; then
        echo "ok $n - $header stands alone"
    else
        echo "not ok $n - $header stands alone"
        sed 's/^/# /' /tmp/headers.$$
        bad=1
    fi
done
rm -f /tmp/headers.$$
echo "1..$n"
exit $bad
