"""``chat.post``: a message that carries our key in its metadata, so that it can be found again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from connectors.base import Command, Outcome, ProbeAnswer, completed, failed
from connectors.slack.client import call
from connectors.texts import as_text

EVENT_TYPE = "sallyport_step"
_CHANNEL_ID = re.compile(r"[CGD][A-Z0-9]{7,}")
_PAGE = "200"
#: pages of history or channels looked through before the answer is "cannot tell"
_PAGES = 10


class SlackConnector:
    async def run(self, command: Command) -> Outcome:
        if command.operation == "slack.check":
            return await _check(command)
        channel = command.arguments["channel"]
        answer = await call(
            command,
            "chat.postMessage",
            body={
                "channel": channel,
                "text": _escaped(as_text(command.arguments["message"])),
                "unfurl_links": False,
                "unfurl_media": False,
                "metadata": {"event_type": EVENT_TYPE, "event_payload": {"key": command.key}},
            },
        )
        if isinstance(answer, Outcome):
            return answer
        if not isinstance(answer.get("ts"), str):
            return failed("bad_answer", "Slack's answer names no message.", sent=True, retry=False)
        return _posted(answer["ts"], answer.get("channel") or channel)

    async def probe(self, command: Command) -> tuple[ProbeAnswer, Outcome | None]:
        """Look for the key in the channel's history, newest first."""
        channel = await _channel_id(command)
        if channel is None:
            return ProbeAnswer.CANNOT_TELL, None
        query = {"channel": channel, "include_all_metadata": "true", "limit": _PAGE}
        for _ in range(_PAGES):
            answer = await call(command, "conversations.history", query=query)
            if isinstance(answer, Outcome) or not isinstance(answer.get("messages"), list):
                return ProbeAnswer.CANNOT_TELL, None
            found = [message["ts"] for message in answer["messages"] if _key_of(message) == command.key]
            if found:
                return ProbeAnswer.THERE, _posted(found[0], channel)
            cursor = _cursor(answer)
            if not cursor:
                return ProbeAnswer.NOT_THERE, None
            query["cursor"] = cursor
        return ProbeAnswer.CANNOT_TELL, None


async def _check(command: Command) -> Outcome:
    answer = await call(command, "auth.test", body={})
    return answer if isinstance(answer, Outcome) else completed({"team": answer.get("team"), "status": "ok"})


def _posted(ts: str, channel: str) -> Outcome:
    return completed({"message_ts": ts, "channel": channel})


def _escaped(text: str) -> str:
    """Slack's three control characters, so that no value becomes a link, a mention or a broadcast (SEC-16)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


async def _channel_id(command: Command) -> str | None:
    """History is asked for by id; a name is looked up among the channels the token can see."""
    given = str(command.arguments["channel"])
    if _CHANNEL_ID.fullmatch(given):
        return given
    query = {"types": "public_channel,private_channel", "exclude_archived": "true", "limit": _PAGE}
    for _ in range(_PAGES):
        answer = await call(command, "conversations.list", query=query)
        if isinstance(answer, Outcome) or not isinstance(answer.get("channels"), list):
            return None
        for channel in answer["channels"]:
            if isinstance(channel, dict) and channel.get("name") == given.removeprefix("#"):
                return str(channel.get("id"))
        cursor = _cursor(answer)
        if not cursor:
            return None
        query["cursor"] = cursor
    return None


def _cursor(answer: Mapping[str, Any]) -> str:
    metadata = answer.get("response_metadata")
    return str(metadata.get("next_cursor") or "") if isinstance(metadata, dict) else ""


def _key_of(message: Any) -> str | None:
    metadata = message.get("metadata") if isinstance(message, dict) else None
    if not isinstance(metadata, dict) or metadata.get("event_type") != EVENT_TYPE:
        return None
    payload = metadata.get("event_payload")
    return payload.get("key") if isinstance(payload, dict) and isinstance(message.get("ts"), str) else None
