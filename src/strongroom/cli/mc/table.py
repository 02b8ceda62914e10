"""Every command with its flags: the one source for parsing, help, manual pages and completion (mc.md 2.1).

One command a line, however long.
"""
# ruff: noqa: E501

from dataclasses import replace

from strongroom.cli.mc.flags import Command, many, on, text

GLOBALS = (
    text("config-dir C", "folder of the configuration (~/.mc)", "MC_CONFIG_DIR", "DIR"),
    on("quiet q", "no progress bar, no colour", "MC_QUIET"),
    on("json", "one JSON object a line", "MC_JSON"),
    on("no-color", "no colour", "MC_NO_COLOR"),
    on("insecure", "accept any TLS certificate", "MC_INSECURE"),
    many("ca", "trust the CA certificates in FILE too", "MC_CA", "FILE"),
    on("debug", "print every request and answer, without secrets", "MC_DEBUG"),
    many("resolve", "connect to IP for HOST[:PORT]", "MC_RESOLVE", "HOST=IP"),
    text("limit-upload", "send at most so much a second (10MiB)", "MC_LIMIT_UPLOAD", "RATE"),
    text("limit-download", "receive at most so much a second", "MC_LIMIT_DOWNLOAD", "RATE"),
    many("custom-header H", "add a header to every request", "", "K:V"),
    on("disable-pager dp", "no pager for help", "MC_DISABLE_PAGER", hidden=True),
    on("autocompletion", "print how to set up shell completion", hidden=True),
    on("version v", "print the version"),
    on("help h", "print help"),
)

ENC_C = many("enc-c", "encrypt with your own key: 64 hex digits or unpadded base64", "", "ALIAS/PREFIX=KEY")
ENC = (
    many("enc-s3", "encrypt with the server's key", "MC_ENC_S3", "ALIAS/PREFIX"),
    many("enc-kms", "encrypt with a named key", "MC_ENC_KMS", "ALIAS/PREFIX=KEY"),
    many("enc-dsse", "encrypt twice with a named key", "MC_ENC_DSSE", "ALIAS/PREFIX=KEY"),
    ENC_C,
    many("encrypt", "old name of --enc-s3", "MC_ENCRYPT", "ALIAS/PREFIX", hidden=True),
    many("encrypt-key", "old name of --enc-c", "MC_ENCRYPT_KEY", "ALIAS/PREFIX=KEY", hidden=True),
)
RECURSIVE = on("recursive r", "everything below")
VERSIONS = on("versions", "all versions")
VERSION_ID = text("version-id vid", "this version", "", "ID")
REWIND = text("rewind", "as of a time back (7d10h) or a date", "", "TIME")
OLDER, NEWER = text("older-than", "only older than (1d2h)", "", "AGE"), text("newer-than", "only newer than", "", "AGE")
CLASS = text("storage-class sc", "storage class", "", "CLASS")
ATTR = text("attr", "headers and metadata: k=v;k2=v2", "", "PAIRS")
TAGS = text("tags", "tags: k=v&k2=v2", "", "PAIRS")
CHECKSUM = text("checksum", "MD5, CRC32, CRC32C, SHA1, SHA256 or CRC64NVME", "", "KIND")
SINGLE = on("disable-multipart", "send in one request")
ZIP = on("zip", "look into archives (MinIO extension)")
PART_SIZE = text("part-size s", "bytes of a part (16MiB)", "MC_UPLOAD_MULTIPART_SIZE", "SIZE")
PARALLEL = text("parallel P", "parts at a time (4)", "MC_UPLOAD_MULTIPART_THREADS", "N")
WORKERS = text("max-workers", "objects at a time", "", "N")
PRESERVE = on("preserve a", "keep mode, owner and times in metadata")
RETENTION = (
    text("retention-mode", "governance or compliance", "", "MODE"),
    text("retention-duration", "how long (30d, 1y)", "", "TIME"),
    text("legal-hold", "on or off", "", "ON|OFF"),
)
BYPASS = on("bypass", "override governance retention")

