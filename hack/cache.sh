# shellcheck shell=bash
# Source this: it sets and exports CTLSTORE_CACHE, the folder for what is fetched or built once and kept.
#
# One folder per user, shared by all clones, so that a fresh clone starts warm. Where the home folder cannot
# be written (a locked-down container), `.tools` of this clone takes its place; git ignores it.
# Set CTLSTORE_CACHE to put it elsewhere. Deleting it costs time and nothing else.

CTLSTORE_CACHE=${CTLSTORE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/ctlstore}
if ! mkdir -p "$CTLSTORE_CACHE" 2>/dev/null || [ ! -w "$CTLSTORE_CACHE" ]; then
    CTLSTORE_CACHE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)/.tools
    mkdir -p "$CTLSTORE_CACHE"
fi
export CTLSTORE_CACHE
