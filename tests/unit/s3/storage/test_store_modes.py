"""Nobody else on the machine reads a server's files, also in a folder that was there with open doors."""

from strongroom.s3.domain.records import NewVersion
from strongroom.s3.storage.files import open_store
from strongroom.s3.storage.staging import INLINE


async def test_every_file_and_folder_is_the_owners_alone(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    store = await open_store(folder)
    try:
        await store.create_bucket("b")
        for size in (1, INLINE + 1):
            staged = store.stage("b", size)
            staged.write(memoryview(bytes(size)))
            await store.put("b", NewVersion(f"k{size}", size, b"e", b"m"), staged)
        await store.save("iam/users/alice", b"secret")
        async with store.alone("iam"):
            open_to_others = [path for path in folder.rglob("*") if path.stat().st_mode & 0o077]
        assert open_to_others == []
    finally:
        await store.close()
