#!/usr/bin/env bash
# MetaStore beside etcd, on one machine, in one go: the same load on both in turn (A B A B …), and a Markdown table of medians and spread.
#   bench/compare.sh [--etcd-driver PATH] [--data DIR] [--pairs N] [--duration TIME] [--warmup TIME] [--nodes "1 3"]
#                    [--operations "put get …"] [--loads "1/1 100/32 …"] [--front binary|grpc] [--follow-leader] [--quick]
# Operations: put get get-serializable range range-open mixed80 txn delete lease-put watch; range-open, lease-put and watch want --front grpc.
# --front grpc: MetaStore is asked through its gRPC front by etcd's driver, as etcd is; what is compared then is the servers alone.
# PATH is a closed-loop driver for etcd's gRPC API; without the flag bench/EtcdLoad is built for it. Another one must take --endpoints, --op (put, get-lin, get-ser, range, mixed80, txn, delete, none),
# --clients, --conns, --duration, --warmup, --prefill, --key-space, --seed, --pids, and prints one JSON line with errors, ops_per_s, p50 and p99 in
# microseconds, seconds, ops and cpu_servers in cores.
# Connections are spread evenly over the nodes on both sides; --follow-leader lets our client go to the leader, as it does by itself.
# Nothing else should run meanwhile. The drivers share the processors with the servers, so the CPU per operation is the figure to trust most.
set -euo pipefail
started_in=$PWD
cd "$(dirname "$0")/.."

data=./artifacts/bench
pairs=5
duration=5s
warmup=2s
sizes="1 3"
driver=
operations="put get get-serializable range mixed80 txn delete"
loads="1/1 16/16 100/32"
keys=100000
keys_to_delete=300000
spread=--pin
front=binary