COPY = (
    RECURSIVE, REWIND, VERSION_ID, OLDER, NEWER, CLASS, ATTR, TAGS, PRESERVE, SINGLE, CHECKSUM, *RETENTION, ZIP,
    WORKERS, PART_SIZE, PARALLEL, *ENC, on("md5", "verify with MD5", hidden=True),
    on("continue c", "accepted: transfers always resume", hidden=True),
)  # fmt: skip


def _c(name: str, about: str, run: str, usage: str, *flags: object, least: int = 0, most: int | None = None,
       others: str = "", hidden: bool = False, notes: tuple[str, ...] = ()) -> Command:  # fmt: skip
    return Command(name, about, run, usage, tuple(flags), least, most, (),  # type: ignore[arg-type]  # all are Flags
                   tuple(others.split()), hidden, notes)  # fmt: skip


def _g(name: str, about: str, *children: Command, others: str = "", hidden: bool = False) -> Command:
    return Command(name, about, children=children, others=tuple(others.split()), hidden=hidden)


ALIAS = _g(
    "alias", "names for servers",
    _c("set", "add or change an alias", "cmd_alias:set_", "ALIAS URL [ACCESSKEY SECRETKEY]",
       text("api", "S3v4 or S3v2; without it the server is asked", "", "API"),
       text("path", "bucket in the path: auto, on or off", "", "HOW"), least=0, others="s add"),
    _c("list", "show aliases", "cmd_alias:list_", "[ALIAS]", most=1, others="ls"),
    _c("remove", "forget an alias", "cmd_alias:remove", "ALIAS", least=1, most=1, others="rm"),
    _c("import", "read an alias from a file or standard input", "cmd_alias:import_", "ALIAS [FILE]", least=1, most=2),
    _c("export", "print an alias as JSON", "cmd_alias:export", "ALIAS", least=1, most=1),
)  # fmt: skip

