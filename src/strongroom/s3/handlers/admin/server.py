"""The server itself: info, usage, restart and stop (sse.md 12.4, mc.md 10.2, 10.3)."""

import os
from typing import Any

from strongroom.messages import Response
from strongroom.s3.domain.ports import NoSuchBucket
from strongroom.s3.handlers.admin.desk import Errand
from strongroom.s3.wire.admin import refused, render_json, rfc3339

COUNTS = ("objects", "versions", "markers", "bytes")
ACTIONS = {"restart": "admin:ServiceRestart", "stop": "admin:ServiceStop"}


async def info(errand: Errand) -> Response:
    """Return what `mc admin info` shows: one server with one drive."""
    facts = errand.desk.facts
    usage = await _usage(errand)
    space = os.statvfs(facts.path)
    total, free = space.f_blocks * space.f_frsize, space.f_bavail * space.f_frsize
    drive = {
        "endpoint": facts.path,
        "path": facts.path,
        "state": "ok",
        "uuid": facts.deployment,
        "totalspace": total,
        "usedspace": total - space.f_bfree * space.f_frsize,
        "availspace": free,
        "pool_index": 0,
        "set_index": 0,
        "disk_index": 0,
    }
    server = {
        "state": "online",
        "endpoint": facts.endpoint,
        "uptime": max(0, int(errand.desk.box.now() - facts.started)),
        "version": facts.version,
        "commitID": facts.version,
        "network": {facts.endpoint: "online"},
        "drives": [drive],
        "poolNumber": 1,
    }
    record = {
        "mode": "online",
        "deploymentID": facts.deployment,
        "buckets": {"count": usage["buckets"]},
        "objects": {"count": usage["objects"]},
        "versions": {"count": usage["versions"]},
        "deletemarkers": {"count": usage["markers"]},
        "usage": {"size": usage["bytes"]},
        "services": await _services(errand),
        "backend": {
            "backendType": "Erasure",
            "onlineDisks": 1,
            "offlineDisks": 0,
            "standardSCParity": 0,
            "rrSCParity": 0,
            "totalSets": [1],
            "totalDrivesPerSet": [1],
        },
        "servers": [server],
        "pools": {"0": {"0": _pool(drive, usage)}},
    }
    return render_json({**record, **({"region": facts.region} if facts.region else {})})


def _pool(drive: dict[str, Any], usage: dict[str, int]) -> dict[str, Any]:
    return {
        "id": 0,
        "rawUsage": drive["usedspace"],
        "rawCapacity": drive["totalspace"],
        "usage": usage["bytes"],
        "objectsCount": usage["objects"],
        "versionsCount": usage["versions"],
        "deleteMarkersCount": usage["markers"],
        "healDisks": 0,
    }


async def _services(errand: Errand) -> dict[str, Any]:
    keys = errand.desk.keys
    states = await keys.endpoints() if keys else {}
    listed = [{"status": state, "endpoint": endpoint} for endpoint, state in states.items()]
    return {"kms": {}, **({"kmsStatus": listed} if listed else {}), "ldap": {}}


async def _usage(errand: Errand) -> dict[str, int]:
    buckets = await _per_bucket(errand)
    return {"buckets": len(buckets), **_total(buckets)}


def _total(buckets: dict[str, dict[str, int]]) -> dict[str, int]:
    return {name: sum(count[name] for count in buckets.values()) for name in COUNTS}


async def _per_bucket(errand: Errand) -> dict[str, dict[str, int]]:
    store = errand.desk.box.store
    found: dict[str, dict[str, int]] = {}
    for bucket in await store.buckets():
        try:
            usage = await store.usage(bucket.name)
        except NoSuchBucket:  # deleted meanwhile
            continue
        counts = (usage.objects, usage.versions, usage.markers, usage.size)
        found[bucket.name] = dict(zip(COUNTS, counts, strict=True))
    return found


async def data_usage(errand: Errand) -> Response:
    """Return counts and bytes per bucket (`datausageinfo`)."""
    buckets = await _per_bucket(errand)
    total = {
        name: sum(count[name] for count in buckets.values()) for name in ("objects", "versions", "markers", "bytes")
    }
    return render_json(
        {
            "lastUpdate": rfc3339(errand.desk.box.now()),
            "objectsCount": total["objects"],
            "versionsCount": total["versions"],
            "deleteMarkersCount": total["markers"],
            "objectsTotalSize": total["bytes"],
            "objectsReplicationInfo": None,
            "bucketsCount": len(buckets),
            "bucketsUsageInfo": {
                name: {
                    "size": count["bytes"],
                    "objectsCount": count["objects"],
                    "versionsCount": count["versions"],
                    "deleteMarkersCount": count["markers"],
                }
                for name, count in buckets.items()
            },
            "bucketsSizes": {name: count["bytes"] for name, count in buckets.items()},
        }
    )


async def service(errand: Errand) -> Response:
    """Restart or stop the server: answered first, done then."""
    action = errand.query["action"]
    if action not in ACTIONS:
        raise refused("MalformedPOSTRequest")
    errand.authorise(ACTIONS[action])
    dry = errand.query.get("dry-run") == "true"
    control = errand.desk.control
    after = None if dry else (control.restart if action == "restart" else control.stop)
    if errand.query.get("type") != "2":
        return Response(200, after=after)
    record = {"action": action, "dryRun": dry, "results": [{"host": errand.desk.facts.endpoint}]}
    answer = render_json(record)
    return Response(200, answer.headers, answer.body, after=after)
