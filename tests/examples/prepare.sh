#!/bin/sh
# The shipped data and row lists are what the prepare.py scripts make of the original files, byte
# for byte. TAP on standard output; skipped where the originals are not there (CHOIR_SHARED_DATA).
cd "$1" || exit 2
shared=${CHOIR_SHARED_DATA:-../shared/data}
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
cp -r examples "$work"
n=0
bad=0

again() { # example, folder of the originals, folder made
    n=$((n + 1))
    if [ ! -d "$shared/$2" ]; then
        echo "ok $n - $1 is prepared again # SKIP no $2"
        return
    fi
    rm -rf "$work/examples/$1/$3"
    if PYTHONDONTWRITEBYTECODE=1 python3 "$work/examples/$1/prepare.py" "$shared/$2" >"$work/log" 2>&1 &&
        diff -r "examples/$1/$3" "$work/examples/$1/$3" >"$work/log"; then
        echo "ok $n - $1 is prepared again"
    else
        echo "not ok $n - $1 is prepared again"
        head -n 5 "$work/log" | sed 's/^/# /'
        bad=1
    fi
}

again lenders lending_club data
again banks german_credit data
again breast-cancer survival_breast data
again heart heart_disease rows
echo "1..$n"
exit $bad
