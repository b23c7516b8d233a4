#!/bin/sh
# The table of log events in docs/operations.md and the events in the code are the same.
cd "$1" || exit 99
in_code() { # FOLDER
    cat "$1"/*.c | tr '\n' ' ' | grep -oE 'LOG_EVENT\([^;]*' | sed 's/, *log_.*//' |
        grep -oE '"[a-z_]+"' | tr -d '"' | sort -u
}
in_page() { # PROGRAM
    sed -n "/^### $1\$/,/^##* /p" docs/operations.md | sed '1d' | grep '^|' | cut -d'|' -f2 |
        grep -oE '`[a-z_]+`' | tr -d '`' | sort -u
}
echo '1..2'
n=0
for pair in node:choir-node aggregator:choir-aggregator; do
    n=$((n + 1))
    code=$(in_code "${pair%%:*}")
    page=$(in_page "${pair##*:}")
    if [ -n "$code" ] && [ "$code" = "$page" ]; then
        echo "ok $n - every_event_of_${pair%%:*}_is_explained"
    else
        echo "not ok $n - every_event_of_${pair%%:*}_is_explained"
        { echo "$code" | sed 's/^/code /'; echo "$page" | sed 's/^/page /'; } |
            sort -k2 | uniq -u -f1 | sed 's/^/# only in the /'
    fi
done