OBJECTS = (
    _c("ls", "list buckets and objects", "cmd_ls:ls", "[TARGET...]", RECURSIVE, VERSIONS, REWIND,
       on("incomplete I", "unfinished uploads"), on("summarize", "add totals"), CLASS, ZIP),
    _c("mb", "make buckets", "cmd_bucket:mb", "TARGET...", text("region", "region of the bucket", "", "REGION"),
       on("ignore-existing p", "no error when it exists"), on("with-lock l", "with object lock"),
       on("with-versioning", "with versioning"), least=1),
    _c("rb", "remove buckets", "cmd_bucket:rb", "TARGET...", on("force", "with what is in them"),
       on("dangerous", "allow a whole server"), least=1),
    _c("cp", "copy files and objects", "cmd_copy:cp", "SOURCE... TARGET", *COPY, least=2),
    _c("mv", "move files and objects", "cmd_copy:mv", "SOURCE... TARGET", *COPY, least=2),
    _c("put", "upload one file", "cmd_copy:put", "FILE TARGET", PARALLEL, PART_SIZE, SINGLE, CLASS, CHECKSUM, *ENC,
       on("if-not-exists", "fail when the object exists"), least=1, most=2),
    _c("get", "download one object", "cmd_copy:get", "SOURCE FILE", VERSION_ID, *ENC, least=1, most=2),
    _c("cat", "print objects", "cmd_cat:cat", "TARGET...", REWIND, VERSION_ID, ZIP, ENC_C,
       text("offset", "begin at this byte", "", "N"), text("tail", "the last N bytes", "", "N"),
       text("part-number", "one part of a multipart object", "", "N"), ENC[4], least=1),
    _c("head", "print the first lines of objects", "cmd_cat:head", "TARGET...",
       text("lines n", "how many lines (10)", "", "N"), REWIND, VERSION_ID, ZIP, ENC_C, ENC[4], least=1),
    _c("pipe", "store standard input as an object", "cmd_cat:pipe", "TARGET", CLASS, ATTR, TAGS, CHECKSUM, *ENC,
       text("concurrent", "parts at a time (4)", "", "N"), PART_SIZE, least=1, most=1),
    _c("stat", "describe objects and buckets", "cmd_stat:stat", "TARGET...", RECURSIVE, VERSIONS, REWIND, VERSION_ID,
       on("no-list", "ask for the object only"), ENC_C, ENC[4], least=1),
    _c("rm", "remove objects", "cmd_rm:rm", "TARGET...", RECURSIVE, on("force", "do not ask for this flag"),
       on("dangerous", "allow a whole server"), VERSIONS, REWIND, VERSION_ID,
       on("incomplete I", "unfinished uploads"), on("dry-run fake", "only say what would be removed"),
       on("stdin", "read names from standard input"), OLDER, NEWER, BYPASS,
       on("non-current", "only versions that are not the newest"), on("purge", "force on the server (MinIO)", hidden=True),
       *ENC),
    _c("du", "sum up sizes", "cmd_tree:du", "TARGET...", text("depth d", "folders of so many levels", "", "N"),
       RECURSIVE, REWIND, VERSIONS, least=1),
    _c("find", "search objects", "cmd_find:find", "TARGET", text("name", "base name pattern", "", "GLOB"),
       text("path", "path pattern", "", "GLOB"), text("regex", "path expression", "", "RE"),
       text("ignore", "leave out", "", "GLOB"), NEWER, OLDER, text("larger", "larger than", "", "SIZE"),
       text("smaller", "smaller than", "", "SIZE"), text("maxdepth", "levels", "", "N"),
       text("print", "what to print: {} {base} {dir} {size} {time} {url} {version}", "", "FORMAT"),
       text("exec", "run for each", "", "COMMAND"), many("metadata", "metadata key=regex", "", "K=RE"),
       many("tags", "tag key=regex", "", "K=RE"), VERSIONS, on("watch", "go on with what comes"), ENC_C, most=1),
    _c("tree", "show folders as a tree", "cmd_tree:tree", "TARGET...", on("files f", "files too"),
       text("depth d", "levels", "", "N"), REWIND, least=1),
    _c("diff", "compare two folders", "cmd_diff:diff", "FIRST SECOND", least=2, most=2),
    _c("mirror", "make a folder like another", "cmd_mirror:mirror", "SOURCE TARGET",
       on("overwrite force", "replace what differs"), on("remove", "remove what the source does not have"),
       on("watch w", "go on with what changes"), on("dry-run fake", "only say what would be done"),
       many("exclude", "leave out", "", "GLOB"), many("exclude-bucket", "leave out buckets", "", "GLOB"),
       many("exclude-storageclass", "leave out classes", "", "CLASS"), OLDER, NEWER, PRESERVE,
       text("region", "region of new buckets", "us-east-1"), CLASS, ATTR, CHECKSUM, SINGLE, WORKERS, PART_SIZE,
       PARALLEL, on("md5", "verify with MD5", hidden=True), on("retry", "try failed objects again"),
       on("summary", "only the totals"), on("skip-errors", "go on after failures"),
       on("active-active", "", hidden=True), text("monitoring-address", "", hidden=True), *ENC, least=2, most=2),
    _g("share", "URLs for people without keys",
       _c("download", "URLs to read objects", "cmd_share:download", "TARGET...", RECURSIVE, VERSION_ID, VERSIONS,
          text("expire E", "validity, at most 168h", "", "TIME"), least=1),
       _c("upload", "curl commands to store objects", "cmd_share:upload", "TARGET...", RECURSIVE,
          text("expire E", "validity, at most 168h", "", "TIME"),
          text("content-type T", "content type to demand", "", "TYPE"), least=1),
       _c("list", "what was shared", "cmd_share:list_", "upload|download", least=1, most=1, others="ls")),
    _c("undo", "take back the last changes of versioned objects", "cmd_undo:undo", "TARGET...", RECURSIVE,
       text("last", "how many changes (1)", "", "N"), on("force", "with --recursive"), on("dry-run", "only say it"),
       text("action", "only PUT or DELETE", "", "WHAT"), least=1),
    _c("watch", "print events of a bucket", "cmd_watch:watch", "TARGET",
       text("events", "put, delete, get", "", "LIST"), text("prefix", "", "", "PREFIX"), text("suffix", "", "", "SUFFIX"),
       on("recursive r", ""), least=1, most=1),
    _c("sql", "query objects", "cmd_stubs:sql", "TARGET...", RECURSIVE, text("query e", "", "", "SQL"), ENC_C),
    _c("od", "measure single stream upload and download", "cmd_stubs:od", "ARGS", hidden=True),
)  # fmt: skip

