"""Faults that the checker knows, and what only looks like one."""

from __future__ import annotations

from collections.abc import Callable

from tests.cacao.documents import (
    ASK,
    BODY,
    END,
    HIGH,
    HOST,
    IF,
    LEFT,
    LEFT_END,
    LOGON,
    MAPPING,
    PARALLEL,
    PERSON,
    RIGHT,
    RIGHT_END,
    SHELL,
    START,
    SWITCH,
    TRUE,
    WHILE,
    Document,
    both,
    drop,
    put,
)

Change = Callable[[Document], object]

W = "workflow"
AGENTS = "agent_definitions"
TARGETS = "target_definitions"
LOGONS = "authentication_info_definitions"
VARIABLES = "playbook_variables"
NEW = "action--00000000-0000-4000-8000-0000000000aa"
NEW_END = "end--00000000-0000-4000-8000-0000000000ab"
WALL = "security-category--00000000-0000-4000-8000-000000000105"
OTHER_LOGON = "oauth2--00000000-0000-4000-8000-000000000108"
OUTSIDE = {"type": "string", "external": True}


def command(text: str, kind: str = "ssh", **more: object) -> Document:
    return {"type": kind, "command": text, **more}


def shell(text: str, kind: str = "ssh") -> Change:
    """Give the shell step of the clean playbook another command."""
    return put(W, RIGHT, "commands", [command(text, kind)])


def variable(name: str, **properties: object) -> Change:
    return put(VARIABLES, name, {"type": "string", **properties})


def condition(text: str) -> Change:
    return put(W, IF, "condition", text)


