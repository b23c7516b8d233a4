#!/bin/sh
# The programs are position-independent, with read-only relocations, bound at start and a stack
# that holds no code; the auditor's program loads neither BLAS nor CUDA. TAP.
n=0
bad=0
check() { # name, command
    n=$((n + 1))
    if sh -c "$2" >/dev/null 2>&1; then
        echo "ok $n - $1"
    else
        echo "not ok $n - $1"
        bad=1
    fi
}
for program in "$@"; do
    name=$(basename "$program")
    check "$name is position-independent" "readelf -hW $program | grep -q 'Type:.*DYN'"
    check "$name has read-only relocations" "readelf -lW $program | grep -q GNU_RELRO"
    check "$name binds its symbols at start" "readelf -dW $program | grep -qE 'BIND_NOW|FLAGS.*NOW'"
    check "$name has no executable stack" "readelf -lW $program | grep GNU_STACK | grep -q 'RW '"
    case $name in
    choir-audit) check "$name loads neither BLAS nor CUDA" "! ldd $program | grep -iE 'blas|cuda'" ;;
    esac
done
echo "1..$n"
exit $bad