# A path as the caller meant it, who may stand elsewhere.
absolute() { case $1 in /*) echo "$1" ;; *) echo "$started_in/$1" ;; esac; }

fail() { echo "compare: $*" >&2; exit 2; }

while [ $# -gt 0 ]; do
    case "$1" in
        --data|--pairs|--duration|--warmup|--etcd-driver|--nodes|--operations|--loads|--front)
            [ $# -ge 2 ] || fail "$1 wants a value" ;;&
        --data)        data=$(absolute "$2"); shift 2 ;;
        --pairs)       pairs=$2; shift 2 ;;
        --duration)    duration=$2; shift 2 ;;
        --warmup)      warmup=$2; shift 2 ;;
        --etcd-driver) driver=$(absolute "$2"); shift 2 ;;
        --nodes)       sizes=$2; shift 2 ;;
        --operations)  operations=$2; shift 2 ;;
        --loads)       loads=$2; shift 2 ;;
        --front)       front=$2; shift 2 ;;
        --follow-leader) spread=; shift ;;
        --quick)       pairs=1; duration=1s; warmup=500ms; keys=2000; keys_to_delete=20000; shift ;;
        *) sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; fail "$1 is unknown" ;;
    esac
done

[[ "$pairs" =~ ^[1-9][0-9]*$ ]] || fail "--pairs is \"$pairs\"; it must be a number from 1 on"
case "$front" in
    binary)
        for operation in $operations; do
            case "$operation" in range-open|lease-put|watch) fail "--operations $operation wants --front grpc" ;; esac
        done ;;
    grpc) ;;
    *) fail "--front is \"$front\"; it must be binary or grpc" ;;
esac
if [ -z "$driver" ]; then
    gopath=/usr/share/gocode # where Debian puts the sources of Go packages
    { command -v go && [ -d "$gopath/src/go.etcd.io/etcd/clientv3" ]; } >/dev/null \
        || fail "the driver for etcd, bench/EtcdLoad, cannot be built: install the packages golang-go and golang-etcd-server-dev, or name a driver with --etcd-driver"
    mkdir -p artifacts
    driver=$PWD/artifacts/etcdload
    GO111MODULE=off GOPATH=$gopath go build -o "$driver" bench/EtcdLoad/main.go || fail "bench/EtcdLoad does not build"
fi
[ -x "$driver" ] || fail "--etcd-driver $driver cannot be run"
command -v etcd >/dev/null || fail "there is no etcd: install the package etcd-server"
command -v jq >/dev/null || fail "there is no jq: install the package jq"
command -v dotnet >/dev/null || fail "there is no dotnet: install the .NET 10 SDK"

mkdir -p "$data"
data=$(cd "$data" && pwd)
[[ "$data" != *[[:space:]]* ]] || fail "--data $data has a blank in it; choose another"
case $(stat -f -c %T "$data") in
    tmpfs|ramfs) fail "--data $data is in memory, where a sync costs nothing; name a directory on a real disk" ;;
esac

work=$(mktemp -d "$data/run.XXXXXX")
servers=()

# Only what this script started is ended, by id.
stop_servers() {
    local pid
    for pid in "${servers[@]:-}"; do
        [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
    done
    for pid in "${servers[@]:-}"; do
        [ -z "$pid" ] || wait "$pid" 2>/dev/null || true
    done
    servers=()
}
trap 'stop_servers; rm -rf "$work"' EXIT

dotnet build src/Server -c Release --nologo -v quiet >"$work/build.log" || { cat "$work/build.log" >&2; fail "src/Server does not build"; }
dotnet build bench/Load -c Release --nologo -v quiet >"$work/build.log" || { cat "$work/build.log" >&2; fail "bench/Load does not build"; }
metastore="$PWD/src/Server/bin/Release/net10.0/metastore"
load="$PWD/bench/Load/bin/Release/net10.0/MetaStore.Load"
[ -x "$metastore" ] || fail "$metastore is missing"
[ -x "$load" ] || fail "$load is missing"

next_port=$((20000 + RANDOM % 10000))

# Sets $port to a free one on loopback, never the same twice.
take_port() {
    while :; do
        next_port=$((next_port + 1))
        port=$next_port
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            return
        fi
    done
}

# plan SYSTEM N: ports and names for a cluster; sets endpoints_SYSTEM and flags_SYSTEM (a line for each node).
plan() {
    local system=$1 count=$2 i members="" endpoints="" lines=""
    local -a clients=() peers=()
    for ((i = 1; i <= count; i++)); do
        take_port; clients+=("http://127.0.0.1:$port"); endpoints+="${endpoints:+,}127.0.0.1:$port"
        take_port; peers+=("http://127.0.0.1:$port"); members+="${members:+,}n$i=http://127.0.0.1:$port"
    done
    for ((i = 1; i <= count; i++)); do
        lines+="--name n$i --data-dir $work/$system-$count-$i --initial-cluster $members --initial-cluster-token compare-$count"
        lines+=" --listen-client-urls ${clients[i - 1]} --advertise-client-urls ${clients[i - 1]}"
        lines+=" --listen-peer-urls ${peers[i - 1]} --initial-advertise-peer-urls ${peers[i - 1]}"$'\n'
    done
    printf -v "endpoints_$system" %s "$endpoints"
    printf -v "flags_$system" %s "$lines"
}

# launch SYSTEM: starts the cluster that was planned, and returns when it takes writes; sets pids_SYSTEM.
launch() {
    local system=$1 all="flags_$1" endpoints="endpoints_$1" ids="" deadline=$((SECONDS + 60))
    local -a flags
    while read -r -a flags; do
        [ ${#flags[@]} -gt 0 ] || continue
        if [ "$system" = metastore ]; then
            "$metastore" serve "${flags[@]}" --log-level warn >>"$work/$system.log" 2>&1 </dev/null &
        else
            etcd "${flags[@]}" --logger zap --log-level error >>"$work/$system.log" 2>&1 </dev/null &
        fi
        servers+=($!)
        ids+="${ids:+,}$!"
    done <<<"${!all}"
    printf -v "pids_$system" %s "$ids"
    until drive "$system" "${!endpoints}" none 1 1 1 --prefill 1 >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || { tail -n 20 "$work/$system.log" >&2; fail "$system does not answer"; }
        sleep 0.2
    done
}

# drive SYSTEM ENDPOINTS OPERATION CLIENTS CONNECTIONS KEYS [FLAGS…]: one run of that system's driver.
drive() {
    local system=$1 endpoints=$2 operation=$3 clients=$4 connections=$5 keys=$6
    shift 6
    if [ "$system" = metastore ] && [ "$front" = binary ]; then
        "$load" --json $spread --endpoints "$endpoints" --op "$operation" --clients "$clients" --connections "$connections" --key-space "$keys" "$@"
    else
        case "$operation" in
            get) operation=get-lin ;;
            get-serializable) operation=get-ser ;;
            range-open) operation=range; set -- --range-open "$@" ;;
            watch) operation=watch-fanout; set -- --writers 16 "$@" ;;
        esac
        "$driver" --endpoints "$endpoints" --op "$operation" --clients "$clients" --conns "$connections" --key-space "$keys" "$@"
    fi
}

# One line for a run: ops/s, p50 ms, p99 ms, server µs per operation.
figures() {
    if [ "$1" = metastore ] && [ "$front" = binary ]; then
        jq -r '[.ops_per_s, .p50_ms, .p99_ms, .server_us_per_op] | @tsv'
    else
        jq -r '[.ops_per_s, .p50 / 1000, .p99 / 1000, (if .ops > 0 then (.cpu_servers | add) * .seconds * 1e6 / .ops else 0 end)] | @tsv'
    fi
}

# measure SYSTEM OPERATION CLIENTS CONNECTIONS FILE SEED KEYS: a run without errors, or none of it.
measure() {
    local system=$1 operation=$2 clients=$3 connections=$4 file=$5 endpoints="endpoints_$1" ids="pids_$1" line
    line=$(drive "$system" "${!endpoints}" "$operation" "$clients" "$connections" "$7" --duration "$duration" --warmup "$warmup" --pids "${!ids}" --seed "$6" 2>"$work/errors") \
        || fail "$system, $operation at $clients/$connections: the run had errors: $(head -n 1 "$work/errors")"
    figures "$system" <<<"$line" >>"$file"
}

# renew KEYS: writes the keys anew on both. Then both are started again: etcd's reads cost it a multiple right after heavy writes, which would flatter us.
renew() {
    local system endpoints
    stop_servers
    for system in metastore etcd; do
        launch "$system"
        endpoints="endpoints_$system"
        drive "$system" "${!endpoints}" none 16 16 "$1" --prefill "$1" >/dev/null || fail "$system: the keys cannot be written"
    done
    stop_servers
    launch metastore
    launch etcd
}

# column FILE NUMBER: median, least and most of a column.
column() {
    cut -f "$2" "$1" | sort -g | awk '
        { value[NR] = $1 }
        END {
            median = NR % 2 ? value[(NR + 1) / 2] : (value[NR / 2] + value[NR / 2 + 1]) / 2
            printf "%.6f %.6f %.6f", median, value[1], value[NR]
        }'
}

# row NODES OPERATION LOAD: the table's line, from the two files of figures.
row() {
    local ours="$work/metastore.tsv" theirs="$work/etcd.tsv" a b name digits n=0 text="| $1 | $2 | $3 |"
    for name in ops p50 p99 cpu; do
        n=$((n + 1))
        digits=2
        [ "$name" != ops ] || digits=0
        a=$(column "$ours" "$n")
        b=$(column "$theirs" "$n")
        # Of operations more is better, of the others less: a ratio above 1 is always in our favour.
        text+=$(awk -v a="$a" -v b="$b" -v d="$digits" -v more="$name" 'BEGIN {
            split(a, x, " "); split(b, y, " ")
            over = more == "ops" ? x[1] : y[1]; under = more == "ops" ? y[1] : x[1]
            ratio = under > 0 ? sprintf("%.2f", over / under) : "-"
            printf " %.*f (%.*f–%.*f) | %.*f (%.*f–%.*f) | %s |", d, x[1], d, x[2], d, x[3], d, y[1], d, y[2], d, y[3], ratio
        }')
    done
    echo "$text"
}

echo "MetaStore $(git rev-parse --short HEAD 2>/dev/null || echo unknown) beside $(etcd --version | head -n 1); $(nproc) processors, $(uname -sr), data on $(stat -f -c %T "$data");"
echo "$pairs pairs of $duration each, in turn; keys of 32 bytes, values of 256; MetaStore by its $front front. Each figure: median (least–most). Ratio above 1: MetaStore is ahead."
echo
echo "| nodes | operation | clients/connections | ops/s | etcd | ratio | p50 ms | etcd | ratio | p99 ms | etcd | ratio | server µs/op | etcd | ratio |"
echo "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"
for size in $sizes; do
    plan metastore "$size"
    plan etcd "$size"
    for operation in $operations; do
        space=$keys
        [ "$operation" != delete ] || space=$keys_to_delete
        for level in $loads; do
            : >"$work/metastore.tsv"
            : >"$work/etcd.tsv"
            for ((pair = 1; pair <= pairs; pair++)); do
                # Whoever deletes needs keys that are there, each time; the others, the same to begin with.
                if [ "$operation" = delete ] || { [ "$pair" = 1 ] && [ "$level" = "${loads%% *}" ]; }; then
                    renew "$space"
                fi
                measure metastore "$operation" "${level%/*}" "${level#*/}" "$work/metastore.tsv" "$pair" "$space"
                measure etcd "$operation" "${level%/*}" "${level#*/}" "$work/etcd.tsv" "$pair" "$space"
            done
            row "$size" "$operation" "$level"
        done
        stop_servers
    done
done
