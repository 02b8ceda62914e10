"""Another maker's client of the admin API: minio-py's MinioAdmin, with its own containers."""

import json

import pytest

POLICY = {"Version": "2012-10-17",
          "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::*"]}]}  # fmt: skip


@pytest.fixture
def admin(lone_server):
    minio = pytest.importorskip("minio", reason="pip install minio")
    provider = minio.credentials.StaticProvider("minio", "minio123")
    return minio.MinioAdmin(endpoint=f"127.0.0.1:{lone_server.port}", credentials=provider, secure=False)


def refused(call, *words, **named):
    from minio.error import MinioAdminException

    with pytest.raises(MinioAdminException) as error:
        call(*words, **named)
    return str(error.value)


def test_users_groups_and_policies(admin):
    admin.user_add("pyuser", "pyuser-secret")
    admin.user_disable("pyuser")
    assert json.loads(admin.user_list())["pyuser"]["status"] == "disabled"
    admin.user_enable("pyuser")
    admin.policy_add("pypolicy", policy=POLICY)
    assert json.loads(admin.policy_info("pypolicy")) == POLICY
    admin.attach_policy(["pypolicy"], user="pyuser")
    found = json.loads(admin.get_policy_entities([], [], ["pypolicy"]))
    assert found["policyMappings"] == [{"policy": "pypolicy", "users": ["pyuser"], "groups": None}]
    assert "InUse" in refused(admin.policy_remove, "pypolicy")
    admin.detach_policy(["pypolicy"], user="pyuser")
    admin.group_add("pygroup", ["pyuser"])
    admin.policy_set("pypolicy", group="pygroup")
    assert json.loads(admin.group_info("pygroup"))["policy"] == "pypolicy"
    admin.policy_unset("pypolicy", group="pygroup")
    admin.group_remove("pygroup", ["pyuser"])
    admin.group_remove("pygroup")
    admin.policy_remove("pypolicy")
    admin.user_remove("pyuser")
    assert "NoSuchUser" in refused(admin.user_info, "pyuser")


def test_access_keys_keys_and_quotas(admin, fresh):
    made = json.loads(admin.add_service_account(expiration="2099-01-02T03:04:05Z", policy=POLICY))["credentials"]
    assert made["expiration"] == "2099-01-02T03:04:05Z"
    told = json.loads(admin.get_service_account(made["accessKey"]))
    assert (told["impliedPolicy"], json.loads(told["policy"])) == (False, POLICY)
    admin.update_service_account(access_key=made["accessKey"], secret_key="another-secret")
    assert made["accessKey"] in admin.list_service_account("minio")
    admin.delete_service_account(made["accessKey"])
    assert json.loads(admin.kms_key_status("my-key")) == {"key-id": "my-key"}
    assert "not supported" in refused(admin.kms_key_create, "other")
    admin.bucket_quota_set(fresh, 2**30)
    assert json.loads(admin.bucket_quota_get(fresh))["quota"] == 2**30
    admin.bucket_quota_clear(fresh)
    assert json.loads(admin.bucket_quota_get(fresh))["quota"] == 0
    assert json.loads(admin.info())["mode"] == "online"
    assert fresh in json.dumps(json.loads(admin.account_info())["Buckets"])
