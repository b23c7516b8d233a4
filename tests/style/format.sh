#!/bin/sh
# Every source file is laid out by .clang-format. TAP.
cd "$1" || exit 2
bad=$(find base crypto privacy train wire ledger configs round ops node aggregator audit cli examples \
    bench tests \( -name '*.[ch]' -o -name '*.cu' \) -type f |
    xargs -r clang-format --dry-run -Werror 2>&1 | grep -E '(error|warning):' | cut -d: -f1 | sort -u)
if [ -z "$bad" ]; then
    echo 'ok 1 - every file is formatted'
else
    echo 'not ok 1 - every file is formatted (run clang-format -i on these)'
    printf '%s\n' "$bad" | sed 's/^/# /'
fi
echo 1..1
[ -z "$bad" ]
