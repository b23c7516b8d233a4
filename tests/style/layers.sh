#!/bin/sh
# Arrows point down: fails if a file includes a header of a folder that stands after its own in
# the list, if a program includes another program, or if a third-party header is seen outside
# the folders that may use it (tests, bench and examples excepted). TAP on standard output.
cd "$1" || exit 2
order='base crypto privacy train wire ledger configs round ops'
programs='node aggregator audit cli'
n=0
bad=0

report() { # name, offending lines
    n=$((n + 1))
    if [ -z "$2" ]; then
        echo "ok $n - $1"
    else
        echo "not ok $n - $1"
        printf '%s\n' "$2" | sed 's/^/# /'
        bad=1
    fi
}

sources() { find "$@" \( -name '*.[ch]' -o -name '*.cu' \) -type f 2>/dev/null; }

later=" $order $programs "
for folder in $order; do
    later=${later#*" $folder "}
    later=" $later"
    pattern=$(echo $later | tr ' ' '|')
    report "$folder includes only what stands below it" \
        "$(sources "$folder" | xargs -r grep -HnE "^#include \"($pattern)/")"
done
for program in $programs; do
    others=$(echo $programs | tr ' ' '\n' | grep -vx "$program" | tr '\n' '|' | sed 's/|$//')
    report "$program includes no other program" \
        "$(sources "$program" | xargs -r grep -HnE "^#include \"($others)/")"
done

only_in() { # header pattern, folders that may include it
    report "<$1> is seen only in $2" \
        "$(sources $order $programs | grep -Ev "^($2)/" | xargs -r grep -HnE "^#include <($1)")"
}

all=$(echo $programs | tr ' ' '|')
only_in 'sodium|openssl/' 'crypto'
only_in 'cblas|openblas|cuda' 'train'
only_in 'zlib' 'train'
only_in 'czmq|zmq' "wire|$all"
only_in 'sqlite3' "ledger|$all"
only_in 'cjson/' 'base'
only_in 'seccomp|linux/landlock' 'node'
only_in 'microhttpd' 'ops'
echo "1..$n"
exit $bad
