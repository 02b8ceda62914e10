"""One line or two for every command, as people type them: the EXAMPLES of help texts and manual pages."""

_LINES = """
alias set my https://s3.example.net:9000
alias set my https://s3.example.net:9000 ACCESSKEY SECRETKEY --api S3v4
alias list
alias remove my
alias import my alias.json
alias export my > alias.json
ls my
ls -r --versions my/docs/2026/
mb my/docs
mb --with-lock my/archive
rb my/docs
rb --force my/docs
cp report.pdf my/docs/2026/
cp -r photos/ my/photos/
cp --enc-kms my/docs=key-one report.pdf my/docs/
mv my/docs/draft.txt my/docs/final.txt
mv -r inbox/ my/docs/inbox/
put --part-size 64MiB disk.img my/images/disk.img
get my/images/disk.img disk.img
cat my/docs/notes.txt
cat --offset 1000 my/docs/notes.txt
head -n 3 my/docs/notes.txt
pipe my/dumps/today.sql < today.sql
stat my/docs/report.pdf
stat my/docs
rm my/docs/draft.txt
rm -r --force --versions my/docs/2019/
rm -r --force --older-than 90d my/logs
du --depth 2 my/docs
find my/docs --name '*.pdf' --larger 10MiB
find my/docs --older-than 30d --exec 'mc rm {}'
tree --files my/docs
diff photos my/photos
mirror photos my/photos
mirror --overwrite --remove --exclude '*.tmp' photos my/photos
share download --expire 24h my/docs/report.pdf
share upload my/inbox/offer.pdf
share list download
undo my/docs/report.pdf
watch --events put,delete my/docs
tag set my/docs/report.pdf 'project=one&state=draft'
tag list my/docs/report.pdf
tag remove my/docs/report.pdf
version enable my/docs
version suspend my/docs
version info my/docs
encrypt set sse-s3 my/docs
encrypt set sse-kms key-one my/docs
encrypt info my/docs
encrypt clear my/docs
retention set governance 30d my/archive/report.pdf
retention set --default compliance 1y my/archive
retention clear my/archive/report.pdf
retention info --default my/archive
legalhold set my/archive/report.pdf
legalhold clear my/archive/report.pdf
legalhold info -r my/archive/
anonymous set download my/public
anonymous set-json policy.json my/public
anonymous get my/public
anonymous get-json my/public
anonymous list my/public
anonymous links -r my/public
ilm rule add --expire-days 90 --prefix logs/ my/docs
ilm rule ls my/docs
ilm rule edit --id RULE --expire-days 30 my/docs
ilm rule rm --id RULE my/docs
ilm rule export my/docs > rules.json
ilm rule import my/docs < rules.json
event add my/docs arn:minio:sqs::one:webhook --event put
event ls my/docs
event rm --force my/docs
cors set my/public cors.xml
cors get my/public
cors remove my/public
quota set my/docs --size 100GiB
quota info my/docs
quota clear my/docs
admin info my
admin service restart --wait my
admin service stop my
admin user add my alice SECRETKEY
admin user list my
admin user info my alice
admin user enable my alice
admin user disable my alice
admin user remove my alice
admin user svcacct add my alice --name backup
admin user svcacct ls my alice
admin user svcacct rm my ACCESSKEY
admin user svcacct info my ACCESSKEY
admin user svcacct edit my ACCESSKEY --policy policy.json
admin user svcacct enable my ACCESSKEY
admin user svcacct disable my ACCESSKEY
admin accesskey create my alice --expiry-duration 24h
admin accesskey ls my
admin accesskey rm my ACCESSKEY
admin accesskey info my ACCESSKEY
admin accesskey edit my ACCESSKEY --name backup
admin accesskey enable my ACCESSKEY
admin accesskey disable my ACCESSKEY
admin policy create my read-docs policy.json
admin policy list my
admin policy info my read-docs
admin policy remove my read-docs
admin policy attach my read-docs --user alice
admin policy detach my read-docs --group staff
admin policy entities my --user alice
admin group add my staff alice bob
admin group remove my staff bob
admin group info my staff
admin group list my
admin group enable my staff
admin group disable my staff
admin kms key create my key-one
admin kms key list my
admin kms key status my key-one
admin kms key info my key-one
admin kms key rotate my key-one
admin kms key disable my key-one
admin kms key enable my key-one
admin kms key delete my key-one --after 30d
admin kms key restore my key-one
admin kms key usage my key-one
admin config get my api
admin config set my site region=eu-one
admin config reset my site
admin config export my > settings.txt
admin config import my < settings.txt
admin trace -v --errors my
admin logs --last 100 my
admin prometheus generate my
admin prometheus metrics my cluster
admin cluster bucket export my
admin cluster bucket import my cluster-metadata.zip
admin cluster iam export my
admin cluster iam import my my-iam-info.zip
batch generate my keyrotate > job.yaml
batch start my job.yaml
batch list my
batch status my JOB
batch describe my JOB
batch cancel my JOB
ping --count 5 my
ready my
completion bash > mc.bash
import old my --dry-run
"""


def examples(path: tuple[str, ...]) -> list[str]:
    """Return the lines for a command or a group, without the program's name; all of them for ()."""
    name = " ".join((*path, ""))
    return [line for line in _LINES.splitlines() if line and f"{line} ".startswith(name)]
