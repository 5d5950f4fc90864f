#!/usr/bin/env bash
# Real input for "metastore load": every package the machine's apt knows, as package/NAME<TAB>RECORD, a line each.
#   samples/debian-packages.sh | metastore load
# In the record a line feed is written \n, a tab \t and a backslash \\. Of a name with several versions the first one is taken, the one apt
# would install; so each key comes once. Where nothing comes out, run apt-get update first.
set -euo pipefail
apt-cache dumpavail | awk '
    BEGIN { RS = ""; FS = "\n" }
    $1 ~ /^Package: / {
        name = substr($1, 10)
        if (name in seen) next
        seen[name] = 1
        record = $0
        gsub(/\\/, "&&", record)
        gsub(/\t/, "\\t", record)
        gsub(/\n/, "\\n", record)
        print "package/" name "\t" record
    }'
