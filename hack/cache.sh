# shellcheck shell=bash
# Source this: it sets and exports CTLSTORE_CACHE, the folder for what is fetched or built once and kept.
#
# One folder per user, shared by all clones, so that a fresh clone starts warm. Where there is no home folder that can
# be written (a locked-down container), `.tools` of this clone takes its place; git ignores it.
# Set CTLSTORE_CACHE to put it elsewhere. Deleting it costs time and nothing else.

if [ -z "${CTLSTORE_CACHE:-}" ] && [ -n "${XDG_CACHE_HOME:-${HOME:-}}" ]; then
    CTLSTORE_CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/ctlstore
fi
if [ -z "${CTLSTORE_CACHE:-}" ] || ! mkdir -p "$CTLSTORE_CACHE" 2>/dev/null || [ ! -w "$CTLSTORE_CACHE" ]; then
    CTLSTORE_CACHE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)/.tools
    mkdir -p "$CTLSTORE_CACHE"
fi
export CTLSTORE_CACHE
