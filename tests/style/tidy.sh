#!/bin/sh
# clang-tidy finds nothing in any file of the clang build folder. TAP, one case a file.
# Usage: tidy.sh SOURCE_ROOT CLANG_BUILD
cd "$1" || exit 2
# A file that is unchanged since it was last found clean, with the same headers and settings, is
# not read again: the stamp is the hash of the preprocessed text and of .clang-tidy.
stamps=$2/tidy-stamps
mkdir -p "$stamps"
export stamps build="$2"
one() {
    file=$1
    log=$stamps/$(echo "$file" | tr / _)
    clang -E -std=c17 -D_GNU_SOURCE '-DCHOIR_VERSION="0"' -I. "$file" 2>/dev/null | cat - .clang-tidy |
        sha256sum >"$log.new"
    if cmp -s "$log.new" "$log.ok"; then
        echo "ok - clang-tidy $file"
        return
    fi
    if clang-tidy --quiet -p "$build" "$file" >"$log.txt" 2>/dev/null; then
        mv "$log.new" "$log.ok"
        echo "ok - clang-tidy $file"
    else
        echo "not ok - clang-tidy $file"
        grep -E '(error|warning):' "$log.txt" | sed 's/^/# /'
    fi
}
case $3 in
one) one "$4"; exit 0 ;;
esac
out=$(/usr/bin/python3 - "$2" <<'P'
import json, os, sys
root = os.getcwd()
for entry in json.load(open(sys.argv[1] + '/compile_commands.json')):
    path = os.path.relpath(os.path.normpath(os.path.join(entry['directory'], entry['file'])), root)
    if not path.startswith('..'):
        print(path)
P
)
printf '%s\n' "$out" | sort -u | xargs -P 2 -n 1 sh "$1/tests/style/tidy.sh" "$1" "$2" one | tee "$stamps/out"
echo "1..$(grep -cE '^(not )?ok' "$stamps/out")"
! grep -q '^not ok' "$stamps/out"