RULES = (
    _c("add", "add a rule", "cmd_ilm:add", "TARGET", text("prefix", "", "", "PREFIX"), text("tags", "", "", "PAIRS"),
       text("expire-days expiry-days", "expire after days", "", "N"),
       text("expire-date expiry-date", "expire on a date", "", "DATE"),
       on("expire-delete-marker", "remove lone delete markers"),
       text("noncurrent-expire-days", "expire old versions after days", "", "N"),
       text("noncurrent-expire-newer", "but keep the newest N", "", "N"), text("id", "name of the rule", "", "ID"),
       text("transition-days", "", "", "N"), text("storage-class transition-tier", "", "", "TIER"),
       text("size-lt", "smaller than", "", "SIZE"), text("size-gt", "larger than", "", "SIZE"),
       on("disable", "made, but not active"), least=1, most=1),
    _c("ls", "show rules", "cmd_ilm:list_", "TARGET", on("expiry", ""), on("transition", ""), least=1, most=1, others="list"),
    _c("edit", "change a rule", "cmd_ilm:edit", "TARGET", text("id", "which rule", "", "ID"), text("prefix", ""),
       text("tags", ""), text("expire-days expiry-days", ""), text("expire-date expiry-date", ""),
       on("expire-delete-marker", ""), text("noncurrent-expire-days", ""), text("noncurrent-expire-newer", ""),
       text("size-lt", ""), text("size-gt", ""), on("disable", ""), on("enable", ""), least=1, most=1),
    _c("rm", "remove rules", "cmd_ilm:remove", "TARGET", text("id", "which rule", "", "ID"), on("all", "all rules"),
       on("force", "with --all"), least=1, most=1, others="remove"),
    _c("export", "print the configuration as JSON", "cmd_ilm:export", "TARGET", least=1, most=1),
    _c("import", "read the configuration as JSON", "cmd_ilm:import_", "TARGET", least=1, most=1),
)  # fmt: skip

