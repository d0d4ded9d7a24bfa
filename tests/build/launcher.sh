#!/bin/sh
# Stands before each compile, as ccache would: notes it in COMPILE_LOG, runs COMPILE_HOOK where it is
# set, waits for as long as the file COMPILE_GATE is there (only the compiles whose command has
# COMPILE_GATED in it, where that is set), then compiles.
printf 'compile %s %s\n' "$$" "$PPID" >>"$COMPILE_LOG"
if [ -n "$COMPILE_HOOK" ]; then sh -c "$COMPILE_HOOK"; fi
case "$*" in
*"$COMPILE_GATED"*) while [ -e "$COMPILE_GATE" ]; do sleep 0.02; done ;;
esac
exec "$@"
