#!/usr/bin/env bash
# Puts known bugs back, one at a time, and shows that the simulator finds them: ./build.sh known-bugs [NUMBERS]
# Without numbers: all that src/Shared/KnownBugs.cs has. SEEDS (default 2000) says how many runs each gets.
# A line for each bug, and last "bugs=… found=… median_seeds=…"; the exit code is 0 only where all were found.
set -uo pipefail
cd "$(dirname "$0")/../.."

seeds=${SEEDS:-2000}
bugs=("$@")
if [ $# -eq 0 ]; then
    mapfile -t bugs < <(grep -o 'KNOWN_BUG_[0-9]*' src/Shared/KnownBugs.cs | cut -d _ -f 3 | sort -n -u)
fi

found=()
for bug in "${bugs[@]}"; do
    if ! grep -q "KNOWN_BUG_$bug\$" src/Shared/KnownBugs.cs; then
        echo "$bug is no known bug; src/Shared/KnownBugs.cs has them" >&2
        exit 2
    fi

    # A build of its own for each: the code of the other bugs, and the switches, are not even in it.
    if ! output=$(dotnet build tests/Simulation -c Release --nologo -v quiet "-p:KnownBug=$bug" 2>&1); then
        echo "bug=$bug does not build: $(grep -m 1 -o 'error.*' <<<"$output")"
        continue
    fi

    output=$(dotnet "artifacts/known-bugs/bin/$bug/MetaStore.Simulation/Release/net10.0/MetaStore.Simulation.dll" --seeds "$seeds" --until-failure 2>&1)
    line=$(grep -m 1 '^FAILED seed=' <<<"$output")
    if [ -n "$line" ]; then
        seed=$(sed 's/^FAILED seed=\([0-9]*\) .*/\1/' <<<"$line")
        found+=("$seed")
        echo "bug=$bug seed=$seed ${line#FAILED seed="$seed" }"
    else
        echo "bug=$bug not found: $(tail -n 1 <<<"$output")"
    fi
done

# The lower one of the two in the middle, where there are two.
median=-
if [ ${#found[@]} -gt 0 ]; then
    median=$(printf '%s\n' "${found[@]}" | sort -n | sed -n "$(((${#found[@]} + 1) / 2))p")
fi

echo "bugs=${#bugs[@]} found=${#found[@]} median_seeds=$median"
[ "${#found[@]}" -eq "${#bugs[@]}" ]
