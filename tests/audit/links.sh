#!/bin/sh
# The auditor's program needs no BLAS, no CUDA and no sockets: who checks must not have to trust
# or install them.
echo '1..1'
if found=$(ldd "$1" | grep -iE 'blas|cuda|zmq|seccomp|microhttpd'); then
    echo 'not ok 1 - choir_audit_links_neither_blas_nor_cuda_nor_sockets'
    echo "# $found"
    exit 1
fi
echo 'ok 1 - choir_audit_links_neither_blas_nor_cuda_nor_sockets'