BUCKETS = (
    _g("tag", "tags of buckets and objects",
       _c("set", "set tags", "cmd_tag:set_", "TARGET TAGS", VERSION_ID, VERSIONS, RECURSIVE, REWIND, least=2, most=2),
       _c("list", "show tags", "cmd_tag:list_", "TARGET", VERSION_ID, VERSIONS, RECURSIVE, REWIND, least=1, most=1, others="ls"),
       _c("remove", "remove tags", "cmd_tag:remove", "TARGET", VERSION_ID, VERSIONS, RECURSIVE, REWIND, least=1, most=1,
          others="rm")),
    _g("version", "versioning of buckets",
       _c("enable", "keep versions", "cmd_version:enable", "TARGET",
          text("excluded-prefixes", "not below these", "", "A,B"), on("exclude-folders", "not of folders"), least=1, most=1),
       _c("suspend", "stop keeping versions", "cmd_version:suspend", "TARGET", least=1, most=1),
       _c("info", "show the state", "cmd_version:info", "TARGET", least=1, most=1)),
    _g("encrypt", "encryption of buckets and prefixes",
       _c("set", "encrypt by default", "cmd_encrypt:set_", "sse-s3|sse-kms|dsse-kms [KEY] TARGET", least=2, most=3),
       _c("info", "show the configuration", "cmd_encrypt:info", "TARGET", least=1, most=1),
       _c("clear", "remove the configuration", "cmd_encrypt:clear", "TARGET", least=1, most=1)),
    _g("retention", "retention of buckets and objects",
       _c("set", "set retention", "cmd_lock:retention_set", "governance|compliance 30d|1y TARGET", BYPASS, RECURSIVE,
          VERSION_ID, VERSIONS, REWIND, on("default", "of the bucket"), least=3, most=3),
       _c("clear", "remove retention", "cmd_lock:retention_clear", "TARGET", BYPASS, RECURSIVE, VERSION_ID, VERSIONS, REWIND,
          on("default", "of the bucket"), least=1, most=1),
       _c("info", "show retention", "cmd_lock:retention_info", "TARGET", RECURSIVE, VERSION_ID, VERSIONS, REWIND,
          on("default", "of the bucket"), least=1, most=1), others="lock"),
    _g("legalhold", "legal hold of objects",
       *(_c(verb, about, f"cmd_lock:legalhold_{verb}", "TARGET", RECURSIVE, VERSION_ID, VERSIONS, REWIND, least=1, most=1)
         for verb, about in (("set", "put on hold"), ("clear", "release"), ("info", "show the state")))),
    _g("anonymous", "access without keys",
       _c("set", "private, public, download or upload", "cmd_anonymous:set_", "PERMISSION TARGET", least=2, most=2),
       _c("set-json", "from a policy file", "cmd_anonymous:set_json", "FILE TARGET", least=2, most=2),
       _c("get", "show the permission", "cmd_anonymous:get", "TARGET", least=1, most=1),
       _c("get-json", "show the policy", "cmd_anonymous:get_json", "TARGET", least=1, most=1),
       _c("list", "show permissions of prefixes", "cmd_anonymous:list_", "TARGET", least=1, most=1, others="ls"),
       _c("links", "URLs of what is public", "cmd_anonymous:links", "TARGET", RECURSIVE, least=1, most=1), others="policy"),
    _g("ilm", "lifecycle",
       _g("rule", "lifecycle rules", *RULES),
       *(replace(rule, hidden=True) for rule in RULES),  # their names before 2022 (mc.md 12)
       _c("tier", "tiers", "cmd_stubs:tier", "ARGS", hidden=True),
       _c("restore", "restore from a tier", "cmd_stubs:restore", "TARGET", hidden=True)),
    _g("event", "notification of buckets",
       _c("add", "add a target", "cmd_event:add", "TARGET ARN", text("event", "put,delete,get", "", "LIST"),
          text("prefix", ""), text("suffix", ""), on("ignore-existing p", "no error when it exists"), least=2, most=2),
       _c("ls", "show targets", "cmd_event:list_", "TARGET [ARN]", least=1, most=2, others="list"),
       _c("rm", "remove a target", "cmd_event:remove", "TARGET [ARN]", on("force", "all of them"),
          text("event", "", "", "LIST"), text("prefix", ""), text("suffix", ""), least=1, most=2, others="remove")),
    _g("cors", "cross-origin rules",
       _c("set", "from an XML file", "cmd_cors:set_", "TARGET FILE", least=2, most=2),
       _c("get", "print as XML", "cmd_cors:get", "TARGET", least=1, most=1),
       _c("remove", "remove", "cmd_cors:remove", "TARGET", least=1, most=1, others="rm")),
    _g("quota", "limits of buckets",
       _c("set", "set a limit", "cmd_quota:set_", "TARGET", text("size", "limit (1GiB)", "", "SIZE"), least=1, most=1),
       _c("info", "show the limit", "cmd_quota:info", "TARGET", least=1, most=1),
       _c("clear", "remove the limit", "cmd_quota:clear", "TARGET", least=1, most=1)),
    _c("replicate", "replication", "cmd_stubs:replicate", "ARGS", hidden=True),
)  # fmt: skip

