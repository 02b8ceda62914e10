"""Pages of a bucket that lies in memory, by sorting everything: slow, and plain enough to judge the files kind by."""

from collections.abc import Mapping, Sequence

from strongroom.s3.domain.records import Listed, ListQuery, ObjectVersion, Page, UploadPage, UploadRecord
from strongroom.s3.storage.order import common_prefix


def page(keys: Mapping[str, Sequence[ObjectVersion]], query: ListQuery) -> Page:
    """Return the page of query; keys maps a key to its versions, newest first."""
    entries: list[Listed] = []
    prefixes: list[str] = []
    last: tuple[str, str | None] = ("", None)
    for key in sorted(k for k in keys if k.startswith(query.prefix)):
        shown = _shown(key, keys[key], query)
        group = common_prefix(key, query.prefix, query.delimiter)
        if not shown or (group is not None and (group <= query.after or group in prefixes)):
            continue
        for version in shown if group is None else shown[:1]:
            if len(entries) + len(prefixes) == query.limit:
                return Page(tuple(entries), tuple(prefixes), query.limit > 0, *last)
            if group is not None:
                prefixes.append(group)
                last = (group, None)
            else:
                entries.append(_listed(version))
                last = (key, version.version_id if query.versions else None)
    return Page(tuple(entries), tuple(prefixes))


def _shown(key: str, versions: Sequence[ObjectVersion], query: ListQuery) -> Sequence[ObjectVersion]:
    if key < query.after or (key == query.after and (not query.versions or query.after_version is None)):
        return ()
    if not query.versions:
        return () if versions[0].delete_marker else versions[:1]
    if key == query.after:
        ids = [v.version_id for v in versions]
        # A marker version that was deleted meanwhile: everything before it was listed, so begin with what is left.
        return versions[ids.index(query.after_version) + 1 :] if query.after_version in ids else versions
    return versions


def _listed(v: ObjectVersion) -> Listed:
    return Listed(v.key, v.version_id, v.modified, v.size, v.etag, v.latest, v.delete_marker)


def uploads(
    records: Sequence[UploadRecord], prefix: str, after_key: str, after_upload: str, delimiter: str, limit: int
) -> UploadPage:
    """Return a page of uploads, by key, then in the order of records."""
    found: list[UploadRecord] = []
    prefixes: list[str] = []
    last = ("", "")
    for record in _after(sorted(records, key=lambda r: r.key), after_key, after_upload):
        if not record.key.startswith(prefix):
            continue
        group = common_prefix(record.key, prefix, delimiter)
        if group is not None and (group <= after_key or group in prefixes):
            continue
        if len(found) + len(prefixes) == limit:
            return UploadPage(tuple(found), tuple(prefixes), limit > 0, *last)
        if group is not None:
            prefixes.append(group)
            last = (group, "")
        else:
            found.append(record)
            last = (record.key, record.upload_id)
    return UploadPage(tuple(found), tuple(prefixes))


def _after(records: Sequence[UploadRecord], after_key: str, after_upload: str) -> Sequence[UploadRecord]:
    """Drop what the markers exclude; an upload that has ended meanwhile excludes nothing of its key."""
    same = [r for r in records if r.key == after_key]
    ids = [r.upload_id for r in same]
    if not after_upload:
        same = []
    elif after_upload in ids:
        same = same[ids.index(after_upload) + 1 :]
    return [*same, *(r for r in records if r.key > after_key)]
