#!/usr/bin/env bash
# Each allocation fails, one after the other; see there.
SHORTAGE_STEP=1 exec "$(dirname "$0")/../e2e/memory_shortage.sh" start