#: code -> faults
FAULTS: list[tuple[str, Change]] = [
    ("step-unreachable", put(W, NEW_END, {"type": "end"})),
    ("step-unreachable", put(W, IF, "on_completion", SWITCH)),
    ("step-shared", put(W, IF, "on_false", TRUE)),
    ("step-shared", put(W, LEFT, "on_completion", TRUE)),
    ("branch-runs-into-continuation", put(W, TRUE, "on_completion", WHILE)),
    ("branch-runs-into-continuation", put(W, IF, "on_false", WHILE)),
    ("branch-runs-into-continuation", put(W, RIGHT, "on_completion", IF)),
    (
        "variable-maybe-unset",
        both(variable("__x__"), put(W, TRUE, "commands", 0, "command", "GET /__x__:value HTTP/1.1")),
    ),
    ("variable-maybe-unset", both(variable("__x__"), put(W, TRUE, "out_args", ["__x__"]), shell("id __x__:value"))),
    ("variable-maybe-unset", both(variable("__x__"), condition("__x__:value = 'a'"))),
    (
        "variable-maybe-unset",
        both(variable("__x__"), put(W, SWITCH, "switch", "__x__:value"), drop(W, SWITCH, "cases", "default")),
    ),
    (
        "variable-maybe-unset",
        both(put(W, RIGHT, "step_variables", {"__mine__": {"type": "string"}}), shell("id __mine__:value")),
    ),
    ("variable-unused", variable("__x__", value="1")),
    ("variable-unused", put(W, TRUE, "step_variables", {"__x__": {"type": "string", "value": "1"}})),
    ("variable-unused", both(variable("__x__"), put(W, TRUE, "out_args", ["__x__"]))),
    ("output-unmapped", put(W, RIGHT, "out_args", ["__level__", "__count__"])),
    (
        "output-overwritten",
        both(put(W, RIGHT, "out_args", ["__level__"]), put(W, RIGHT, "commands", [command("id"), command("uptime")])),
    ),
    (
        "output-overwritten",
        both(
            put(W, RIGHT, "out_args", ["__level__"]),
            put(TARGETS, WALL, {"type": "ssh", "name": "B", "address": {"ipv4": ["192.0.2.8"]}}),
            put(W, RIGHT, "targets", [SHELL, WALL]),
        ),
    ),
    ("condition-type", condition("__count__:value = 'many'")),
    ("condition-type", condition("__count__:value LIKE '1%'")),
    ("condition-type", condition("__count__:value = true")),
    ("condition-type", condition("__level__:value ISSUBSET '192.0.2.0/24'")),
    ("condition-type", condition("__level__:value.severity = 'high'")),
    ("condition-type", condition("__level__:value MATCHES '('")),
    ("condition-constant", condition("__fixed__:value = 'always'")),
    ("condition-constant", condition("__fixed__:value = 'never'")),
    ("condition-constant", condition("EXISTS __fixed__:value")),
    ("condition-constant", condition("__level__:value IN ()")),
    ("condition-constant", condition("__level__:value = 'a' AND __level__:value = 'b'")),
    ("condition-constant", condition("__level__:value = 'a' OR __level__:value != 'a'")),
    ("condition-constant", condition("__count__:value > 5 AND __count__:value < 3")),
    ("loop-without-progress", drop(W, BODY, "step_extensions")),
    ("loop-without-progress", put(W, WHILE, "condition", "__level__:value = 'high'")),
    ("switch-without-default", drop(W, SWITCH, "cases", "default")),
    (
        "target-missing",
        both(
            put(TARGETS, WALL, {"type": "security-category", "name": "Wall", "category": ["firewall"]}),
            put(W, TRUE, "targets", [WALL]),
            put(W, TRUE, "agent", WALL),
            put(AGENTS, WALL, {"type": "security-category", "name": "Wall", "category": ["firewall"]}),
        ),
    ),
    ("target-missing", both(drop(W, TRUE, "targets"), drop(W, TRUE, "agent"))),
    ("auth-missing", drop(AGENTS, SHELL, "authentication_info")),
    ("auth-missing", drop(LOGONS, LOGON, "password")),
    ("human-agent-command", put(W, TRUE, "agent", PERSON)),
    (
        "parallel-write-conflict",
        both(put(W, LEFT, "out_args", ["__level__"]), put(W, RIGHT, "out_args", ["__level__"])),
    ),
    ("parallel-read-write", both(put(W, LEFT, "out_args", ["__level__"]), shell("id __level__:value"))),
    (
        "failure-unhandled",
        both(drop("workflow_exception"), put(W, TRUE, "commands", 0, "command", "POST /true HTTP/1.1")),
    ),
    ("failure-ignored", put(W, TRUE, "commands", 0, "command", "DELETE /true HTTP/1.1")),
    ("secret-in-document", put(LOGONS, LOGON, "password", "correct horse")),
    ("secret-in-document", variable("__api_key__", value="correct horse")),
    ("secret-in-document", put(W, TRUE, "commands", 0, "headers", {"Authorization": ["Bearer correct-horse"]})),
    ("secret-in-document", put(W, TRUE, "commands", 0, "headers", {"X-Api-Key": ["correct-horse"]})),
    ("secret-in-document", put(AGENTS, HOST, "address", {"url": ["https://bob:hunter2@inventory.example.org/"]})),
    ("secret-in-document", shell("mysqldump --password=hunter2 all")),
    ("secret-in-document", shell("curl -u bob:hunter2 https://inventory.example.org/")),
    ("secret-in-document", shell("echo ghp_0123456789abcdefghijABCDEFGHIJ012345")),
    ("secret-in-document", put(W, TRUE, "commands", 0, "content", '{"password": "correct horse"}')),
    ("secret-to-log", shell("echo __password__:value")),
    ("secret-to-log", shell("logger -t login 'used __password__:value'")),
    ("secret-to-log", shell("Write-Host '__password__:value'", "powershell")),
    ("secret-to-log", put(W, ASK, "commands", 0, "command", "Log on with __password__:value")),
    ("secret-to-log", put(W, TRUE, "description", "Uses __password__:value")),
    ("secret-to-url", put(W, TRUE, "commands", 0, "command", "GET /?key=__password__:value HTTP/1.1")),
    ("secret-to-url", put(AGENTS, HOST, "address", {"url": ["https://example.org/__password__:value"]})),
    (
        "secret-to-other-target",
        both(
            put(
                LOGONS,
                OTHER_LOGON,
                {"type": "oauth2", "oauth_header": "Authorization", "token": "__fine_token__:value"},
            ),
            variable("__fine_token__", external=True),
            put(TARGETS, HOST, "authentication_info", OTHER_LOGON),
            put(W, TRUE, "commands", 0, "headers", {"X-Password": ["__password__:value"]}),
        ),
    ),
    ("injection-risk", shell("echo $(dig __host__:value)")),
    ("injection-risk", shell("__host__:value")),
    ("injection-risk", shell("python3 -c \"print('__host__:value')\"")),
    ("injection-risk", shell("eval __host__:value")),
    ("injection-risk", shell("Invoke-Expression __host__:value", "powershell")),
    ("injection-risk", put(W, RIGHT, "commands", [{"type": "ssh", "command_b64": "ZWNobyAkKF9faG9zdF9fOnZhbHVlKQ=="}])),
    ("timeout-over-ceiling", put(W, RIGHT, "timeout", 8 * 86_400_000)),
    ("timeout-without-effect", put(W, START, "timeout", 5)),
    ("timeout-without-effect", put(W, END, "timeout", 5)),
    (
        "assignment-unsupported",
        put(
            W,
            BODY,
            "step_extensions",
            MAPPING,
            {
                "type": "soarca-assignment",
                "step-result": "__soarca_http_api_result__",
                "variable": "__count__",
                "expression": {"type": "jq", "expression": ".a | length"},
            },
        ),
    ),
    (
        "destructive-without-approval",
        both(put(W, START, "on_completion", PARALLEL), put(W, TRUE, "commands", 0, "command", "DELETE /true HTTP/1.1")),
    ),
]

