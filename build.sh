#!/usr/bin/env bash
# The one entry point: ./build.sh VERB [ARGUMENTS]. Without a verb it lists them.
set -euo pipefail
cd "$(dirname "$0")"

build() { dotnet build MetaStore.Engine.sln -c Release --nologo -v quiet "$@"; }

# One test project after the other: tests that start real processes and wait for them do not share the processors with other tests. All of
# them run, whatever fails on the way.
run_tests() {
    local project failed=0
    build
    for project in tests/*.Tests tests/Schedules tests/Fuzz tests/Tidy; do
        dotnet test "$project" -c Release --nologo --no-build "$@" || failed=1
    done
    return "$failed"
}

case "${1:-}" in
    build) shift; build "$@" ;;
    test)  shift; run_tests "$@" ;;
    sim)   shift; dotnet run -c Release --project tests/Simulation -- "$@" ;;
    schedules) shift; dotnet run -c Release --project tests/Schedules -- "$@" ;;
    fuzz)  shift; dotnet run -c Release --project tests/Fuzz -- "$@" ;;
    chaos) shift; dotnet run -c Release --project tests/Chaos -- "$@" ;;
    soak)  shift; dotnet run -c Release --project tests/Soak -- "$@" ;;
    bench) shift; dotnet run -c Release --project bench/Micro -- "$@" ;;
    model) METASTORE_MODEL_OPERATIONS=${2:-1000000} dotnet test tests/Engine.Tests -c Release --nologo --filter A_long_list ;;
    figures) shift; dotnet run -c Release --project bench/Figures -- "$@" ;;
    known-bugs) shift; exec tests/Simulation/known-bugs.sh "$@" ;;
    tidy)  shift
           dotnet format whitespace MetaStore.Engine.sln --verify-no-changes
           dotnet test tests/Tidy -c Release --nologo "$@" ;;
    *)     sed -n '/^    [a-z-]*)/s/^    \([a-z-]*\)).*/\1/p' "$0"; exit 2 ;;
esac
