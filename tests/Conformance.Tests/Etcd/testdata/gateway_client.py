"""Drives a server through etcd3gw (Debian: python3-etcd3gw), a client of the JSON gateway: gateway_client.py HOST PORT. Prints how many checks held."""
import base64
import sys
import threading

import etcd3gw

checks = 0


def check(holds, what):
    global checks
    if not holds:
        sys.exit("wrong: " + what)
    checks += 1


client = etcd3gw.Etcd3Client(host=sys.argv[1], port=int(sys.argv[2]), api_path="/v3/")

status = client.status()
check(int(status["header"]["cluster_id"]) and int(status["raftTerm"]), "status")
check(len(client.members()) == 1, "members")

check(client.put("key", "value"), "put")
check(client.get("key") == [b"value"], "get")
check(client.get("nothing") == [], "get of what is not there")
check(client.create("key", "other") is False, "create of what is there")
check(client.create("new", b"\x00\xff") is True, "create")
check(client.get("new") == [b"\x00\xff"], "bytes")
check(client.replace("key", "wrong", "x") is False, "replace of another value")
check(client.replace("key", "value", "x") is True, "replace")
check(client.get("key", metadata=True)[0][1]["version"] == "2", "metadata")

for i in range(3):
    client.put("p/%d" % i, str(2 - i))
check([value for value, _ in client.get_prefix("p/")] == [b"2", b"1", b"0"], "prefix")
check([value for value, _ in client.get_prefix("p/", sort_order="descend", sort_target="key")] == [b"0", b"1", b"2"], "order")
check(len(client.get_all()) == 5, "all")

check(client.delete("key") is True, "delete")
check(client.delete("key") is False, "delete of what is not there")
check(client.delete_prefix("p/") is True, "delete of a prefix")


def text(word):
    return base64.b64encode(word.encode()).decode()


answer = client.transaction({
    "compare": [{"key": text("t"), "result": "EQUAL", "target": "VERSION", "version": 0}],
    "success": [{"request_put": {"key": text("t"), "value": text("1")}}],
    "failure": [{"request_range": {"key": text("t")}}],
})
check(answer["succeeded"] is True, "transaction")

lease = client.lease(ttl=100)
check(client.put("leased", "1", lease=lease), "put with a lease")
check(lease.ttl() in (99, 100), "time to live")
check(lease.refresh() == 100, "refresh")
check(lease.keys() == [b"leased"], "keys of a lease")
check(lease.revoke() is True, "revoke")
check(client.get("leased") == [], "keys of a lease that was revoked")

with client.lock("mutex", ttl=100) as held:
    check(held.is_acquired(), "lock")
    other = client.lock("mutex", ttl=100)
    check(other.acquire() is False, "lock that another has")
check(other.acquire() is True, "lock that was given back")
check(other.release() is True, "release")

events, cancel = client.watch("watched")
client.put("watched", "1")
event = next(events)
check(event["kv"]["key"] == b"watched" and event["kv"]["value"] == b"1", "watch")
client.delete("watched")
check(next(events)["type"] == "DELETE", "watch of a delete")
cancel()

timer = threading.Timer(0.2, lambda: client.put("once/1", "2"))
timer.start()
check(client.watch_prefix_once("once/", timeout=30)["kv"]["value"] == b"2", "watch of a prefix")

try:
    client.post(client.get_url("/kv/put"), json={"key": "", "value": text("1")})
    check(False, "a put without a key")
except etcd3gw.exceptions.Etcd3Exception as e:
    check("etcdserver: key is not provided" in str(e.detail_text), "the words of an error")

print("%d checks held" % checks)