#: code -> what looks like a fault and is none
FINE: list[tuple[str, Change]] = [
    ("step-shared", put(W, RIGHT, "on_completion", LEFT_END)),  # an end step: shared-end says so
    (
        "branch-runs-into-continuation",
        both(drop(W, PARALLEL, "on_completion"), put(W, LEFT, "on_completion", IF), put(W, RIGHT, "on_completion", IF)),
    ),
    ("branch-runs-into-continuation", put(W, BODY, "on_completion", WHILE)),
    ("variable-maybe-unset", both(variable("__x__"), condition("EXISTS __x__:value AND __x__:value = 'a'"))),
    (
        "variable-maybe-unset",
        both(
            variable("__x__"),
            condition("EXISTS __x__:value"),
            put(W, TRUE, "commands", 0, "command", "GET /__x__:value HTTP/1.1"),
        ),
    ),
    (
        "variable-maybe-unset",
        both(variable("__x__"), put(W, ASK, "out_args", ["__level__", "__x__"]), shell("id __x__:value")),
    ),
    (
        "variable-maybe-unset",
        both(
            variable("__x__"),
            put(W, LEFT, "out_args", ["__x__"]),
            drop(W, LEFT, "on_completion"),
            put(W, LEFT, "on_success", LEFT_END),
            condition("__x__:value = 'a'"),
        ),
    ),
    ("variable-maybe-unset", both(variable("__x__", external=True), shell("id __x__:value"))),
    ("variable-maybe-unset", both(variable("__x__"), put(W, SWITCH, "switch", "__x__:value"))),
    ("variable-maybe-unset", both(variable("__x__", value=""), shell("id __x__:value"))),
    ("variable-unused", put(W, HIGH, "out_args", ["__level__"])),
    ("variable-unused", variable("__version__", value="1.2.0", constant=True)),
    ("output-unmapped", put(W, TRUE, "out_args", ["__level__", "__count__"])),
    ("output-unmapped", put(W, RIGHT, "out_args", ["__result__", "__exit_code__"])),
    ("condition-type", condition("__count__:value = '5'")),
    ("condition-type", condition("__level__:value > 5")),
    ("condition-type", condition("__level__:value MATCHES '^h(i|o)gh$'")),
    ("condition-constant", condition("__level__:value = 'a' OR __level__:value = 'b'")),
    ("condition-constant", condition("__host__:value = 'a'")),
    ("condition-constant", condition("__count__:value > 3 AND __count__:value < 5")),
    ("loop-without-progress", put(W, WHILE, "condition", "Is there more to do?")),
    ("target-missing", drop(W, TRUE, "targets")),
    ("target-missing", both(drop(TARGETS, HOST, "address"), drop(AGENTS, HOST, "address"))),  # address-missing says so
    (
        "target-missing",
        both(
            drop(W, TRUE, "targets"),
            drop(W, TRUE, "agent"),
            put(W, TRUE, "commands", 0, "command", "GET https://a.example.org/ HTTP/1.1"),
        ),
    ),
    (
        "auth-missing",
        both(
            drop(LOGONS, LOGON, "password"),
            put(LOGONS, LOGON, "kms", True),
            put(LOGONS, LOGON, "kms_key_identifier", "scanner"),
        ),
    ),
    ("parallel-write-conflict", put(W, RIGHT, "out_args", ["__level__"])),
    (
        "parallel-read-write",
        both(
            put(W, LEFT, "out_args", ["__level__"]),
            put(W, TRUE, "commands", 0, "command", "GET /__level__:value HTTP/1.1"),
        ),
    ),
    (
        "failure-unhandled",
        both(
            drop("workflow_exception"),
            put(W, TRUE, "commands", 0, "command", "POST /true HTTP/1.1"),
            put(W, IF, "on_failure", END),
            put(W, PARALLEL, "on_failure", END),
        ),
    ),
    (
        "failure-ignored",
        both(
            shell("rm -rf /tmp/x"),
            drop(W, RIGHT, "on_completion"),
            put(W, RIGHT, "on_success", RIGHT_END),
            put(W, RIGHT, "on_failure", RIGHT_END),
        ),
    ),
    ("secret-in-document", put(LOGONS, LOGON, "user_id", "scanner-7")),
    ("secret-in-document", variable("__monkey__", value="correct horse")),
    ("secret-in-document", variable("__public_key__", value="ssh-ed25519 AAAA")),
    ("secret-in-document", variable("__api_token__", value="<your token>")),
    ("secret-in-document", put(VARIABLES, "__password_reset__", {"type": "bool", "value": "true"})),
    ("secret-in-document", put(W, TRUE, "commands", 0, "headers", {"Authorization": ["Bearer __password__:value"]})),
    ("secret-in-document", shell("mysqldump --password=$PASSWORD all")),
    ("secret-in-document", shell("mysqldump --password=__password__:value all")),
    ("secret-in-document", shell("connect(api_key=my_key)")),
    ("secret-to-log", shell("echo __password__:value | sudo -S id")),
    ("secret-to-log", shell("login __password__:value; echo done")),
    ("secret-to-log", shell("echo '__password__:value' > /etc/app/token")),
    ("secret-to-url", put(W, TRUE, "commands", 0, "headers", {"X-Password": ["__password__:value"]})),
    ("secret-to-other-target", put(W, TRUE, "commands", 0, "headers", {"X-Password": ["__password__:value"]})),
    ("injection-risk", shell("ping -c 1 -- __host__:value")),
    ("injection-risk", shell("echo '__host__:value' \"__host__:value\"")),
    ("injection-risk", shell("__fixed__:value __host__:value")),
    ("injection-risk", both(put(VARIABLES, "__host__", "type", "ipv4-addr"), shell("echo $(dig __host__:value)"))),
    ("injection-risk", both(put(W, ASK, "commands", 0, "command", "Run $(__host__:value)"))),
    ("injection-risk", shell("echo __fixed__:value $(__fixed__:value)")),
    ("timeout-over-ceiling", put(W, RIGHT, "timeout", 7 * 86_400_000)),
    ("destructive-without-approval", put(W, TRUE, "commands", 0, "command", "DELETE /true HTTP/1.1")),
    ("destructive-without-approval", both(put(W, START, "on_completion", PARALLEL), shell("ls /form /informat"))),
    (
        "destructive-without-approval",
        both(
            put(W, START, "on_completion", PARALLEL),
            condition("Shall it be deleted?"),
            put(W, TRUE, "commands", 0, "command", "DELETE /true HTTP/1.1"),
        ),
    ),
]

#: commands that take something away
DESTRUCTIVE = [
    command("DELETE /hosts/1 HTTP/1.1", "http-api"),
    command("GET /hosts HTTP/1.1", "http-api", playbook_activity="disconnect-system"),
    command("rm -rf /srv"),
    command("sudo systemctl stop nginx"),
    command("find / -name x -exec kill 5 ;"),
    command("/sbin/shutdown -h now", "bash"),
    command("mkfs.ext4 /dev/sdb1"),
    command("Remove-Item C:\\x -Recurse", "powershell"),
    command("Get-Service x | Stop-Service", "powershell"),
    command("Disable-ADAccount bob", "powershell"),
    {"type": "openc2-http", "command": "POST / HTTP/1.1", "content_b64": "eyJhY3Rpb24iOiAiZGVueSJ9"},
]
HARMLESS = [
    command("GET /hosts/delete HTTP/1.1", "http-api"),
    command("ls -l /usr/bin/firmware; echo informed"),
    command("systemctl status nginx"),
    command("Get-Item C:\\x", "powershell"),
    {"type": "openc2-http", "command": "POST / HTTP/1.1", "content_b64": "eyJhY3Rpb24iOiAicXVlcnkifQ=="},
]