_A = "ALIAS"
ADMIN = _g(
    "admin", "run a server",
    _c("info", "state of a server", "admin_info:info", _A, on("offline", "only what is offline"), least=1, most=1),
    _g("service", "the server's process",
       _c("restart", "restart it", "admin_service:restart", _A, on("dry-run", "ask only"), on("wait w", "until it serves"),
          least=1, most=1),
       _c("stop", "end it", "admin_service:stop", _A, least=1, most=1),
       _c("freeze", "", "cmd_stubs:freeze", _A, hidden=True), _c("unfreeze", "", "cmd_stubs:freeze", _A, hidden=True)),
    _g("user", "users",
       _c("add", "add a user", "admin_iam:user_add", "ALIAS ACCESSKEY SECRETKEY", least=1, most=3),
       _c("list", "show users", "admin_iam:user_list", _A, least=1, most=1, others="ls"),
       _c("info", "show a user", "admin_iam:user_info", "ALIAS ACCESSKEY", least=2, most=2),
       _c("enable", "allow a user", "admin_iam:user_enable", "ALIAS ACCESSKEY", least=2, most=2),
       _c("disable", "lock a user out", "admin_iam:user_disable", "ALIAS ACCESSKEY", least=2, most=2),
       _c("remove", "remove a user", "admin_iam:user_remove", "ALIAS ACCESSKEY", least=2, most=2, others="rm"),
       _g("svcacct", "access keys of a user",
          *(_c(verb, about, f"admin_keys:{run}", usage, *flags, least=least, most=3, others=others)
            for verb, about, run, usage, flags, least, others in (
              ("add", "make one", "add_for", "ALIAS USER", (text("access-key", ""), text("secret-key", ""),
               text("policy", "policy file", "", "FILE"), text("name", ""), text("description comment", ""), text("expiry", "", "", "DATE")), 2, ""),
              ("ls", "show them", "list_", "ALIAS USER", (), 2, "list"), ("rm", "remove one", "remove", "ALIAS KEY", (), 2, "remove"),
              ("info", "show one", "info", "ALIAS KEY", (on("policy", "print the policy"),), 2, ""),
              ("edit", "change one", "edit", "ALIAS KEY", (text("secret-key", ""), text("policy", "policy file", "", "FILE"),
               text("name", ""), text("description", ""), text("expiry", "", "", "DATE")), 2, "set"),
              ("enable", "allow one", "enable", "ALIAS KEY", (), 2, ""), ("disable", "lock one", "disable", "ALIAS KEY", (), 2, ""))))),
    _g("accesskey", "access keys",
       _c("create", "make one", "admin_keys:create", "ALIAS [USER]", text("access-key", ""), text("secret-key", ""),
          text("policy", "policy file", "", "FILE"), text("name", ""), text("description", ""),
          text("expiry", "", "", "DATE"), text("expiry-duration", "", "", "TIME"), least=1, most=2),
       _c("ls", "show them", "admin_keys:list_", "ALIAS [USER]", least=1, most=2, others="list"),
       _c("rm", "remove one", "admin_keys:remove", "ALIAS KEY", least=2, most=2, others="remove"),
       _c("info", "show one", "admin_keys:info", "ALIAS KEY", on("policy", ""), least=2, most=2),
       _c("edit", "change one", "admin_keys:edit", "ALIAS KEY", text("secret-key", ""), text("policy", "", "", "FILE"),
          text("name", ""), text("description", ""), text("expiry", "", "", "DATE"), text("expiry-duration", ""), least=2, most=2),
       _c("enable", "allow one", "admin_keys:enable", "ALIAS KEY", least=2, most=2),
       _c("disable", "lock one", "admin_keys:disable", "ALIAS KEY", least=2, most=2)),
    _g("policy", "policies",
       _c("create", "store a policy", "admin_iam:policy_create", "ALIAS NAME FILE", least=3, most=3, others="add update"),
       _c("list", "show names", "admin_iam:policy_list", "ALIAS [NAME]", least=1, most=2, others="ls"),
       _c("info", "show a policy", "admin_iam:policy_info", "ALIAS NAME", text("policy-file f", "write it there", "", "FILE"),
          least=2, most=2),
       _c("remove", "remove a policy", "admin_iam:policy_remove", "ALIAS NAME", least=2, most=2, others="rm"),
       _c("attach", "give policies to a user or group", "admin_iam:attach", "ALIAS NAME...", text("user u", "", "", "USER"),
          text("group g", "", "", "GROUP"), least=2),
       _c("detach", "take policies away", "admin_iam:detach", "ALIAS NAME...", text("user u", "", "", "USER"),
          text("group g", "", "", "GROUP"), least=2),
       _c("entities", "who has which policy", "admin_iam:entities", _A, many("user u", "", "", "USER"),
          many("group g", "", "", "GROUP"), many("policy p", "", "", "NAME"), least=1, most=1),
       _c("set", "old form of attach", "admin_iam:policy_set", "ALIAS NAME user=U|group=G", least=3, most=3, hidden=True),
       _c("unset", "old form of detach", "admin_iam:policy_unset", "ALIAS NAME user=U|group=G", least=3, most=3, hidden=True)),
    _g("group", "groups",
       _c("add", "add users", "admin_iam:group_add", "ALIAS GROUP USER...", least=3),
       _c("remove", "remove users or a group", "admin_iam:group_remove", "ALIAS GROUP [USER...]", least=2, others="rm"),
       _c("info", "show a group", "admin_iam:group_info", "ALIAS GROUP", least=2, most=2),
       _c("list", "show groups", "admin_iam:group_list", _A, least=1, most=1, others="ls"),
       _c("enable", "allow a group", "admin_iam:group_enable", "ALIAS GROUP", least=2, most=2),
       _c("disable", "lock a group out", "admin_iam:group_disable", "ALIAS GROUP", least=2, most=2)),
    _g("kms", "keys",
       _g("key", "keys",
          _c("create", "make a key", "admin_kms:create", "ALIAS KEY", least=2, most=2),
          _c("list", "show keys", "admin_kms:list_", _A, text("pattern", "names that begin so", "", "PREFIX"), least=1, most=1,
             others="ls"),
          _c("status", "try a key", "admin_kms:status", "ALIAS [KEY]", least=1, most=2),
          _c("info", "versions, state and fingerprint of a key", "admin_kms:info", "ALIAS KEY", least=2, most=2),
          _c("rotate", "add a version: new objects use it", "admin_kms:rotate", "ALIAS KEY", least=2, most=2),
          _c("disable", "refuse every use of a key", "admin_kms:disable", "ALIAS KEY", least=2, most=2),
          _c("enable", "allow a key again", "admin_kms:enable", "ALIAS KEY", least=2, most=2),
          _c("delete", "destroy a key after a waiting time", "admin_kms:delete", "ALIAS KEY",
             text("after", "waiting time (7d)", "", "TIME"), on("force", "do not ask"), least=2, most=2, others="rm"),
          _c("restore", "call a deletion off", "admin_kms:restore", "ALIAS KEY", least=2, most=2),
          _c("usage", "buckets, objects and bytes under a key", "admin_kms:usage", "ALIAS KEY", least=2, most=2))),
    _g("config", "settings of the server",
       _c("get", "show settings", "admin_config:get", "ALIAS [KEY]", least=1),
       _c("set", "change settings", "admin_config:set_", "ALIAS KEY=VALUE...", least=2),
       _c("reset", "back to the default", "admin_config:reset", "ALIAS [KEY...]", least=1),
       _c("export", "print all settings", "admin_config:export", _A, least=1, most=1),
       _c("import", "read settings", "admin_config:import_", _A, least=1, most=1)),
    _c("trace", "follow requests", "admin_stream:trace", _A, on("verbose v", "with headers and bodies"),
       on("all a", "internal calls too"), many("call", "s3, internal, …", "", "KIND"), on("errors e", "only failures"),
       many("status-code", "only these", "", "CODE"), many("method", "only these", "", "METHOD"),
       many("funcname", "only these", "", "NAME"), many("path", "only these", "", "PATH"),
       many("node", "only these", "", "NODE"), text("response-threshold", "slower than", "", "TIME"), least=1, most=1),
    _c("logs", "follow the server's log", "admin_stream:logs", "ALIAS [NODE]", text("last l", "lines to begin with (10)", "", "N"),
       text("type t", "minio, application or all", "", "TYPE"), least=1, most=2, others="console"),
    _g("prometheus", "metrics",
       _c("generate", "print a scrape configuration", "admin_stream:prometheus", "ALIAS [cluster|node|bucket|resource]",
          on("public", "without a token"), text("api-version", "", "", "V"), least=1, most=2),
       _c("metrics", "print the metrics", "admin_stream:metrics", "ALIAS [TYPE]", text("api-version", ""), least=1, most=2)),
    _g("cluster", "bucket and IAM metadata",
       _g("bucket", "bucket metadata", _c("export", "to a file", "admin_cluster:bucket_export", "ALIAS[/BUCKET]", text("output o", "file", "", "FILE"), least=1, most=1),
          _c("import", "from a file", "admin_cluster:bucket_import", "ALIAS[/BUCKET] FILE", least=2, most=2)),
       _g("iam", "users and policies", _c("export", "to a file", "admin_cluster:iam_export", _A, text("output o", "file", "", "FILE"), least=1, most=1),
          _c("import", "from a file", "admin_cluster:iam_import", "ALIAS FILE", least=2, most=2))),
    _c("heal", "heal", "cmd_stubs:heal", "ARGS"), _c("decommission", "decommission", "cmd_stubs:decommission", "ARGS"),
    _c("rebalance", "rebalance", "cmd_stubs:rebalance", "ARGS", hidden=True),
    _c("scanner", "scanner", "cmd_stubs:scanner", "ARGS", hidden=True), _c("top", "top", "cmd_stubs:top", "ARGS", hidden=True),
    _c("update", "update", "cmd_stubs:update", "ARGS", hidden=True),
    _c("replicate", "site replication", "cmd_stubs:replicate", "ARGS", hidden=True),
)  # fmt: skip

