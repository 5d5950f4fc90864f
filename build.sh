#!/usr/bin/env bash
# The one entry point: ./build.sh VERB [ARGUMENTS]. Without a verb it lists them.
set -euo pipefail
cd "$(dirname "$0")"

build() { dotnet build MetaStore.Engine.sln -c Release --nologo -v quiet "$@"; }

case "${1:-}" in
    build) shift; build "$@" ;;
    test)  shift; dotnet test MetaStore.Engine.sln -c Release --nologo "$@" ;;
    sim)   shift; dotnet run -c Release --project tests/Simulation -- "$@" ;;
    bench) shift; dotnet run -c Release --project bench/Micro -- "$@" ;;
    tidy)  shift
           dotnet format whitespace MetaStore.Engine.sln --verify-no-changes
           dotnet test tests/Tidy -c Release --nologo "$@" ;;
    *)     sed -n '/^    [a-z-]*)/s/^    \([a-z-]*\)).*/\1/p' "$0"; exit 2 ;;
esac
