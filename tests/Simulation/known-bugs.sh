#!/usr/bin/env bash
# Puts known bugs back, one at a time, and shows that a test finds each: ./build.sh known-bugs [NUMBERS]
# Without numbers: all that src/Shared/KnownBugs.cs has. known-bugs.txt says what finds which: the simulator, or a test that fails.
# SEEDS (default 2000) says how many runs the simulator gets. A seed that fails without the bug as well does not count.
# A line for each bug, and last "bugs=… found=… median_seeds=…", the median over those that the simulator finds, whose number
# the line before tells; the exit code is 0 only where all were found.
set -uo pipefail
cd "$(dirname "$0")/../.."

seeds=${SEEDS:-2000}
table=tests/Simulation/known-bugs.txt
bugs=("$@")
if [ $# -eq 0 ]; then
    mapfile -t bugs < <(grep -o 'KNOWN_BUG_[0-9]*' src/Shared/KnownBugs.cs | cut -d _ -f 3 | sort -n -u)
fi

# A build of its own for each: the code of the other bugs, and the switches, are not even in it.
build() {
    local bug=$1 project=$2 output
    if ! output=$(dotnet build "tests/$project" -c Release --nologo -v quiet -p:RunAnalyzers=false "-p:KnownBug=$bug" 2>&1); then
        echo "bug=$bug does not build: $(grep -m 1 -o 'error.*' <<<"$output")"
        return 1
    fi
}

simulate() {
    dotnet "$1" "${@:2}" 2>&1
}

# The first seed from 1 on, under the flags if there are any, that fails with the bug and passes without.
find_by_simulation() {
    local bug=$1 flags=("${@:2}") from=1 output line seed clean=tests/Simulation/bin/Release/net10.0/MetaStore.Simulation.dll
    local broken=artifacts/known-bugs/bin/$bug/MetaStore.Simulation/Release/net10.0/MetaStore.Simulation.dll
    build "$bug" Simulation || return 1
    while [ "$from" -le "$seeds" ]; do
        output=$(simulate "$broken" "${flags[@]}" --from "$from" --seeds "$((seeds - from + 1))" --until-failure)
        line=$(grep -m 1 '^FAILED seed=' <<<"$output")
        [ -n "$line" ] || break
        seed=$(sed 's/^FAILED seed=\([0-9]*\) .*/\1/' <<<"$line")
        if simulate "$clean" "${flags[@]}" --seed "$seed" >/dev/null; then
            found_seeds+=("$seed")
            echo "bug=$bug finder=sim${flags[*]:+ ${flags[*]}} seed=$seed ${line#FAILED seed="$seed" }"
            return 0
        fi
        from=$((seed + 1))
    done
    echo "bug=$bug not found: $(tail -n 1 <<<"$output")"
    return 1
}

# A test that finds the bug fails with it, and passes without.
find_by_test() {
    local bug=$1 project=$2 filter=$3 output name
    build "$bug" "$project" || return 1
    if ! output=$(dotnet test "tests/$project" -c Release --nologo --no-build --filter "$filter" 2>&1) || ! grep -q '^Passed!' <<<"$output"; then
        echo "bug=$bug not found: $filter does not pass without it: $(tail -n 1 <<<"$output")"
        return 1
    fi
    output=$(dotnet test "artifacts/known-bugs/bin/$bug/MetaStore.$project/Release/net10.0/MetaStore.$project.dll" --nologo --filter "$filter" 2>&1)
    name=$(grep -m 1 -E '^ +Failed .*\[' <<<"$output")
    if [ -z "$name" ]; then
        echo "bug=$bug not found: $(tail -n 1 <<<"$output")"
        return 1
    fi
    name=$(sed 's/^ *Failed //; s/ \[[^[]*\]$//' <<<"$name")
    echo "bug=$bug finder=$project test=${name##*Tests.} $(grep -m 1 -A 1 'Error Message:' <<<"$output" | tail -n 1 | sed 's/^ *//')"
}

for project in Simulation $(awk '$2 == "test" { print $3 }' "$table" | sort -u); do
    if ! output=$(dotnet build "tests/$project" -c Release --nologo -v quiet -p:RunAnalyzers=false 2>&1); then
        echo "the code without a bug does not build: $(grep -m 1 -o 'error.*' <<<"$output")" >&2
        exit 2
    fi
done

found=0
found_seeds=()
for bug in "${bugs[@]}"; do
    if ! grep -q "KNOWN_BUG_$bug\$" src/Shared/KnownBugs.cs || ! entry=$(grep -m 1 "^$bug " "$table"); then
        echo "$bug is no known bug; src/Shared/KnownBugs.cs and $table have them" >&2
        exit 2
    fi

    read -r -a words <<<"$entry"
    if [ "${words[1]}" = sim ]; then
        find_by_simulation "$bug" "${words[@]:2}" && found=$((found + 1))
    else
        find_by_test "$bug" "${words[@]:2}" && found=$((found + 1))
    fi
done

# The lower one of the two in the middle, where there are two.
median=-
if [ ${#found_seeds[@]} -gt 0 ]; then
    median=$(printf '%s\n' "${found_seeds[@]}" | sort -n | sed -n "$(((${#found_seeds[@]} + 1) / 2))p")
fi

echo "found by the simulator: ${#found_seeds[@]}, by a test that passes without the bug: $((found - ${#found_seeds[@]}))"
echo "bugs=${#bugs[@]} found=$found median_seeds=$median"
[ "$found" -eq "${#bugs[@]}" ]