BATCH = _g(
    "batch", "jobs on the server",
    _c("generate", "print a job's template", "admin_batch:generate", "ALIAS keyrotate|replicate|expire", least=2, most=2),
    _c("start", "start a job", "admin_batch:start", "ALIAS FILE", least=2, most=2),
    _c("list", "show jobs", "admin_batch:list_", _A, text("type", "only this kind", "", "KIND"), least=1, most=1, others="ls"),
    _c("status", "how far a job is", "admin_batch:status", "ALIAS JOB", least=2, most=2),
    _c("describe", "print a job", "admin_batch:describe", "ALIAS JOB", least=2, most=2),
    _c("cancel", "stop a job", "admin_batch:cancel", "ALIAS JOB", least=2, most=2),
)  # fmt: skip

OTHERS = (
    _c("ping", "measure a server's answers", "cmd_ping:ping", _A, text("count c", "so many times", "", "N"),
       text("error-count e", "end after so many failures", "", "N"), on("exit x", "end with the first answer"),
       text("interval i", "seconds between (1)", "", "N"), on("distributed a", "every node", hidden=True),
       text("node", "", hidden=True), least=1, most=1),
    _c("ready", "wait until a server is ready", "cmd_ping:ready", _A, on("cluster-read", "for reading"),
       on("maintenance", "after one node leaves"), least=1, most=1),
    _c("support", "vendor support", "cmd_stubs:support", "ARGS", hidden=True),
    _c("license", "vendor licence", "cmd_stubs:license", "ARGS", hidden=True),
    _c("idp", "identity providers", "cmd_stubs:idp", "ARGS", hidden=True),
    _c("update", "update", "cmd_stubs:update", "ARGS", hidden=True),
    _c("completion", "print a shell's completion script", "help:completion", "bash|zsh|fish", least=1, most=1),
    _c("manual", "print the manual page", "help:manual", "[COMMAND...]", hidden=True),
    _c("import", "copy a whole server to another", "cmd_import:run", "SOURCE [TARGET]",
       many("bucket", "only this bucket", "", "NAME"), on("dry-run", "only count"), on("no-iam", "no users and policies"),
       text("iam", "users and policies from `admin cluster iam export`", "", "FILE"),
       text("bucket-metadata", "configurations from `admin cluster bucket export`", "", "FILE"),
       many("map-key", "a key that has another name on the target", "", "OLD=NEW"), WORKERS, least=1, most=2, hidden=True),
    _g("config", "old name of alias", _g("host", "old name of alias", *ALIAS.children), hidden=True),
)  # fmt: skip

ROOT = Command("mc", "talk to S3 servers", flags=GLOBALS,
               children=(ALIAS, *OBJECTS, *BUCKETS, ADMIN, BATCH, *OTHERS))  # fmt: skip
